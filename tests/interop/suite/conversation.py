"""Conversation: what a program does with a WebSocket, once for each pair of a client and a server, of which one is
ours. Both sides tell what they saw, and it is compared with what the other did."""

import dataclasses
import random
import time

from .peers import (
    AIOHTTP,
    ANSWERS_1000,
    BUN,
    CHROMIUM,
    DENO,
    EAGER,
    FIREFOX,
    KNOWS_NO_1005,
    LOMOND,
    NODE,
    STRICT,
    STRICT_AND_IDLE,
    TUNGSTENITE,
    UNDICI,
    WEBSOCKET_8,
    WEBSOCKETS,
    WS,
    WS_8,
    WSPROTO,
    Peer,
)
from .processes import Failure
from .table import Row

PEERS = [
    CHROMIUM,
    FIREFOX,
    NODE,
    UNDICI,
    WS,
    WS_8,
    WEBSOCKET_8,
    BUN,
    DENO,
    WEBSOCKETS,
    AIOHTTP,
    WSPROTO,
    LOMOND,
    TUNGSTENITE,
]

# Seconds that a scenario may take.
PATIENCE = 60
MEBIBYTE = 1 << 20


def text(value):
    return {"text": value}


def binary(value):
    return {"hex": value.hex()}


# Around each length at which a header is another.
LENGTHS = [125, 126, 65535, 65536]
SHORT = [
    *map(text, ["Hello", "naïve 日本語 🦀 \x00\x7f\u2028", ""]),
    *map(binary, [bytes(range(256)), b""]),
    *(text("é" * (length // 2) + "." * (length % 2)) for length in LENGTHS),
    *(binary(random.Random(length).randbytes(length)) for length in LENGTHS),
]
LONG = [text(("日本語 naïve " * (MEBIBYTE // 17 + 1)).rstrip()), binary(random.Random(1).randbytes(MEBIBYTE))]
CLOSES = [
    (1005, ""),
    (1000, ""),
    (1000, "bye"),
    (1001, "naïve 🦀"),
    (1011, "broken"),
    (3000, "ours"),
    (4999, "x" * 123),
]
BODY = "Not today: 今日はだめ\n"


@dataclasses.dataclass
class Scenario:
    name: str
    # What the client and the server are told, beside what is so for all (`VISIT`, `HOST`).
    visit: dict = dataclasses.field(default_factory=dict)
    host: dict = dataclasses.field(default_factory=dict)
    # What is to be seen on each side, beside the messages.
    client: dict = dataclasses.field(default_factory=dict)
    # `None`: it is not asked.
    server: dict | None = dataclasses.field(default_factory=dict)
    # What a side must be able to do.
    of_client: str | None = None
    of_server: str | None = None
    # What the table shows of the two records.
    show: object = lambda client, server: ""


VISIT = {
    "protocols": [],
    "headers": {},
    "compression": False,
    "pings": [],
    "send": [text("Hello")],
    "fragments": False,
    "close": {"code": 1000, "reason": ""},
}
HOST = {"protocols": [], "refuse": None, "compression": False, "pings": [], "fragments": False, "close": None}


def scenarios(client, server, quick):
    various = SHORT if quick else SHORT + LONG
    yield Scenario("short messages", {"send": SHORT})
    yield Scenario("1 MiB", {"send": LONG})
    yield Scenario("client: fragments", {"send": various, "fragments": True}, of_client="fragments")
    yield Scenario("server: fragments", {"send": various}, {"fragments": True}, of_server="fragments")
    compressed = {"compression": True}
    yield Scenario(
        "compressed",
        {"send": various, **compressed},
        compressed,
        compressed,
        compressed,
        of_client="compression",
        of_server="compression",
        show=lambda client, server: (client if client.get("agreed") else server)["agreed"],
    )
    pings = ["", "ping", "x" * 125]
    yield Scenario(
        "client: pings",
        {"pings": pings},
        client={"pongs": pings, "answered": True},
        server={"pings": pings},
        of_client="pings",
        show=lambda client, server: told(client, server, "pongs", "pings"),
    )
    yield Scenario(
        "server: pings",
        host={"pings": pings},
        client={"pings": pings},
        server={"pongs": pings, "answered": True},
        of_server="pings",
        show=lambda client, server: told(client, server, "pings", "pongs"),
    )
    for code, reason in CLOSES:
        close = {"code": code, "reason": reason}
        name = f"closes: {'no code' if code == 1005 else code} {'123 bytes' if len(reason) == 123 else reason}".strip()
        can = "codes" if code in (1001, 1011) else "{}: no code" if code == 1005 else None
        yield Scenario(
            f"client {name}",
            {"close": close},
            client=echo(server, code),
            server=said(server, code, reason),
            of_client=can and can.format("client"),
            show=ends,
        )
        yield Scenario(
            f"server {name}",
            {"close": None},
            {"close": close},
            client=said(client, code, reason),
            server=echo(client, code),
            of_server=can and can.format("server"),
            show=ends,
        )
    chosen = {"protocol": "b"}
    yield Scenario(
        "subprotocol chosen",
        {"protocols": ["a", "b", "c"]},
        {"protocols": ["c", "b"]},
        chosen,
        chosen,
        show=lambda client, server: server["protocol"],
    )
    # The client may go on or not (RFC 6455 §4.1); a browser is not to (WHATWG WebSockets).
    if fails := STRICT in client.habits or STRICT_AND_IDLE in client.habits:
        of_client = {"opened": False, "received": [], "clean": False}
        of_server = {"received": [], "clean": False, "closed": [1006, "the connection was lost"]}
    else:
        of_client = {"protocol": "a" if EAGER in server.habits else ""}
        of_server = {"protocol": ""}
    yield Scenario(
        "no subprotocol in common",
        {"protocols": ["a"]},
        {"protocols": ["b"]},
        of_client,
        None if STRICT_AND_IDLE in client.habits else of_server,
        show=lambda client, server: "the client fails it" if fails else f"opened with {client['protocol'] or 'none'}",
    )
    if client is WS_8:
        for name, status in ("key", 400), ("origin", 403):
            yield Scenario(
                f"its own {name}",
                {"own": name},
                client={"opened": False, "received": [], "status": status},
                server=None,
                show=lambda client, server: str(client["status"]),
            )
    yield Scenario(
        "refused with a body",
        host={"refuse": {"status": 403, "body": BODY}},
        client={"opened": False, "received": [], "clean": False, "status": 403, "body": BODY},
        server={"opened": False, "received": []},
        show=lambda client, server: f"{client.get('status', 'not told')} {client.get('body', 'not told')}".strip(),
    )
    yield Scenario(
        "request's header",
        {"headers": {"Authorization": "Bearer 1234"}},
        server={"headers": {"authorization": "Bearer 1234"}},
        of_client="headers",
        show=lambda client, server: server["headers"].get("authorization"),
    )


def echo(peer, code):
    """What comes back to who closes: typically the same code (RFC 6455 §5.5.1)."""
    codes = [1000] if ANSWERS_1000 in peer.habits else [1005, 1000] if code == 1005 else [code]
    return {"code": codes}


def said(peer, code, reason):
    """What the other side hears of that."""
    return {} if code == 1005 and KNOWS_NO_1005 in peer.habits else {"closed": [code, reason]}


def told(client, server, of_client, of_server):
    """Who saw the Pings, or Pongs."""
    sides = [("client", client, of_client), ("server", server, of_server)]
    seen = [f"{name}: {of}" for name, record, of in sides if of in record]
    seen += [f"{name}: answered" for name, record, of in sides if of == "pongs" and record.get("answered")]
    if not seen:
        raise Failure("no side tells of them")
    return ", ".join(seen)


def ends(client, server):
    """The Close frames that each side saw."""
    sides = []
    for name, record in ("client", client), ("server", server):
        code, reason = record.get("closed", (record.get("code", "not told"), ""))
        sides.append(f"{name}: {code}{f' {len(reason.encode())} bytes' * bool(reason)}")
    return ", ".join(sides)


def rows(peer, options):
    ours = {surface: sansocket(options.ours, surface) for surface in ("handler", "stream")}
    try:
        if "client" in peer.roles:
            for surface, server in ours.items():
                yield from direction(f"{peer.name} → sansocket, {surface}", peer, peer, server, options)
        if "server" in peer.roles:
            yield from direction(f"sansocket → {peer.name}", peer, ours["stream"], peer, options)
    finally:
        for program in ours.values():
            program.stop()


def sansocket(program, surface):
    peer = Peer("sansocket", None, [program, "obey", "--surface", surface], [])
    peer.prepare(program)
    return peer


def direction(name, peer, client, server, options):
    for scenario in scenarios(client, server, options.quick):
        row = Row(peer, name, scenario.name)
        lacking = client.lacks.get(scenario.of_client) or server.lacks.get(scenario.of_server)
        if lacking:
            row.verdict = f"not there: {lacking}"
        else:
            try:
                converse(client, server, scenario, row)
            except Failure as failure:
                row.verdict = f"FAILED: {failure}"
                client.stop()
                server.stop()
        yield row


def converse(client, server, scenario, row):
    client.start(), server.start()
    until = time.monotonic() + PATIENCE
    visit, host = {**VISIT, **scenario.visit}, {**HOST, **scenario.host}
    url = f"ws://127.0.0.1:{server.ask(until, 'host', **host)['port']}/"
    try:
        of_client = client.ask(until, "visit", url=url, **visit)
    except Failure as failure:
        raise Failure(f"{failure}; {server.name}: {last_word(server)}") from None
    opened = {"opened": True, "received": visit["send"], "clean": True}
    row.messages = len(of_client["received"])
    compare(client, of_client, {**opened, **scenario.client})
    of_server = None
    if scenario.server is None:
        server.stop()
    else:
        of_server = server.ask(until, "report")
        compare(server, of_server, {**opened, **scenario.server})
    row.seen = scenario.show(of_client, of_server)


def last_word(server):
    """What the server knows of a failure."""
    try:
        return server.ask(time.monotonic() + 2, "report")
    except Failure as failure:
        return failure


def compare(peer, record, expected):
    """What a side does not tell is not compared."""
    for key, value in expected.items():
        if key == "code":
            # The Close that came back, of which some tell no more.
            seen = record.get("code", record.get("closed", [None])[0])
            is_there, is_right = seen is not None, seen in value
        elif key == "compression":
            is_there, seen = "agreed" in record, record.get("agreed")
            is_right = "permessage-deflate" in (seen or "")
        elif key == "headers":
            is_there, seen = key in record, {name: record.get(key, {}).get(name) for name in value}
            is_right = seen == value
        else:
            is_there, seen = key in record, record.get(key)
            # Behind the Pings that it was told to send, we have one that is measured.
            is_right = seen == value or key == "pings" and seen is not None and seen[: len(value)] == value
        if is_there and not is_right:
            raise Failure(f"{peer.name}: {key} {shortly(seen)}, not {shortly(value)}")


def shortly(value):
    shown = repr(value)
    return shown if len(shown) < 200 else f"{shown[:200]}…"
