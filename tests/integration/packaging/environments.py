"""Clean environments: a Python that has the wheel and its dependencies, and nothing of this repository."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from tools.release.distributions import build_wheel
from tools.release.source import commit_time, export

ROOT = Path(__file__).resolve().parents[3]
ARRANGED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OLDEST_PYTHON: str = ARRANGED["requires-python"].removeprefix(">=")
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
CLAIMED = {name.rpartition(" :: ")[2] for name in ARRANGED["classifiers"] if " :: Python :: 3." in name}
PYTHONS = sorted(CLAIMED | {OLDEST_PYTHON, THIS_PYTHON})


class Pins(StrEnum):
    """Say which of the allowed versions of our dependencies are installed."""

    LOWEST = "requirements-lowest.lock"
    NEWEST = "requirements.lock"


@dataclass(frozen=True)
class Kind:
    """Say which Python, and which versions of our dependencies."""

    python: str
    pins: Pins

    def __str__(self) -> str:
        return f"{self.python} {self.pins.name.lower()}"


KINDS = [Kind(python, pins) for python in PYTHONS for pins in Pins]
USUAL = Kind(THIS_PYTHON, Pins.NEWEST)
OLDEST = Kind(OLDEST_PYTHON, Pins.LOWEST)
# Of what is claimed, the ends: what runs on them runs on what lies between, until the long lane says otherwise.
ENDS = {USUAL, OLDEST, Kind(OLDEST_PYTHON, Pins.NEWEST)}


def marked(kind: Kind, ordinary: Collection[Kind] = (USUAL,)) -> object:
    """Return a kind as a parameter; all but the `ordinary` ones belong to the long lane."""
    return pytest.param(kind, id=str(kind), marks=() if kind in ordinary else pytest.mark.long)


@dataclass(frozen=True)
class CleanEnvironment:
    """Hold where the environment is, and the wheel that is installed there."""

    folder: Path
    wheel: Path

    def program(self, name: str) -> Path:
        """Return a program of the environment."""
        return self.folder / "bin" / name

    def run(self, folder: Path, *command: str, code: int = 0) -> str:
        """Run a program of the environment in a folder, with nothing of ours around it; return what it prints."""
        variables = {"PATH": f"{self.folder / 'bin'}:{os.defpath}", "HOME": str(folder), "NO_COLOR": "1"}
        return _run(str(self.program(command[0])), *command[1:], folder=folder, variables=variables, code=code)

    def copy_package(self, folder: Path) -> Path:
        """Copy what is installed of the wheel, and compiled, into a folder that a test may change, and return it."""
        (installed,) = self.folder.glob("lib/python*/site-packages/roas")
        shutil.copytree(installed, folder / installed.name)
        return folder


def make_wheel(folder: Path) -> Path:
    """Build the wheel of the files as they lie here."""
    export(ROOT, folder / "source", snapshot=True)
    return build_wheel(folder / "source", folder / "wheel", commit_time(ROOT))


def make_environment(kind: Kind, wheel: Path, folder: Path) -> CleanEnvironment:
    """Install the wheel into an environment of its own, and see that it is content with the versions there."""
    uv, variables = _uv(), _installer_variables()
    install = (uv, "pip", "install", "--quiet", "--system-certs", "--python", str(folder), "--only-binary", ":all:")
    _run(uv, "venv", "--quiet", "--no-project", "--python", _interpreter(kind.python), str(folder), variables=variables)
    _run(*install, "--require-hashes", "-r", str(ROOT / kind.pins), variables=variables)
    _run(*install, "--no-deps", str(wheel), variables=variables)
    _run(uv, "pip", "check", "--quiet", "--python", str(folder), variables=variables)
    return CleanEnvironment(folder, wheel)


def _interpreter(python: str) -> str:
    """Return a Python of that version: this one, one on PATH, or one that pyenv or uv keeps."""
    if python == THIS_PYTHON:
        return sys.executable
    on_path = [Path(folder) for folder in os.environ["PATH"].split(":")]
    by_pyenv = [found for shims in on_path for found in shims.parent.glob(f"versions/{python}.*/bin")]
    by_uv = Path.home().glob(f".local/share/uv/python/cpython-{python}.*/bin")
    for folder in (*on_path, *by_pyenv, *by_uv):
        program = folder / f"python{python}"
        # What pyenv has on PATH runs nothing unless that version was chosen.
        if program.is_file() and not subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode:
            return str(program)
    pytest.skip(f"Python {python} is not on this machine")


def _uv() -> str:
    found = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        pytest.fail("uv is not installed: run script/bootstrap --test", pytrace=False)
    return found


def _installer_variables() -> dict[str, str]:
    """Return our variables, with pip's index for uv as well, and without an environment to install into."""
    variables = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    if index := variables.get("PIP_INDEX_URL"):
        variables.setdefault("UV_DEFAULT_INDEX", index)
    return variables


def _run(*command: str, variables: dict[str, str], folder: Path | None = None, code: int = 0) -> str:
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
