"""Our client at servers that no other family has."""

import itertools
import os
import time

from . import compression, scenes
from .compression import Scenario
from .installing import HERE, Needs
from .peers import Peer, python
from .processes import WATCHDOG, Failure
from .table import Row
from .unpacking import found


class Cowboy(Peer):
    """What Debian's RabbitMQ brings along, without RabbitMQ."""

    def prepare(self, ours):
        self.ours = ours
        [erlang] = found("usr/lib/erlang")
        [bin] = erlang.glob("erts-*/bin")
        plugins = [path for name in ("cowboy", "cowlib", "ranch", "jsx") for path in found(f"**/plugins/{name}-*/ebin")]
        self.version = plugins[0].parent.name.partition("-")[2]
        self.environment = {
            **os.environ,
            "ROOTDIR": str(erlang),
            "BINDIR": str(bin),
            "EMU": "beam",
            "PROGNAME": "erl",
            "ERL_CRASH_DUMP": "/dev/null",
        }
        # What it logs is not to come between the answers.
        logger = "[{handler, default, logger_std_h, #{config => #{type => standard_error}}}]"
        modules = [f'"{HERE}/peers/cowboy/{name}"' for name in ("server", "header")]
        load = (
            "{ok, Module, Code} = compile:file(File, [binary]), {module, Module} = code:load_binary(Module, File, Code)"
        )
        self.command = [bin / "erlexec", "-noshell", "-kernel", "logger", logger, "-pa", *plugins]
        self.command += ["-eval", f"[begin {load} end || File <- [{', '.join(modules)}]], server:main()."]


COWBOY = Cowboy(
    "cowboy",
    Needs(
        unpack=(
            "erlang-asn1",
            "erlang-base",
            "erlang-crypto",
            "erlang-public-key",
            "erlang-ssl",
            "rabbitmq-server",
        )
    ),
    None,
    None,
)
HYPERCORN = python("hypercorn", "hypercorn==0.18.0")
PEERS = [COWBOY, HYPERCORN]

# How the server sees the end.
SCENES = {
    COWBOY: {
        "messages": None,
        "large": None,
        "fragments": None,
        "interleaved": None,
        "ping": None,
        "close": None,
        "closes": "stop",
        "talks": "stop",
        "limited": "{error,badsize}",
        "refused": None,
        "subprotocol": None,
        "idle": "timeout",
        "kept": None,
    },
    HYPERCORN: dict.fromkeys(
        [
            "messages",
            "large",
            "fragments",
            "interleaved",
            "ping",
            "close",
            "closes",
            "limited",
            "refused",
            "subprotocol",
        ]
    ),
}
# And what it cannot do when messages are compressed (RFC 7692 §6: what it is about are data messages).
LACKS = {
    COWBOY: {
        "interleaved": "it inflates the Ping between compressed fragments",
        "limited": "its limit is one of compressed bytes",
    },
    HYPERCORN: {"interleaved": "what follows the Ping between compressed fragments it takes for plain"},
}
FLAGS = {"large": ["--count", 4], "kept": ["--keepalive", 300, "--patience", 1000]}

# Cowboy's `deflate_opts`; those beside the agreement with their own names.
CONFIGS = compression.products([None, 8, 9, 12, 15], [None, 8, 9, 12, 15])
FURTHER = [
    *[{"level": level} for level in (0, 1, 9, "none", "best_speed", "best_compression", "default")],
    *[{"mem_level": level} for level in (1, 9)],
    *[{"strategy": strategy} for strategy in ("default", "filtered", "huffman_only", "rle")],
]


def rows(peer, options):
    direction = f"sansocket → {peer.name}"
    for compressed, flags in scenes.FLAGS.items():
        for scene, end in SCENES[peer].items():
            if compressed and scene in LACKS[peer]:
                yield Row(peer, direction, compressed + scene, verdict=f"not there: {LACKS[peer][scene]}")
            else:
                yield scenes.play(peer, direction, compressed + scene, lambda: visit(peer, scene, end, flags))
    for scenario in (of_cowboy if peer is COWBOY else of_hypercorn)(options):
        row = Row(peer, direction, scenario.name)
        try:
            compression.run(peer, scenario, False, row, options.seed)
        except Failure as failure:
            row.verdict = f"FAILED: {failure}"
            peer.stop()
        yield row


def visit(peer, scene, end, flags):
    until = time.monotonic() + WATCHDOG
    path = {"path": f"/{scene}"} if peer is HYPERCORN else {}
    port = peer.ask(until, "listen", params={}, **path)["port"]
    seen = scenes.visit(peer, f"ws://127.0.0.1:{port}", scene, *flags, *FLAGS.get(scene, []))
    if scene != "refused":
        told = peer.start().ask(until, "report")["error"]
        if told != end:
            raise Failure(f"{peer.name} saw {told}")
    return seen


def of_cowboy(options):
    few = min(500, options.messages)
    offer, config = compression.OFFER, compression.CONFIG
    yield Scenario("takeover", offer, config, options.messages)
    if options.quick:
        return
    for params in CONFIGS:
        yield Scenario(f"theirs: {params}", offer, params, few)
    for params in compression.OURS_AS_CLIENT:
        yield Scenario(f"ours: {params}", params, config, few)
    # Where both ask for something, the smaller window holds, and no context is kept if either side will not.
    for ours, theirs in itertools.product(
        compression.products([9, 15], [9, True]), compression.products([8, 12], [8, 12])
    ):
        yield Scenario(f"ours: {ours}; theirs: {theirs}", ours, theirs, min(100, few))
    for further in FURTHER:
        [(name, value)] = further.items()
        yield Scenario(f"theirs: {name} {value}", offer, config, few, options=further)
    for flags in (("--level", "0"), ("--level", "1"), ("--level", "9"), ("--min-size", "64")):
        yield Scenario(f"ours: {' '.join(flags)}", offer, config, few, flags)
    yield Scenario("ours: no compression", None, config, few)
    yield Scenario("theirs: no compression", offer, None, few)


def of_hypercorn(options):
    """It cannot be told anything, and does what it is asked for."""
    offer, config = compression.OFFER, compression.CONFIG
    yield Scenario("takeover", offer, config, options.messages)
    if options.quick:
        return
    for params in compression.OURS_AS_CLIENT:
        yield Scenario(f"ours: {params}", params, config, min(500, options.messages))
    yield Scenario("ours: no compression", None, config, min(500, options.messages))
