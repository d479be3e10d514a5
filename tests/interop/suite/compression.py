"""Compression: both sides are told what to agree upon; what RFC 7692 makes of it is compared with what each says."""

import dataclasses
import itertools
import subprocess
import time
import zlib

from .peers import AIOHTTP, BUN, CHROMIUM, FIREFOX, LOMOND, NODE, UNDICI, WEBSOCKETS, WS, WSPROTO
from .processes import WATCHDOG, Failure
from .table import Row

PEERS = [CHROMIUM, FIREFOX, NODE, UNDICI, WS, BUN, WEBSOCKETS, AIOHTTP, WSPROTO, LOMOND]


@dataclasses.dataclass(frozen=True)
class Params:
    """What a client offers, or a server asks for, of permessage-deflate."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    # `True`: the parameter without a value.
    client_max_window_bits: int | bool | None = None

    def __str__(self):
        bits = {None: "-", True: "bare"}
        sides = [
            ("server", self.server_max_window_bits, self.server_no_context_takeover),
            ("client", self.client_max_window_bits, self.client_no_context_takeover),
        ]
        return ", ".join(f"{side} {bits.get(n, n)}{' anew' * anew}" for side, n, anew in sides)

    @classmethod
    def parse(cls, header):
        """What a response's header, or our report, says; windows that it does not name are of 15 bits."""
        if header in (None, "", "none"):
            return None
        name, *params = (part.strip() for part in header.split(";"))
        assert name == "permessage-deflate", header
        values = dict(param.partition("=")[::2] for param in params)
        assert len(values) == len(params), header
        agreed = cls(
            values.pop("server_no_context_takeover", None) == "",
            values.pop("client_no_context_takeover", None) == "",
            int(values.pop("server_max_window_bits", 15)),
            int(values.pop("client_max_window_bits", 15)),
        )
        assert not values, header
        return agreed


def products(server_bits, client_bits):
    return [Params(*values) for values in itertools.product([False, True], [False, True], server_bits, client_bits)]


# A client's offer, and what a server asks for, unless it is told otherwise.
OFFER = Params(client_max_window_bits=True)
CONFIG = Params()

# The scenarios are the products of these. zlib cannot compress in a window of 8 bits: peers refuse to, or keep to it
# with one of 9.
OURS_AS_CLIENT = products([None, 8, 9, 12], [True, 8, 9, 12])
OURS_AS_SERVER = {
    **dict.fromkeys(["chromium", "firefox", "node", "undici", "ws"], products([None, 8, 9, 12], [None, 8, 9, 12])),
    "bun": products([None, 8, 9, 12], [None, 8, 9, 12]),
    "lomond": products([None, 8, 9, 12], [None, 8, 9, 12]),
    "websockets": products([None, 8, 9, 12], [None, 9, 12]),
    "aiohttp": products([None, 8, 9, 12], [None, 9, 12]),
    "wsproto": products([None, 9, 12], [None, 9, 12]),
}
# What can be offered, beginning with what is offered by default.
THEIRS_AS_CLIENT = {
    **dict.fromkeys(["chromium", "node", "undici", "bun"], [OFFER]),
    "firefox": [CONFIG],
    # Of its two offers the first.
    "lomond": [OFFER],
    "websockets": products([None, 8, 9, 12, 15], [None, True, 9, 12, 15]),
    "ws": products([None, 8, 9, 12, 15], [None, True, 8, 9, 12, 15]),
    "aiohttp": [dataclasses.replace(OFFER, server_max_window_bits=bits) for bits in (None, 9, 12)],
    "wsproto": products([15, 9, 12], [15, 9, 12]),
}
THEIRS_AS_SERVER = {
    "websockets": products([None, 9, 12, 15], [None, 8, 9, 12, 15]),
    "ws": products([None, 8, 9, 12, 15], [None, 8, 9, 12, 15]),
    "bun": [CONFIG],
    "aiohttp": [CONFIG],
    "wsproto": products([None], [None, 9, 12, 15]),
}
# They understand what is compressed, and compress nothing.
PLAIN_SENDERS = ("node", "undici")
DEFAULT_OFFERS = {"firefox": CONFIG, "wsproto": Params(server_max_window_bits=15, client_max_window_bits=15)}


