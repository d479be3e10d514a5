// The client `ws` of 2014, speaking version 8.
//
// Unless they are asked for, it is kept from two things of its own. Its key is the version and a clock,
// `8-1234567890123`, of which only `13-…` has a key's 16 bytes: the clock is given a digit more. And what it sends
// for an origin is a host.
'use strict';

const WebSocket = require('ws-0.4');
const obey = require('./commands.js');
const { cut, decode, encode } = require('./messages.js');

obey({
  visit({ url, protocols, headers, pings, send, fragments, close, own }) {
    const { now } = Date;
    if (own !== 'key') Date.now = () => 10 * now();
    const protocol = protocols.join(', ') || undefined;
    const origin = own === 'origin' ? {} : { Origin: url.replace(/^ws(.*)\/$/, 'http$1') };
    const socket = new WebSocket(url, { protocolVersion: 8, protocol, headers: { ...headers, ...origin } });
    Date.now = now;
    const record = { opened: false, received: [], pings: [], pongs: [] };
    const unsent = send.map(decode);
    const goOn = () => {
      if (unsent.length > 0) {
        const message = unsent.shift();
        const binary = typeof message !== 'string';
        if (!fragments) return socket.send(message, { binary, mask: true });
        const pieces = cut(message);
        // A text's pieces too are to be bytes here, which is what `binary` says of the first.
        return pieces.forEach((piece, at) =>
          socket._sender.frameAndSend(at > 0 ? 0 : binary ? 2 : 1, Buffer.from(piece), at === 2, true),
        );
      }
      if (close) socket.close(close.code === 1005 ? undefined : close.code, close.reason);
    };
    return new Promise((resolve) => {
      socket.on('open', () => {
        record.opened = true;
        pings.forEach((payload) => socket.ping(payload, { mask: true }));
        goOn();
      });
      socket.on('message', (message) => {
        record.received.push(encode(message));
        goOn();
      });
      socket.on('ping', (payload) => record.pings.push(String(payload ?? '')));
      socket.on('pong', (payload) => record.pongs.push(String(payload ?? '')));
      socket.on('unexpected-response', async (_, response) => {
        const body = Buffer.concat(await response.toArray()).toString();
        resolve({ ...record, status: response.statusCode, body });
      });
      socket.on('error', () => resolve(record));
      socket.on('close', (code, reason) => resolve({ ...record, closed: [code, reason] }));
    });
  },
});
