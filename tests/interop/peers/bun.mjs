// The peer Bun, a client and a server (which is uWebSockets).
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const obey = require('./commands.js');
const { converse } = require('./conversation.js');
const { encode } = require('./messages.js');
const visit = require('./visit.js');

let server = null;
let report = null;

// A server for one connection, as `handle` makes it of the function that reports.
function serve(handle) {
  report = new Promise((resolve) => (server = Bun.serve({ hostname: '127.0.0.1', port: 0, ...handle(resolve) })));
  return { port: server.port };
}

obey({
  visit(command) {
    const { url, protocols, headers, pings, compression } = command;
    const socket = new WebSocket(url, { protocols, headers, perMessageDeflate: compression });
    const seen = { pings: [], pongs: [] };
    socket.addEventListener('ping', ({ data }) => seen.pings.push(Buffer.from(data).toString()));
    socket.addEventListener('pong', ({ data }) => seen.pongs.push(Buffer.from(data).toString()));
    socket.addEventListener('open', () => pings.forEach((payload) => socket.ping(payload)));
    return visit(socket, command).then((record) => ({ ...record, ...seen }));
  },

  async client({ url, params, messages, seed }) {
    const socket = new WebSocket(url, { perMessageDeflate: params !== null });
    const result = await converse(socket, messages, seed);
    return { agreed: socket.extensions || null, ...result };
  },

  host({ protocols, refuse, compression, pings, close }) {
    return serve((resolve) => {
      const record = { opened: false, received: [], pings: [], pongs: [] };
      return {
        fetch(request, server) {
          record.headers = Object.fromEntries(request.headers);
          if (refuse) {
            resolve(record);
            return new Response(refuse.body, { status: refuse.status });
          }
          const offers = (request.headers.get('Sec-WebSocket-Protocol') ?? '').split(',').map((offer) => offer.trim());
          record.protocol = offers.find((offer) => protocols.includes(offer)) ?? '';
          server.upgrade(request, { headers: record.protocol ? { 'Sec-WebSocket-Protocol': record.protocol } : {} });
        },
        websocket: {
          perMessageDeflate: compression,
          maxPayloadLength: 16 << 20,
          open(socket) {
            record.opened = true;
            pings.forEach((payload) => socket.ping(payload));
          },
          message(socket, message) {
            record.received.push(encode(message));
            socket.send(message, compression);
            if (close?.code === 1005) socket.close();
            else if (close) socket.close(close.code, close.reason);
          },
          ping: (_, payload) => void record.pings.push(Buffer.from(payload).toString()),
          pong: (_, payload) => void record.pongs.push(Buffer.from(payload).toString()),
          close: (_, code, reason) => resolve({ ...record, closed: [code, reason] }),
        },
      };
    });
  },

  listen({ params }) {
    return serve((resolve) => {
      let agreed = null;
      let messages = 0;
      return {
        fetch(request, server) {
          agreed = request.headers.get('Sec-WebSocket-Extensions');
          server.upgrade(request);
        },
        websocket: {
          perMessageDeflate: params !== null,
          maxPayloadLength: 16 << 20,
          message(socket, message) {
            messages += 1;
            socket.send(message, params !== null);
          },
          close: (_, code) => resolve({ messages, error: code === 1000 ? null : `closed with ${code}` }),
        },
      };
    });
  },

  async report() {
    const told = await report;
    await server.stop(true);
    return told;
  },
});
