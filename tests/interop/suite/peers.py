"""The other implementations."""

import os
import re
import shutil
import time
import types

from .installing import HERE, INSTALLED, NODE_MODULES, NPM, PYTHON, ROOT, Needs, output
from .processes import Failure, Process

# Seconds that a browser may take to start.
START = 180
NOTHING = types.MappingProxyType({})
CLIENT = ("client",)


class Peer:
    """Another implementation: a program that takes commands, started when it is needed, and anew after a failure; and
    our server for it. `ask` prints its version. Of a word that is a list, the first program that there is is meant."""

    def __init__(self, name, needs, command, ask, roles=("client", "server"), lacks=NOTHING, habits=(), is_slow=False):
        self.name, self.needs, self.roles = name, needs, roles
        # What it cannot do, and why; and what it does where it may do this or that.
        self.lacks, self.habits = lacks, habits
        # To start.
        self.is_slow = is_slow
        self.commands = command, ask
        self.version = ""
        # Our program, for the families.
        self.ours = None
        self.process = self.server = self.server_flags = None

    def prepare(self, ours):
        """Fails if the peer cannot be had."""
        self.ours = ours
        self.command, ask = ([program(ours, word) for word in command] for command in self.commands)
        self.environment = {**os.environ, "NODE_PATH": str(NODE_MODULES), "PYTHONDONTWRITEBYTECODE": "1"}
        if ask:
            # Some have their name in front.
            self.version = re.search(r"\d+\.\d\S*", output(ask, env=self.environment)).group()

    def start(self):
        if self.process is None:
            self.process = Process(self.command, self.log(), env=self.environment)
            if self.is_slow:
                self.process.ask(time.monotonic() + START, "ready")
        return self.process

    def ask(self, until, command, **rest):
        """The peer's answer, which is no error."""
        process = self.start()
        told = process.ask(until, command, **rest)
        if told.get("error"):
            raise Failure(f"{self.name}: {told['error']}")
        return told

    def serve(self, flags, until):
        """Our server with these flags; returns it and its URL."""
        if self.server_flags != flags:
            self.stop_server()
            self.server = Process([self.ours, "server", "--addr", "127.0.0.1:0", *flags], self.log())
            self.server_flags = flags
            self.url = self.server.line(until)
        return self.server, self.url

    def stop_server(self):
        if self.server is not None:
            self.server.stop()
        self.server = self.server_flags = None

    def stop(self):
        self.stop_server()
        if self.process is not None:
            self.process.stop()
        self.process = None

    def log(self):
        return INSTALLED / f"{self.name}.log"


def program(ours, word):
    """Of a list, the first that there is; of a tuple, ours of that name."""
    if isinstance(word, tuple):
        return ours.with_name(*word)
    if not isinstance(word, list):
        return word
    found = next(filter(None, map(shutil.which, word)), None)
    if found is None:
        raise OSError(f"there is no {word[0]}")
    return found


# Node comes from npm as well, so that all have the same.
NODE_PACKAGE = "node@24.21.0"
NODE_PROGRAM = NODE_MODULES / "node/bin/node"


def python(name, package, **rest):
    module, _ = package.split("==")
    command = [PYTHON, HERE / f"peers/{name}_peer.py"]
    ask = [PYTHON, "-c", f"from importlib.metadata import version; print(version({module!r}))"]
    return Peer(name, Needs(pip=(package,)), command, ask, **rest)


def npm(name, package, script, *arguments, directory=None, **rest):
    directory = directory or package.rpartition("@")[0]
    command = [NODE_PROGRAM, HERE / "peers" / script, *arguments]
    ask = [NODE_PROGRAM, "-p", f"require('{directory}/package.json').version"]
    return Peer(name, Needs(npm=(NODE_PACKAGE, package), apt=NPM), command, ask, **rest)


def browser(name, programs, package, script, *npm, habits=()):
    return Peer(
        name,
        Needs(npm=(NODE_PACKAGE, *npm), apt={**NPM, package: programs}),
        [NODE_PROGRAM, HERE / "peers" / script, programs, INSTALLED / f"{package}.profile"],
        [programs, "--version"],
        CLIENT,
        WEB,
        habits,
        is_slow=True,
    )


