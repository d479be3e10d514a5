// The clients `undici` and Node's own, which is an undici too.
'use strict';

const obey = require('./commands.js');
const { converse } = require('./conversation.js');
const visit = require('./visit.js');

const WebSocket = process.argv[2] === 'node' ? globalThis.WebSocket : require('undici').WebSocket;

obey({
  visit(command) {
    const { url, protocols, headers } = command;
    return visit(new WebSocket(url, { protocols, headers }), command);
  },

  async client({ url, messages, seed }) {
    const socket = new WebSocket(url);
    const result = await converse(socket, messages, seed);
    return { agreed: socket.extensions || null, ...result };
  },
});
