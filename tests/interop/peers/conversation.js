// Random messages, and a client that sends them to an echo server and compares what comes back. Runs in Node and
// in a page.
'use strict';

(function () {
  const MEBIBYTE = 1 << 20;
  const LONG = 100000;
  const WORDS = ['temperature', 'naïve', '日本語', '🦀', 'null', '0.25', 'north', '…'];

  // mulberry32
  function randomly(seed) {
    let state = seed | 0;
    return (bound) => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * bound);
    };
  }

  // The message of this index: a string or a Uint8Array, of the sorts that compressors meet, one in 500 of 1 MiB.
  function make(below, index) {
    const noise = (most) => new Uint8Array(below(most)).map(() => below(256));
    const repetitive = (length) => {
      const period = Array.from({ length: 1 + below(40) }, () => String.fromCharCode(32 + below(95))).join('');
      return period.repeat(Math.ceil(length / period.length)).slice(0, length);
    };
    const json = () =>
      JSON.stringify(
        Array.from({ length: 1 + below(20) }, () => ({
          id: below(10000),
          name: WORDS[below(WORDS.length)],
          value: below(1000) / 1000,
        })),
      );
    // Some bytes of noise, then some from further up, and so on: matches of every length and distance.
    const collage = (length) => {
      const bytes = new Uint8Array(length + 400);
      let end = 0;
      while (end < length) {
        for (let left = below(30); left > 0; left--) bytes[end++] = below(256);
        // Up to twice the largest window, mostly near.
        const start = Math.max(0, end - 1 - below(1 << below(17)));
        const copied = Math.min(below(300), end - start);
        bytes.copyWithin(end, start, start + copied);
        end += copied;
      }
      return bytes.slice(0, length);
    };
    const binary = (text) => new TextEncoder().encode(text);

    if (index % 500 === 250) return below(2) === 0 ? repetitive(MEBIBYTE) : collage(MEBIBYTE);
    const sort = below(100);
    if (sort < 2) return new Uint8Array(0);
    if (sort < 4) return '';
    if (sort < 14) return noise(64);
    if (sort < 25) return repetitive(30);
    if (sort < 60) return json();
    if (sort < 65) return binary(json());
    if (sort < 73) return repetitive(below(8000));
    if (sort < 80) return binary(repetitive(below(8000)));
    if (sort < 95) return noise(4000);
    if (sort < 96) return noise(LONG);
    return collage(below(LONG));
  }

  function isEqual(sent, came) {
    if (typeof sent === 'string') return sent === came;
    if (!(came instanceof ArrayBuffer) || came.byteLength !== sent.length) return false;
    const bytes = new Uint8Array(came);
    return sent.every((byte, at) => byte === bytes[at]);
  }

  const AHEAD = 64;

  // Converses on a WebSocket that is still opening. `send` may do it in another way than whole.
  function converse(socket, count, seed, send = (message) => socket.send(message)) {
    socket.binaryType = 'arraybuffer';
    const below = randomly(seed);
    const ahead = [];
    let made = 0;
    let done = 0;
    let error = null;
    return new Promise((resolve) => {
      const pump = () => {
        while (made < count && ahead.length < AHEAD) {
          const message = make(below, ++made);
          ahead.push(message);
          send(message, made);
        }
        if (done === count) socket.close(1000);
      };
      socket.onopen = pump;
      socket.onmessage = ({ data }) => {
        if (error) return;
        const sent = ahead.shift();
        if (sent !== undefined && isEqual(sent, data)) {
          done += 1;
          pump();
        } else {
          error = `message ${done + 1} came back differently`;
          socket.close(3000);
        }
      };
      socket.onerror = (event) => (error ??= event.message || 'the socket failed');
      socket.onclose = ({ code, wasClean }) => {
        if (!error && done < count) error = `closed with ${code} after ${done} messages`;
        if (!error && (code !== 1000 || !wasClean)) error = `closed with ${code}, not clean`;
        resolve({ messages: done, error });
      };
    });
  }

  if (typeof module === 'undefined') globalThis.converse = converse;
  else module.exports = { converse };
})();
