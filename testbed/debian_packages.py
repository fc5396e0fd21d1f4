"""Fetch programs of Debian's packages and unpack them beside the installed ones: nothing of the machine changes."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from testbed.cache import cached, recipe_hash

UNSTABLE = "sid"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.pgp"
FETCH_SECONDS = 300
INDEX = ("apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages")


class PackageError(RuntimeError):
    """The packages cannot be had; the message says why."""


def unpacked(name: str, packages: tuple[str, ...], *, suite: str = "") -> Path:
    """Return the folder that packages are unpacked in, of this machine's own suite unless another is named.

    It is kept between runs. Raises PackageError.
    """
    return cached(f"{name}-{recipe_hash(suite, *packages)}", lambda out: unpack(out, packages, suite))


def unpack(out: Path, packages: tuple[str, ...], suite: str = "") -> None:
    """Download packages, and unpack them into a new folder. Raises PackageError."""
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        apt = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root"]  # apt's own user cannot enter a folder of ours
        if suite:
            apt += _options_of(suite, state)
            _run([*apt, "update"], state)
        _run([*apt, "download", *packages], state)
        out.mkdir(parents=True)
        for package in sorted(state.glob("*.deb")):
            _run(["dpkg", "-x", str(package), str(out)], state)


def _options_of(suite: str, state: Path) -> list[str]:
    """Return how apt is told of another suite, which it keeps apart."""
    (state / "lists" / "partial").mkdir(parents=True)
    (state / "archives" / "partial").mkdir(parents=True)
    (state / "sources.list").write_text(f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n")
    options = (
        f"Dir::Etc::SourceList={state}/sources.list",
        "Dir::Etc::SourceParts=/dev/null",
        f"Dir::State::Lists={state}/lists",
        f"Dir::Cache={state}",
    )
    return [part for option in options for part in ("-o", option)]


def _mirror() -> str:
    """Return the mirror that this machine gets Debian from."""
    for line in _run(list(INDEX), Path("/")).splitlines():
        if match := re.fullmatch(r"Debian (https?://\S+)", line.strip()):
            return match[1]
    raise PackageError("apt names no mirror of Debian on this machine")


def _run(command: list[str], folder: Path) -> str:
    if shutil.which(command[0]) is None:
        raise PackageError(f"this machine has no {command[0]}, by which Debian's packages come")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS)
    if done.returncode != 0:
        raise PackageError(f"{' '.join(command[:2])} failed:\n{done.stderr[-2000:]}")
    return done.stdout