WHOLE = {"fragments": "the API sends messages whole"}
PLAIN = {"compression": "it knows no extensions"}
CODED = {"client: no code": "its Close has a code", "server: no code": "its Close has a code"}
# The API of browsers.
WEB = {
    **WHOLE,
    "headers": "the API sets no headers",
    "pings": "the API has no Pings",
    "codes": "the API closes with 1000 and 3000–4999 only",
}
SETS_HEADERS = {feature: why for feature, why in WEB.items() if feature != "headers"}

# Fails a WebSocket whose server agrees to none of the subprotocols, as the API of browsers has it.
STRICT = "strict about subprotocols"
# And leaves the connection as it is (RFC 6455 §7.1.7 has it closed).
STRICT_AND_IDLE = "strict about subprotocols, and idle"
# Agrees to the first subprotocol when the program agrees to none.
EAGER = "eager about subprotocols"
# Answers any Close with 1000.
ANSWERS_1000 = "answers 1000"
# Tells of a Close without a code that it had one, or that there was none.
KNOWS_NO_1005 = "knows no 1005"

CHROMIUM = browser(
    "chromium",
    ["chromium", "chromium-browser", "google-chrome"],
    "chromium",
    "chromium.js",
    "playwright-core@1.65.1",
    habits=(STRICT,),
)
FIREFOX = browser("firefox", ["firefox-esr", "firefox"], "firefox-esr", "firefox.js")
NODE = npm("node", NODE_PACKAGE, "undici.js", "node", roles=CLIENT, lacks=SETS_HEADERS, habits=(STRICT,))
UNDICI = npm(
    "undici", "undici@8.12.4", "undici.js", "undici", roles=CLIENT, lacks=SETS_HEADERS, habits=(STRICT_AND_IDLE,)
)
WS = npm("ws", "ws@8.23.0", "ws.js", habits=(STRICT,))
WS_8 = npm(
    "ws-0.4",
    "ws-0.4@npm:ws@0.4.32",
    "ws_0.4.js",
    directory="ws-0.4",
    roles=CLIENT,
    lacks={**PLAIN, **CODED},
    habits=(STRICT, KNOWS_NO_1005),
)
WEBSOCKET_8 = npm(
    "websocket",
    "websocket@1.0.35",
    "websocket.js",
    roles=CLIENT,
    lacks={**PLAIN, **CODED},
    habits=(STRICT, ANSWERS_1000, KNOWS_NO_1005),
)
BUN = Peer(
    "bun",
    Needs(npm=("bun@1.4.5",), apt=NPM),
    [NODE_MODULES / ".bin/bun", HERE / "peers/bun.mjs"],
    [NODE_MODULES / ".bin/bun", "--version"],
    lacks={**WHOLE, "server: no code": CODED["server: no code"]},
    habits=(STRICT, EAGER),
)
DENO = Peer(
    "deno",
    Needs(npm=("deno@2.9.6",), apt=NPM),
    [NODE_MODULES / ".bin/deno", "run", "--allow-all", HERE / "peers/deno.mjs"],
    [NODE_MODULES / ".bin/deno", "--version"],
    lacks={**SETS_HEADERS, **PLAIN},
)
WEBSOCKETS = python("websockets", "websockets==17.4", lacks=CODED)
AIOHTTP = python("aiohttp", "aiohttp==3.14.5", lacks={**WHOLE, **CODED}, habits=(ANSWERS_1000,))
WSPROTO = python("wsproto", "wsproto==1.3.2")
LOMOND = python("lomond", "lomond==0.3.4", roles=CLIENT, lacks={**WHOLE, **CODED})
TUNGSTENITE = Peer(
    "tokio-tungstenite",
    Needs(),
    [("tungstenite",)],
    ["cargo", "pkgid", "--quiet", "--manifest-path", ROOT / "Cargo.toml", "tokio-tungstenite"],
    lacks=PLAIN,
    habits=(STRICT,),
)
