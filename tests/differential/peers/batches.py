"""What the peers in Python have in common: batches of streams come on standard input, and verdicts go out.

A batch is its length in four bytes, then for each stream its setup, its length and its bytes. What is answered is
a length as well, then a verdict for each stream: its events, and how it ended.
"""

import dataclasses
import struct
import sys

LENGTH = struct.Struct(">I")
SETUP = struct.Struct(">BIBBBBBI")
EVENT = struct.Struct(">cI")
END = struct.Struct(">cH")

TEXT, BINARY, PING, PONG, CLOSE = b"T", b"B", b"P", b"O", b"C"
OPEN, CLOSED, FAILED, CRASHED = b".", b"c", b"f", b"x"


@dataclasses.dataclass
class Setup:
    """The receiver of a stream. It sends with `local_`, and is sent, by the parameters of `remote_`."""

    is_server: bool
    max_message: int
    compressed: bool
    remote_no_context_takeover: bool
    remote_max_window_bits: int
    local_no_context_takeover: bool
    local_max_window_bits: int


def event(tag, payload):
    return EVENT.pack(tag, len(payload)) + payload


def end(tag, close_frame=b""):
    """How it ended; `close_frame` is what was sent, if anything."""
    return END.pack(tag, close_code(close_frame))


def crashed(error):
    return event(CRASHED, f"{type(error).__name__}: {error}".encode())


def close_code(frame):
    """The code of the Close frame that is in these bytes and nothing else, or 0."""
    if not frame:
        return 0
    assert frame[0] == 0x88, bytes(frame)
    length, rest = frame[1] & 0x7F, frame[2:]
    if frame[1] & 0x80:
        key, rest = rest[:4], rest[4:]
        rest = bytes(byte ^ key[i % 4] for i, byte in enumerate(rest[:2]))
    return int.from_bytes(rest[:2]) if length else 0


def read():
    """The next batch, or nothing at the end."""
    length = sys.stdin.buffer.read(LENGTH.size)
    return length and sys.stdin.buffer.read(LENGTH.unpack(length)[0])


def write(answer):
    sys.stdout.buffer.write(LENGTH.pack(len(answer)) + answer)
    sys.stdout.buffer.flush()


def serve(version, verdict):
    """Says which version this is, then answers batches; `verdict` has a setup and the bytes of a stream."""
    write(version.encode())
    while batch := read():
        answer, at = [], 0
        while at < len(batch):
            *setup, length = SETUP.unpack_from(batch, at)
            at += SETUP.size + length
            answer.append(verdict(Setup(*setup), batch[at - length : at]))
        write(b"".join(answer))
