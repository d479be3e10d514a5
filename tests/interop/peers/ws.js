// The peer `ws`: a client of our server, or an echo server. A quarter of what it sends goes in fragments.
'use strict';

const { WebSocket, WebSocketServer } = require('ws');
const { converse } = require('./conversation.js');
const obey = require('./commands.js');

// What stands for `client_max_window_bits` not being there is `false` in a client and `undefined` in a server.
function options(params, absent) {
  if (params === null) return false;
  return {
    // 1024 by default: shorter messages are not compressed then, if contexts are not kept.
    threshold: 0,
    // `false` would be: not even if the other side wants it.
    serverNoContextTakeover: params.server_no_context_takeover || undefined,
    clientNoContextTakeover: params.client_no_context_takeover || undefined,
    serverMaxWindowBits: params.server_max_window_bits ?? undefined,
    clientMaxWindowBits: params.client_max_window_bits ?? absent,
  };
}

function send(socket, message, index) {
  if (index % 4 !== 0) return socket.send(message, { binary: typeof message !== 'string' });
  const binary = typeof message !== 'string';
  const bytes = Buffer.from(message);
  const cuts = [0, bytes.length >> 2, bytes.length >> 1, bytes.length];
  for (let i = 1; i < cuts.length; i++) {
    socket.send(bytes.subarray(cuts[i - 1], cuts[i]), { binary, fin: i === cuts.length - 1 });
  }
}

let server = null;
let report = null;

obey({
  async client({ url, params, messages, seed }) {
    const socket = new WebSocket(url, { perMessageDeflate: options(params, false) });
    let agreed;
    socket.on('upgrade', (response) => (agreed = response.headers['sec-websocket-extensions']));
    const result = await converse(socket, messages, seed, (message, index) => send(socket, message, index));
    return { agreed: agreed ?? null, ...result };
  },

  listen({ params }) {
    server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: options(params) });
    report = new Promise((resolve) => {
      let agreed = null;
      let error = null;
      server.on('headers', (headers) => {
        const header = headers.find((line) => line.startsWith('Sec-WebSocket-Extensions: '));
        agreed = header?.split(': ')[1] ?? null;
      });
      server.on('connection', (socket) => {
        let messages = 0;
        socket.on('message', (bytes, binary) => send(socket, binary ? bytes : String(bytes), ++messages));
        socket.on('error', (failure) => (error ??= String(failure)));
        socket.on('close', (code) => {
          if (code !== 1000) error ??= `closed with ${code}`;
          resolve({ agreed, messages, error });
        });
      });
    });
    return new Promise((resolve) => server.on('listening', () => resolve(server.address())));
  },

  async report() {
    const told = await report;
    server.close();
    return told;
  },
});