@dataclasses.dataclass
class Scenario:
    name: str
    # `None` for no compression.
    ours: Params | None
    theirs: Params | None
    messages: int
    # Further flags of ours, and options of theirs.
    flags: tuple = ()
    options: dict = dataclasses.field(default_factory=dict)

    @property
    def is_stored(self):
        """Whether the peer is told not to try."""
        return self.options.get("level") in (0, "none")


def scenarios(peer, we_serve, options):
    """One direction's."""
    few, many = min(500, options.messages), options.messages
    ours, theirs = (CONFIG, DEFAULT_OFFERS.get(peer, OFFER)) if we_serve else (OFFER, CONFIG)
    pieces = ("--pieces",) * we_serve
    yield Scenario("takeover", ours, theirs, many)
    if options.quick:
        return
    for params in (THEIRS_AS_CLIENT if we_serve else THEIRS_AS_SERVER)[peer]:
        yield Scenario(f"theirs: {params}", ours, params, few, pieces)
    for params in OURS_AS_SERVER[peer] if we_serve else OURS_AS_CLIENT:
        if params != ours:
            yield Scenario(f"ours: {params}", params, theirs, few, pieces)
    for flags in (("--level", "0"), ("--level", "1"), ("--level", "9"), ("--min-size", "64")):
        yield Scenario(f"ours: {' '.join(flags)}", ours, theirs, few, flags)
    yield Scenario("ours: no compression", None, theirs, few)
    if peer in ("chromium", "firefox", "node", "undici"):
        return
    yield Scenario("theirs: no compression", ours, None, few)
    if we_serve and peer in ("ws", "websockets"):
        small = Params(client_max_window_bits=12)
        yield Scenario(f"ours: {small}; theirs: {CONFIG}", small, CONFIG, few)
    elif peer == "websockets":
        small = Params(client_max_window_bits=12)
        required = {"require_client_max_window_bits": True}
        yield Scenario(f"theirs: {small}, required", ours, small, few, options=required)


def agree(scenario, peer, we_serve):
    """What RFC 7692 §7.1 makes of it: what the server knows, and what the client does, which may keep to more than it
    was told."""
    offer, config = (scenario.theirs, scenario.ours) if we_serve else (scenario.ours, scenario.theirs)
    if offer is None or config is None:
        return None, None
    if we_serve and config.client_max_window_bits is not None and offer.client_max_window_bits is None:
        return None, None
    if not we_serve and offer.server_max_window_bits == 8 and peer in ("websockets", "aiohttp", "hypercorn", "wsproto"):
        return None, None
    if not we_serve and peer == "bun":
        if offer.server_max_window_bits is not None:
            return None, None
        config = Params(True, True)
    # Our client always offers its own without a value.
    limit = 15 if offer.client_max_window_bits in (None, True) else offer.client_max_window_bits
    told = limit if we_serve else 15
    server = Params(
        offer.server_no_context_takeover or config.server_no_context_takeover,
        offer.client_no_context_takeover or config.client_no_context_takeover,
        min(offer.server_max_window_bits or 15, config.server_max_window_bits or 15),
        min(told, config.client_max_window_bits or 15),
    )
    client = dataclasses.replace(server, client_max_window_bits=min(limit, server.client_max_window_bits))
    if not we_serve and peer == "aiohttp":
        # That the client begins anew it does not answer, being free to; our client does so all the same.
        server = dataclasses.replace(server, client_no_context_takeover=False)
    return server, client


