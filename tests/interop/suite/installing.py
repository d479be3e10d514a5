"""What the peers need, by package name: one call of pip, npm and apt-get each."""

import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
INSTALLED = HERE / ".peers"
PYTHON = INSTALLED / "venv/bin/python"
NODE_MODULES = INSTALLED / "node_modules"


@dataclasses.dataclass(frozen=True)
class Needs:
    pip: tuple = ()
    npm: tuple = ()
    # Debian's, each with the programs of which any one will do instead.
    apt: dict = dataclasses.field(default_factory=dict)
    # Debian's, too, for `unpacking`.
    unpack: tuple = ()


NPM = {"npm": ["npm"]}


def install(peers):
    """Installs what the peers need and is not there. What fails is told by the peers that miss it."""
    INSTALLED.mkdir(exist_ok=True)
    pip, npm = (
        list(dict.fromkeys(package for peer in peers for package in getattr(peer.needs, of))) for of in ("pip", "npm")
    )
    apt = {package: programs for peer in peers for package, programs in peer.needs.apt.items()}
    wanted = [package for package, programs in apt.items() if not any(map(shutil.which, programs))]
    if pip and subprocess.run([sys.executable, "-c", "import ensurepip, venv"]).returncode != 0:
        wanted.append("python3-venv")
    if wanted:
        step(["apt-get", "-q", "update"])
        step(["apt-get", "-qy", "install", "--no-install-recommends", *wanted])
    if pip and is_due("pip", pip):
        shutil.rmtree(INSTALLED / "venv", ignore_errors=True)
        command = [PYTHON, "-m", "pip", "--disable-pip-version-check", "-q", "install"]
        if step([sys.executable, "-m", "venv", INSTALLED / "venv"]) and step([*command, *pip]):
            is_done("pip", pip)
    if npm and is_due("npm", npm):
        shutil.rmtree(NODE_MODULES, ignore_errors=True)
        # It lists what was there.
        (INSTALLED / "package.json").unlink(missing_ok=True)
        if step(["npm", "install", "--silent", "--no-package-lock", "--prefix", INSTALLED, *npm]):
            is_done("npm", npm)


def is_due(name, packages):
    """Whether one of the packages was not installed by the last call."""
    marker = INSTALLED / f"{name}.installed"
    return not marker.exists() or not set(packages) <= set(marker.read_text().split())


def is_done(name, packages):
    (INSTALLED / f"{name}.installed").write_text(" ".join(packages))


def step(command, **options):
    print("+", *command, file=sys.stderr)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(command, stdout=sys.stderr, env=environment, timeout=600, **options).returncode == 0
    except (OSError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return False


def output(command, **options):
    """What a command prints. Debian's `chromium` has complaints, too."""
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=600, **options
    ).stdout
