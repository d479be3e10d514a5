"""The peer zlib, as Python has it: messages in, payloads out, and the reverse, one after the other.

A batch begins with what it is: `d` or `i`, whether to begin anew now, the bits of the window, whether to begin anew
with each message, a level, a memory level and a strategy; then each with its length, messages or payloads. What is
answered are the payloads or messages, or what is wrong with one.
"""

import random
import struct
import zlib

import batches

HEAD = struct.Struct(">cBBBBBB")
TAIL = b"\x00\x00\xff\xff"
# How much an inflater puts out in one step: only what is before that must be within its window.
STEP = 16


class Deflater:
    def __init__(self, bits, *settings):
        # zlib has no window of 8 bits for this, but with 9 it never goes back as far as 2⁸ bytes.
        self.settings = [max(9, bits), *settings]
        self.random = random.Random(bits)
        self.begin()

    def begin(self):
        bits, level, mem_level, strategy = self.settings
        self.core = zlib.compressobj(level, zlib.DEFLATED, -bits, mem_level, strategy)

    def message(self, message):
        """In one piece, or two with any kind of flush between."""
        payload = b""
        if self.random.random() < 0.3:
            cut = self.random.randrange(len(message) + 1)
            flush = self.random.choice([zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_BLOCK])
            payload = self.core.compress(message[:cut]) + self.core.flush(flush)
            message = message[cut:]
        payload += self.core.compress(message) + self.core.flush(zlib.Z_SYNC_FLUSH)
        # It has nothing to say to nothing, twice.
        return payload.removesuffix(TAIL) or b"\x00"


class Inflater:
    def __init__(self, bits, *_):
        self.bits = bits
        self.begin()

    def begin(self):
        self.core = zlib.decompressobj(-self.bits)

    def message(self, payload):
        rest, message = payload + TAIL, []
        while rest:
            message.append(self.core.decompress(rest, STEP))
            rest = self.core.unconsumed_tail
        while len(message[-1]) == STEP:
            message.append(self.core.decompress(b"", STEP))
        if self.core.eof:
            raise zlib.error("a block that ends a stream")
        return b"".join(message)


def main():
    batches.write(zlib.ZLIB_RUNTIME_VERSION.encode())
    codec = None
    while batch := batches.read():
        direction, begin, bits, anew, level, mem_level, strategy = HEAD.unpack_from(batch)
        if begin:
            codec = (Deflater if direction == b"d" else Inflater)(bits, level, mem_level, strategy)
        at, answer = HEAD.size, []
        while at < len(batch):
            (length,) = batches.LENGTH.unpack_from(batch, at)
            at += batches.LENGTH.size + length
            if anew:
                codec.begin()
            try:
                result = codec.message(batch[at - length : at])
            except zlib.error as error:
                result = f"zlib: {error}".encode()
            answer += [batches.LENGTH.pack(len(result)), result]
        batches.write(b"".join(answer))


main()
