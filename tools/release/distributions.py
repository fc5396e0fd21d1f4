"""Build the wheel and the sdist."""

import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tools.release.errors import ReleaseError
from tools.release.source import scrubbed_environment


@dataclass(frozen=True, slots=True)
class Distributions:
    """Hold what was built: the sdist, the wheel from it, and the wheel straight from the files."""

    sdist: Path
    wheel: Path
    direct_wheel: Path


def build(source: Path, folder: Path, commit_time: str) -> Distributions:
    """Build the sdist, a wheel from it, and one without it. Raises ReleaseError."""
    pristine = folder / "direct-source"
    shutil.copytree(source, pristine, symlinks=True)
    _build(source, folder / "dist", commit_time)
    return Distributions(
        sdist=_only(folder / "dist", "*.tar.gz"),
        wheel=_only(folder / "dist", "*.whl"),
        direct_wheel=build_wheel(pristine, folder / "direct", commit_time),
    )


def build_wheel(source: Path, folder: Path, commit_time: str) -> Path:
    """Build a wheel straight from the files into a folder, and return it. Raises ReleaseError."""
    _build(source, folder, commit_time, "--wheel")
    return _only(folder, "*.whl")


def sdist_names(path: Path) -> list[str]:
    """Return the files of an sdist, below its folder."""
    with tarfile.open(path) as archive:
        return sorted(item.name.partition("/")[2] for item in archive if not item.isdir())


def _build(source: Path, target: Path, commit_time: str, *arguments: str) -> None:
    # With the locked setuptools of our own environment: what is built does not depend on the day.
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), *arguments, str(source)]
    environment = scrubbed_environment(SOURCE_DATE_EPOCH=commit_time)
    done = subprocess.run(command, cwd=target.parent, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReleaseError(f"`python -m build` failed:\n{(done.stdout + done.stderr).strip()[-4000:]}")


def _only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise ReleaseError(f"expected one {pattern}, found {len(found)}.")
    return found[0]
