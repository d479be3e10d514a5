// A client with the API of browsers, that does what it is told and records what it sees. Runs in Node and in a page.
'use strict';

(function () {
  const { decode, encode } = typeof module === 'undefined' ? globalThis.messages : require('./messages.js');

  // Visits with a WebSocket that is still opening. `send` may do it in another way than whole.
  function visit(socket, command, send = (message) => socket.send(message)) {
    socket.binaryType = 'arraybuffer';
    const record = { opened: false, received: [] };
    const unsent = command.send.map(decode);
    // Each message when the one before has come back.
    const goOn = () => {
      if (unsent.length > 0) return send(unsent.shift());
      const { close } = command;
      if (!close) return;
      if (close.code === 1005) socket.close();
      else socket.close(close.code, close.reason);
    };
    return new Promise((resolve) => {
      socket.onopen = () => {
        Object.assign(record, { opened: true, protocol: socket.protocol, agreed: socket.extensions });
        goOn();
      };
      socket.onmessage = ({ data }) => {
        record.received.push(encode(data));
        goOn();
      };
      // Why, it does not tell; that it is over, comes next.
      socket.onerror = () => {};
      socket.onclose = ({ code, reason, wasClean: clean }) => resolve({ ...record, closed: [code, reason], clean });
    });
  }

  if (typeof module === 'undefined') globalThis.visit = visit;
  else module.exports = visit;
})();
