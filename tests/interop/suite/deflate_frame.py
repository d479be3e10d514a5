"""`x-webkit-deflate-frame` and `deflate-frame`: Netty compresses each frame for itself, as the draft has it, and Cowboy
messages."""

import itertools
import time
import zlib

from .compression import converse
from .installing import HERE, Needs
from .peers import Peer
from .processes import WATCHDOG, Failure
from .servers import COWBOY
from .table import Row
from .unpacking import found

WEBKIT = "x-webkit-deflate-frame"
NAMES = [WEBKIT, "deflate-frame"]


class Netty(Peer):
    """Run from its source."""

    def prepare(self, ours):
        jars = [path for name in ("netty-*", "jctools-core") for path in found(f"usr/share/java/{name}.jar")]
        path = ":".join(map(str, jars))
        self.commands = ["java", "-cp", path, HERE / "peers/netty/Peer.java"], []
        super().prepare(ours)
        [jar] = found("usr/share/java/netty-codec-http-4*.jar")
        self.version = jar.stem.removeprefix("netty-codec-http-")


NETTY = Netty(
    "netty", Needs(apt={"default-jdk-headless": ["javac"]}, unpack=("libjctools-java", "libnetty-java")), [], []
)
PEERS = [COWBOY, NETTY]

# What our client is told beside the offer, and whether Netty agrees to it nevertheless: to no parameters. Cowboy takes
# no notice of them, so what it sends is not to be relied on.
OURS = {
    "": True,
    "--client-no-context-takeover": True,
    "--client-max-window-bits 9": True,
    "--level 0": True,
    "--level 1": True,
    "--min-size 64": True,
    "--server-no-context-takeover": False,
    "--server-max-window-bits 9": False,
}


def rows(peer, options):
    messages = min(500, options.messages)
    ours = [""] if options.quick else OURS
    if peer is NETTY:
        for name, in_fragments, flags in itertools.product(NAMES, [False, True], ["", "--pieces", "--no-compression"]):
            yield row(peer, True, name, in_fragments, flags, messages, options.seed)
    for name in NAMES if peer is NETTY else [WEBKIT]:
        for in_fragments, flags in itertools.product([False, True] if peer is NETTY else [False], ours):
            yield row(peer, False, name, in_fragments, flags, messages, options.seed)


def row(peer, we_serve, name, in_fragments, flags, messages, seed):
    direction = f"{peer.name} → sansocket" if we_serve else f"sansocket → {peer.name}"
    result = Row(peer, direction, f"{name}{', in fragments' * in_fragments}{', ours: ' * bool(flags)}{flags}")
    seed ^= zlib.crc32(f"{direction} {result.scenario}".encode())
    try:
        run = client_of_ours if we_serve else server_for_ours
        run(peer, result, name, in_fragments, flags, messages, seed)
    except Failure as failure:
        result.verdict = f"FAILED: {failure}"
        peer.stop()
    return result


def client_of_ours(peer, row, name, in_fragments, flags, messages, seed):
    until = time.monotonic() + WATCHDOG
    server, url = peer.serve(flags.split(), until)
    told = peer.ask(until, "client", url=url, extension=name, fragments=in_fragments, messages=messages, seed=seed)
    expected = None if flags == "--no-compression" else name
    if told["agreed"] != expected:
        raise Failure(f"the header says {told['agreed']}")
    judge(row, expected, server.line(until), told, messages, flags)


def server_for_ours(peer, row, name, in_fragments, flags, messages, seed):
    until = time.monotonic() + WATCHDOG
    ours = ["--offer-deflate-frame", *flags.split(), "--messages", messages, "--seed", seed]
    port = peer.ask(until, "listen", params={}, only=name, fragments=in_fragments)["port"]
    report = converse([peer.ours, "client", "--url", f"ws://127.0.0.1:{port}", *map(str, ours)], until)
    told = peer.ask(until, "report")
    expected = name if OURS[flags] or peer is COWBOY else None
    judge(row, expected, report, told, messages, flags)


def judge(row, expected, report, told, messages, flags):
    agreed, row.messages, payload, read, written, end = report.split(" | ")
    row.seen = agreed.replace("_max_window_bits=", " ").replace("; ", ", ").replace("_no_context_takeover", " anew")
    if agreed.partition(";")[0] != (expected or "none"):
        raise Failure(f"expected {expected}")
    if int(row.messages) != messages or told["messages"] != messages:
        raise Failure(f"of {messages} messages {row.messages} came to us, and {told['messages']} to the peer")
    if end != "clean":
        raise Failure(end)
    # What our server sends in pieces is not compressed, since only the receiver knows how it reads such.
    if (int(read) < int(payload)) != (expected is not None):
        raise Failure(f"read {read} bytes for a payload of {payload}")
    if flags not in ("--level 0", "--pieces") and (int(written) < int(payload)) != (expected is not None):
        raise Failure(f"wrote {written} bytes for a payload of {payload}")
