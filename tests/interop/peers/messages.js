// Messages as they stand in commands: `{text}`, or `{hex}` for a binary one. Runs in Node and in a page.
'use strict';

(function () {
  const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

  // A string or a Uint8Array.
  function decode({ text, hex }) {
    if (text !== undefined) return text;
    return Uint8Array.from({ length: hex.length / 2 }, (_, at) => parseInt(hex.slice(2 * at, 2 * at + 2), 16));
  }

  // Of a string, an ArrayBuffer or a Uint8Array.
  function encode(message) {
    if (typeof message === 'string') return { text: message };
    return { hex: Array.from(new Uint8Array(message), (byte) => DIGITS[byte]).join('') };
  }

  // Three fragments, cut within a character, as it may be.
  function cut(message) {
    const bytes = typeof message === 'string' ? new TextEncoder().encode(message) : message;
    const cuts = [0, bytes.length >> 2, bytes.length >> 1, bytes.length];
    return [0, 1, 2].map((at) => bytes.subarray(cuts[at], cuts[at + 1]));
  }

  const messages = { decode, encode, cut };
  if (typeof module === 'undefined') globalThis.messages = messages;
  else module.exports = messages;
})();
