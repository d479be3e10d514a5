// The peer `ws`: a client of our server, or an echo server. A quarter of what it sends goes in fragments.
'use strict';

const { WebSocket, WebSocketServer } = require('ws');
const obey = require('./commands.js');
const { converse } = require('./conversation.js');
const { cut, encode } = require('./messages.js');
const visit = require('./visit.js');

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

// Of a string, or bytes.
function send(socket, message, inFragments) {
  const binary = typeof message !== 'string';
  if (!inFragments) return socket.send(message, { binary });
  const [first, second, third] = cut(message);
  socket.send(first, { binary, fin: false });
  socket.send(second, { binary, fin: false });
  socket.send(third, { binary, fin: true });
}

// Takes note of Pings and Pongs.
function note(socket) {
  const seen = { pings: [], pongs: [] };
  socket.on('ping', (payload) => seen.pings.push(String(payload)));
  socket.on('pong', (payload) => seen.pongs.push(String(payload)));
  return seen;
}

let server = null;
let report = null;

// A server whose connection is told of, by a promise that `handle` makes of it.
function listen(options, handle) {
  server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...options });
  report = new Promise((resolve) => handle(resolve));
  return new Promise((resolve) => server.on('listening', () => resolve(server.address())));
}

obey({
  async client({ url, params, messages, seed }) {
    const socket = new WebSocket(url, { perMessageDeflate: options(params, false) });
    let agreed;
    socket.on('upgrade', (response) => (agreed = response.headers['sec-websocket-extensions']));
    const result = await converse(socket, messages, seed, (message, index) => send(socket, message, index % 4 === 0));
    return { agreed: agreed ?? null, ...result };
  },

  listen({ params }) {
    return listen({ perMessageDeflate: options(params) }, (resolve) => {
      let agreed = null;
      let error = null;
      server.on('headers', (headers) => {
        const header = headers.find((line) => line.startsWith('Sec-WebSocket-Extensions: '));
        agreed = header?.split(': ')[1] ?? null;
      });
      server.on('connection', (socket) => {
        let messages = 0;
        socket.on('message', (bytes, binary) => send(socket, binary ? bytes : String(bytes), ++messages % 4 === 0));
        socket.on('error', (failure) => (error ??= String(failure)));
        socket.on('close', (code) => {
          if (code !== 1000) error ??= `closed with ${code}`;
          resolve({ agreed, messages, error });
        });
      });
    });
  },

  visit(command) {
    const { url, protocols, headers, compression, pings, fragments } = command;
    const socket = new WebSocket(url, protocols, { headers, perMessageDeflate: compression && { threshold: 0 } });
    const seen = note(socket);
    socket.on('open', () => pings.forEach((payload) => socket.ping(payload)));
    const refused = new Promise((resolve) => {
      socket.on('unexpected-response', async (_, response) => {
        const body = Buffer.concat(await response.toArray()).toString();
        resolve({ opened: false, status: response.statusCode, body, received: [] });
      });
    });
    const visited = visit(socket, command, (message) => send(socket, message, fragments));
    return Promise.race([refused, visited.then((record) => ({ ...record, ...seen }))]);
  },

  host({ protocols, refuse, compression, pings, fragments, close }) {
    const settings = {
      perMessageDeflate: compression && { threshold: 0 },
      handleProtocols: (offers) => [...offers].find((offer) => protocols.includes(offer)) ?? false,
    };
    return listen(settings, (resolve) => {
      // What it is for is deprecated, but nothing else answers with a body of one's own.
      server.options.verifyClient = ({ req }, proceed) => {
        if (refuse) resolve({ opened: false, headers: req.headers });
        proceed(!refuse, refuse?.status, refuse?.body);
      };
      server.on('connection', (socket, { headers }) => {
        const record = { opened: true, headers, protocol: socket.protocol, agreed: socket.extensions, received: [] };
        const seen = note(socket);
        pings.forEach((payload) => socket.ping(payload));
        socket.on('message', (bytes, binary) => {
          const message = binary ? bytes : String(bytes);
          record.received.push(encode(message));
          send(socket, message, fragments);
          if (close?.code === 1005) socket.close();
          else if (close) socket.close(close.code, close.reason);
        });
        socket.on('close', (code, reason) => resolve({ ...record, ...seen, closed: [code, String(reason)] }));
      });
    });
  },

  async report() {
    const told = await report;
    server.close();
    return told;
  },
});
