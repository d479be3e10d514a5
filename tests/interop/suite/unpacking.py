"""Debian packages, unpacked where nobody else sees them: nothing is installed, and no service starts."""

import shutil
import subprocess

from .installing import INSTALLED, is_done, is_due, step

DEBIAN = INSTALLED / "debian"


def unpack(packages):
    """With what they depend on, as far as this machine does not have it."""
    if not packages or not is_due("debian", packages):
        return
    shutil.rmtree(DEBIAN, ignore_errors=True)
    archives = DEBIAN / "archives"
    archives.mkdir(parents=True)
    step(["apt-get", "-q", "update"])
    if not step(["apt-get", "-q", "download", *{*packages, *missing(packages)}], cwd=archives):
        return
    if all(step(["dpkg", "-x", archive, DEBIAN]) for archive in archives.glob("*.deb")):
        is_done("debian", packages)
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
    return {"LD_LIBRARY_PATH": ":".join(map(str, [*DEBIAN.glob("usr/lib/*-linux-gnu"), *DEBIAN.glob("lib/*-linux-gnu")]))}
