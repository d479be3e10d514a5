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
import traceback

from . import browser, compression, conversation, deflate_frame, proxies, servers, table
from .installing import ROOT, install
from .processes import Process
from .table import Row
from .unpacking import unpack

FAMILIES = [conversation, compression, servers, deflate_frame, proxies, browser]
# Peers, each with a server or client of ours.
SIDE_BY_SIDE = 4


def main(description):
    peers = list(dict.fromkeys(peer for family in FAMILIES for peer in family.PEERS))
    options = parse(description, peers)
    wanted = {peer for family in options.families for peer in family.PEERS if peer.name in options.only}
    peers = [peer for peer in peers if peer in wanted]

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
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        parts = threads.map(lambda peer: list(rows(peer, options)), peers)
        everything = [row for part in parts for row in part]

    table.show(everything)
    failed, absent = (sum(row.verdict.startswith(of) for row in everything) for of in ("FAILED", "not there"))
    seconds = time.monotonic() - began
    print(f"\n{len(everything)} scenarios, {failed} failed, {absent} not there, {seconds:.0f} s")
    sys.exit(failed > 0)


def parse(description, peers):
    names = [peer.name for peer in peers]
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    families = {family.__name__.rpartition(".")[2]: family for family in FAMILIES}
    parser.add_argument("--only", metavar="NAME[,NAME]", type=lambda names: names.split(","), default=names)
    parser.add_argument("--family", choices=families)
    parser.add_argument("--quick", action="store_true", help="no products of parameters, and few messages")
    parser.add_argument("--messages", type=int, help="of compression's first scenario; others have up to 500")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--features", help="of our crate")
    options = parser.parse_args()
    if unknown := set(options.only) - set(names):
        parser.error(f"no such peer: {', '.join(unknown)}")
    options.messages = options.messages or (100 if options.quick else 10_000)
    options.families = [families[options.family]] if options.family else FAMILIES
    return options


def rows(peer, options):
    """One peer's part of the table."""
    began = time.monotonic()
    try:
        peer.prepare(options.ours)
    except (OSError, subprocess.SubprocessError) as error:
        yield Row(peer, "", "", verdict=f"FAILED: cannot be had: {error}")
        return
    try:
        for family in options.families:
            if peer in family.PEERS:
                yield from family.rows(peer, options)
    except Exception as error:
        traceback.print_exc()
        yield Row(peer, "", "", verdict=f"FAILED: {error!r}")
    finally:
        peer.stop()
        print(f"{peer.name} is done after {time.monotonic() - began:.0f} s", file=sys.stderr)
