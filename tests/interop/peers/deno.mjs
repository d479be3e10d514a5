// The peer Deno, a client and a server (which is fastwebsockets). It knows no extensions.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const obey = require('./commands.js');
const { encode } = require('./messages.js');
const visit = require('./visit.js');

let server = null;
let report = null;

obey({
  visit(command) {
    const { url, protocols, headers } = command;
    return visit(new WebSocket(url, { protocols, headers }), command);
  },

  host({ protocols, refuse, close }) {
    const record = { opened: false, received: [] };
    report = new Promise((resolve) => {
      const handle = (request) => {
        record.headers = Object.fromEntries(request.headers);
        if (refuse) {
          resolve(record);
          return new Response(refuse.body, { status: refuse.status });
        }
        const offers = (request.headers.get('Sec-WebSocket-Protocol') ?? '').split(',').map((offer) => offer.trim());
        record.protocol = offers.find((offer) => protocols.includes(offer)) ?? '';
        const { socket, response } = Deno.upgradeWebSocket(request, { protocol: record.protocol || undefined });
        socket.binaryType = 'arraybuffer';
        socket.onopen = () => (record.opened = true);
        socket.onmessage = ({ data }) => {
          record.received.push(encode(data));
          socket.send(data);
          if (close?.code === 1005) socket.close();
          else if (close) socket.close(close.code, close.reason);
        };
        socket.onerror = () => {};
        socket.onclose = ({ code, reason, wasClean: clean }) => resolve({ ...record, closed: [code, reason], clean });
        return response;
      };
      server = Deno.serve({ hostname: '127.0.0.1', port: 0, onListen() {} }, handle);
    });
    return { port: server.addr.port };
  },

  async report() {
    const told = await report;
    await server.shutdown();
    return told;
  },
});
