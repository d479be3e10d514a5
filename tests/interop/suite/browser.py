"""The example `chat` in Chromium. What is in the page is compared, and the browser has nothing to complain of."""

import subprocess
import time

from . import scenes
from .installing import HERE, INSTALLED, ROOT
from .peers import CHROMIUM
from .processes import WATCHDOG, Failure, Process

PEERS = [CHROMIUM]

STEPS = ["joins", "talks", "says a lot", "reads", "is left alone", "comes back", "leaves", "gives up"]


def rows(peer, options):
    build = ["cargo", "build", "--locked", "--release", "--quiet", "-p", "sansocket-tokio", "--example", "chat"]
    built = subprocess.run(build, cwd=ROOT)
    chat = peer.ours.with_name("examples") / "chat"
    node, _, chromium, *_ = peer.command
    page = Process([node, HERE / "peers/chat.js", chromium, chat, INSTALLED], peer.log(), env=peer.environment)

    def step(name):
        if built.returncode != 0:
            raise Failure("the example does not build")
        told = page.ask(time.monotonic() + WATCHDOG, name)
        if told["error"]:
            raise Failure(told["error"])
        return "", ""

    try:
        for name in STEPS:
            yield scenes.play(peer, "chromium → sansocket", f"chat: {name}", lambda: step(name))
    finally:
        page.stop()
