// `ws`, as its documentation has an echo server. `send` keeps the kind of message only if it is told.
'use strict';

const { WebSocketServer } = require('ws');

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...JSON.parse(process.argv[2]) });
server.on('listening', () => console.log(`127.0.0.1:${server.address().port}`));
server.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
