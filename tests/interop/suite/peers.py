"""The other implementations."""

import os
import shutil

from .installing import HERE, INSTALLED, NODE, NODE_MODULES, PYTHON, Needs, output
from .processes import Failure, Process

CHROMIUMS = ["chromium", "chromium-browser", "google-chrome"]


class Peer:
    """Another implementation: a program that takes commands, started when it is needed, and anew after a failure; and
    our server for it. `ask` prints its version. Of a word that is a list, the first program that there is is meant."""

    def __init__(self, name, needs, command, ask):
        self.name, self.needs = name, needs
        self.commands = command, ask
        self.version = ""
        # Our program, for the families.
        self.ours = None
        self.process = self.server = self.server_flags = None

    def prepare(self, ours):
        """Fails if the peer cannot be had."""
        self.ours = ours
        self.command, ask = ([program(word) for word in command] for command in self.commands)
        self.environment = {**os.environ, "NODE_PATH": str(NODE_MODULES)}
        self.version = output(ask, env=self.environment).strip().removeprefix("Chromium ").split(" ")[0]

    def start(self):
        if self.process is None:
            self.process = Process(self.command, self.log(), env=self.environment)
        return self.process

    def ask(self, until, command, **rest):
        """The peer's answer, which is no error."""
        told = self.start().ask(until, command, **rest)
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


def program(word):
    if not isinstance(word, list):
        return word
    found = next(filter(None, map(shutil.which, word)), None)
    if found is None:
        raise OSError(f"there is no {word[0]}")
    return found


WEBSOCKETS = Peer(
    "websockets",
    Needs(pip=("websockets==17.4",)),
    [PYTHON, HERE / "peers/websockets_peer.py"],
    [PYTHON, "-c", "import websockets; print(websockets.__version__)"],
)
WS = Peer(
    "ws",
    Needs(npm=("ws@8.23.0",), apt=NODE),
    ["node", HERE / "peers/ws.js"],
    ["node", "-p", "require('ws/package.json').version"],
)
CHROMIUM = Peer(
    "chromium",
    Needs(npm=("playwright-core@1.65.1",), apt={**NODE, "chromium": CHROMIUMS}),
    ["node", HERE / "peers/chromium.js", CHROMIUMS],
    [CHROMIUMS, "--version"],
)
