"""Check a wheel: what is in it, and what it says of itself."""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

from tools.release.source import scrubbed_environment

PACKAGE = "roas"
CATALOGUE = "/LC_MESSAGES/roas.mo"
SCRIPT = "roas = roas.__main__:run"


def contents(path: Path) -> dict[str, bytes]:
    """Return every file of a wheel."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


def metadata(path: Path) -> Message:
    """Return a wheel's METADATA."""
    files = contents(path)
    (name,) = [name for name in files if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(files[name].decode())


def faults(path: Path, direct: Path) -> Iterator[str]:
    """Yield what is wrong with a wheel; `direct` was made without the sdist in between, and has to be the same."""
    files, said = contents(path), metadata(path)
    yield from _faults_of_names(set(files))
    if (others := contents(direct)) != files:
        differ = sorted(name for name in others.keys() | files.keys() if others.get(name) != files.get(name))
        yield f"wheel: made from the sdist it is another than made from the files: {', '.join(differ)}"
    if said["License-Expression"] != "MIT":
        yield f"wheel: License-Expression is {said['License-Expression']!r}, not MIT"
    scripts = next((text.decode() for name, text in files.items() if name.endswith("/entry_points.txt")), "")
    if SCRIPT not in scripts.splitlines():
        yield f"wheel: it has no console script `{SCRIPT}`"
    if (printed := printed_version(path)) != said["Version"]:
        yield f"wheel: its version is {said['Version']}, and `roas --version` prints {printed!r}"


def _faults_of_names(names: set[str]) -> Iterator[str]:
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    if tops != {PACKAGE}:
        yield f"wheel: its top-level names are {', '.join(sorted(tops)) or 'none'}, not {PACKAGE} alone"
    if f"{PACKAGE}/py.typed" not in names:
        yield f"wheel: {PACKAGE}/py.typed is missing"
    if not any(name.startswith(f"{PACKAGE}/") and name.endswith(CATALOGUE) for name in names):
        yield f"wheel: no compiled catalogue (*{CATALOGUE})"
    if not any("/licenses/" in name and name.endswith("/LICENSE") for name in names):
        yield "wheel: LICENSE is missing"
    for name in sorted(names):
        if "tests" in name.split("/") or name.rpartition("/")[2].startswith(("test_", "conftest")):
            yield f"wheel: {name} is a test"


def printed_version(path: Path) -> str:
    """Return what `roas --version` prints when the wheel alone is on the path, beside our dependencies."""
    with tempfile.TemporaryDirectory(prefix="roas-release-") as folder:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        done = subprocess.run(
            [sys.executable, "-m", PACKAGE, "--version"],
            cwd=folder,
            env=scrubbed_environment(PYTHONPATH=folder),
            capture_output=True,
            text=True,
            check=False,
        )
    words = done.stdout.split()
    return words[-1] if done.returncode == 0 and words else (done.stderr.strip().splitlines() or [""])[-1]
