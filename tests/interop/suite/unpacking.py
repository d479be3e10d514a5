"""Debian packages, unpacked where nobody else sees them: nothing is installed, and no service starts."""

import shutil
import subprocess

from .installing import INSTALLED, is_done, step

DEBIAN = INSTALLED / "debian"
MARKER = INSTALLED / "debian.installed"


def unpack(packages):
    """With what they depend on, as far as this machine does not have it."""
    there = MARKER.read_text().split() if MARKER.exists() else []
    due = [package for package in packages if package not in there]
    if not due:
        return
    archives = INSTALLED / "archives"
    shutil.rmtree(archives, ignore_errors=True)
    archives.mkdir()
    step(["apt-get", "-q", "update"])
    downloaded = step(["apt-get", "-q", "download", *{*due, *missing(due)}], cwd=archives)
    if downloaded and all(step(["dpkg", "-x", archive, DEBIAN]) for archive in archives.glob("*.deb")):
        is_done("debian", [*there, *due])
    shutil.rmtree(archives)


def missing(packages):
    command = ["apt-get", "-s", "install", "--no-install-recommends", *packages]
    plan = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]


def found(pattern):
    """The paths in what was unpacked."""
    paths = sorted(DEBIAN.glob(pattern))
    if not paths:
        raise OSError(f"there is no {pattern}")
    return paths


def libraries():
    """For the programs that were unpacked with their libraries."""
    return {
        "LD_LIBRARY_PATH": ":".join(map(str, [*DEBIAN.glob("usr/lib/*-linux-gnu"), *DEBIAN.glob("lib/*-linux-gnu")]))
    }
