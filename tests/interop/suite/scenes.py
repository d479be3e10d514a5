"""Scenes: our client visits a server, of ours or not, each time to see one thing."""

import time

from .compression import converse
from .processes import WATCHDOG, Failure
from .table import Row

# Without compression and with it.
FLAGS = {"": [], "compressed: ": ["--compress"]}


def program(peer):
    return peer.ours.with_name("scenes")


def visit(peer, url, scene, *flags):
    """What was agreed, and how many messages came back."""
    until = time.monotonic() + WATCHDOG
    command = [program(peer), "client", "--url", url, "--scene", scene, *map(str, flags)]
    agreed, messages = converse(command, until).split(" | ")
    return agreed, int(messages)


def play(peer, direction, name, scene):
    """The row of a scene, a function that returns what stands in it."""
    row = Row(peer, direction, name)
    try:
        row.seen, row.messages = scene()
    except Failure as failure:
        row.verdict = f"FAILED: {failure}"
        peer.stop()
    return row
