// The client `websocket`, speaking version 8.
'use strict';

const { client: Client, connection: Connection } = require('websocket');
const obey = require('./commands.js');
const { decode, encode } = require('./messages.js');

obey({
  visit({ url, protocols, headers, pings, send, fragments, close }) {
    const client = new Client({ webSocketVersion: 8, fragmentOutgoingMessages: false });
    const record = { opened: false, received: [], pings: [], pongs: [] };
    return new Promise((resolve) => {
      client.on('httpResponse', async (response) => {
        const body = Buffer.concat(await response.toArray()).toString();
        resolve({ ...record, status: response.statusCode, body });
      });
      client.on('connectFailed', () => resolve(record));
      client.on('connect', (connection) => {
        Object.assign(record, { opened: true, protocol: connection.protocol ?? '' });
        const unsent = send.map(decode);
        const goOn = () => {
          if (unsent.length > 0) {
            const message = unsent.shift();
            // Three fragments.
            const length = Math.ceil(Buffer.byteLength(message) / 3);
            connection.config.fragmentOutgoingMessages = fragments && length > 0;
            connection.config.fragmentationThreshold = length;
            connection.send(typeof message === 'string' ? message : Buffer.from(message));
          } else if (close) {
            connection.close(close.code, close.reason);
          }
        };
        connection.on('message', ({ utf8Data, binaryData }) => {
          record.received.push(encode(utf8Data ?? binaryData));
          goOn();
        });
        connection.on('ping', (_, payload) => record.pings.push(String(payload)));
        connection.on('pong', (payload) => record.pongs.push(String(payload)));
        connection.on('close', (code, reason) => {
          // If it began, this is what it said itself; and for a reason it takes its own words where there is none.
          const named = reason === Connection.CLOSE_DESCRIPTIONS[code] ? '' : reason;
          resolve({ ...record, ...(close ? {} : { closed: [code, named] }) });
        });
        pings.forEach((payload) => connection.ping(payload));
        goOn();
      });
      // In version 8 this is a `Sec-WebSocket-Origin`.
      client.connect(url, protocols, url.replace(/^ws(.*)\/$/, 'http$1'), headers);
    });
  },
});