def rows(peer, options):
    for we_serve in (True, False):
        if ("client" if we_serve else "server") not in peer.roles:
            continue
        direction = f"{peer.name} → sansocket" if we_serve else f"sansocket → {peer.name}"
        for scenario in scenarios(peer.name, we_serve, options):
            row = Row(peer, direction, scenario.name)
            try:
                run(peer, scenario, we_serve, row, options.seed)
            except Failure as failure:
                row.verdict = f"FAILED: {failure}"
                peer.stop()
            yield row


def run(peer, scenario, we_serve, row, seed):
    peer.start()
    until = time.monotonic() + WATCHDOG
    theirs = None if scenario.theirs is None else {**dataclasses.asdict(scenario.theirs), **scenario.options}
    seed = zlib.crc32(f"{row.direction} {row.scenario}".encode()) ^ seed
    numbers = ["--messages", str(scenario.messages), "--seed", str(seed)]
    if we_serve:
        server, url = peer.serve(flags(scenario), until)
        told = peer.ask(until, "client", url=url, params=theirs, messages=scenario.messages, seed=seed)
        report = server.line(until)
    else:
        listening = peer.ask(until, "listen", params=theirs)
        url = f"ws://127.0.0.1:{listening['port']}"
        try:
            report = converse([peer.ours, "client", "--url", url, *numbers, *flags(scenario)], until)
        except Failure as failure:
            raise Failure(f"{failure}; {peer.name}: {last_word(peer)}") from None
        told = peer.ask(until, "report")
    judge(scenario, peer.name, we_serve, report, told, row)


def converse(command, until):
    """Runs our client, and returns its line."""
    try:
        client = subprocess.run(command, capture_output=True, text=True, timeout=max(0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise Failure(f"our client went on after {WATCHDOG} s") from None
    if client.returncode != 0:
        raise Failure(f"our client: {client.stdout.strip()} {client.stderr.strip()}")
    return client.stdout.strip()


def last_word(peer):
    """What the peer knows of a failure."""
    try:
        return peer.start().ask(time.monotonic() + 2, "report")["error"]
    except Failure:
        return "nothing"


def flags(scenario):
    if scenario.ours is None:
        return ["--no-compression", *scenario.flags]
    result = list(scenario.flags)
    for name, value in dataclasses.asdict(scenario.ours).items():
        name = "--" + name.replace("_", "-")
        if value is True and name.endswith("takeover"):
            result += [name]
        elif value not in (None, False, True):
            result += [name, str(value)]
    return result


def judge(scenario, peer, we_serve, report, told, row):
    """Whether both say the same, and what was to be expected."""
    agreed, messages, payload, read, written, end = report.split(" | ")
    payload, read, written = int(payload), int(read), int(written)
    row.messages = messages
    try:
        ours = Params.parse(agreed)
        theirs = Params.parse(told["agreed"]) if "agreed" in told else None
    except (AssertionError, ValueError) as error:
        raise Failure(f"agreed upon what? {error}") from None
    row.seen = str(ours or "none")
    known_to_server, known_to_client = agree(scenario, peer, we_serve)
    expected = known_to_server if we_serve else known_to_client
    if ours != expected:
        raise Failure(f"expected {expected}")
    # What peers tell is the header, whichever side they are on.
    if "agreed" in told and theirs != known_to_server:
        raise Failure(f"the header says {theirs}, expected {known_to_server}")
    if int(messages) != scenario.messages or told["messages"] != scenario.messages:
        raise Failure(f"of {scenario.messages} messages {messages} came to us, and {told['messages']} to the peer")
    if end != "clean":
        raise Failure(end)
    # More than a few messages are mostly compressible.
    if scenario.messages >= 100:
        for name, bytes_, compressed in [
            ("read", read, ours is not None and peer not in PLAIN_SENDERS and not scenario.is_stored),
            ("wrote", written, ours is not None and scenario.flags != ("--level", "0")),
        ]:
            if compressed != (bytes_ < payload):
                raise Failure(f"{name} {bytes_} bytes for a payload of {payload}")
