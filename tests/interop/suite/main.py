"""Builds and installs, runs every family's scenarios, and prints the table.

A family is a module with `PEERS`, a list of `peers.Peer`, and `rows(peer, options)`, which yields a row for each
scenario. Peers run side by side; the families of one of them run one after another.
"""

import argparse
import concurrent.futures
import os
import signal
import subprocess
import sys
import time

from . import browser, compression, deflate_frame, proxies, servers, table
from .installing import ROOT, install
from .processes import Process
from .table import Row
from .unpacking import unpack

FAMILIES = [compression, servers, deflate_frame, proxies, browser]


def main(description):
    peers = list(dict.fromkeys(peer for family in FAMILIES for peer in family.PEERS))
    options = parse(description, peers)
    peers = [peer for peer in peers if peer.name in options.only]

    began = time.monotonic()
    build = ["cargo", "build", "--locked", "--release", "--quiet", "-p", "sansocket-interop"]
    build += ["--features", options.features] if options.features else []
    print("+", *build, file=sys.stderr)
    building = subprocess.Popen(build, cwd=ROOT)
    install(peers)
    unpack(sorted({package for peer in peers for package in peer.needs.unpack}))
    if building.wait() != 0:
        sys.exit("it does not build")
    options.ours = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release/peer"

    for stopping in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopping, Process.stop_all)
    for peer in peers:
        peer.log().unlink(missing_ok=True)
    print(f"built and installed after {time.monotonic() - began:.0f} s", file=sys.stderr)
    with concurrent.futures.ThreadPoolExecutor(len(peers)) as threads:
        parts = threads.map(lambda peer: list(rows(peer, options)), peers)
        everything = [row for part in parts for row in part]

    table.show(everything)
    failed = sum(row.verdict != "ok" for row in everything)
    print(f"\n{len(everything)} scenarios, {failed} failed, {time.monotonic() - began:.0f} s")
    sys.exit(failed > 0)


def parse(description, peers):
    names = [peer.name for peer in peers]
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="NAME[,NAME]", type=lambda names: names.split(","), default=names)
    parser.add_argument("--messages", type=int, default=10_000, help="of the first scenario; others have up to 500")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--features", help="of our crate")
    options = parser.parse_args()
    if unknown := set(options.only) - set(names):
        parser.error(f"no such peer: {', '.join(unknown)}")
    return options


def rows(peer, options):
    """One peer's part of the table."""
    try:
        peer.prepare(options.ours)
    except (OSError, subprocess.SubprocessError) as error:
        yield Row(peer, "", "", verdict=f"FAILED: cannot be had: {error}")
        return
    try:
        for family in FAMILIES:
            if peer in family.PEERS:
                yield from family.rows(peer, options)
    finally:
        peer.stop()
        print(f"{peer.name} is done", file=sys.stderr)
