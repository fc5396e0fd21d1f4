"""Copy what a release is made from, so that no leftover of an earlier build gets into it."""

import os
import shutil
import subprocess
from pathlib import Path

from tools.release.errors import ReleaseError


def export(root: Path, target: Path, *, snapshot: bool = False) -> None:
    """Copy the files that git knows; a snapshot takes them as they lie there. Raises ReleaseError."""
    if not snapshot and (changed := _git(root, "status", "--porcelain").strip()):
        raise ReleaseError(f"There are changes that are not committed:\n{changed}", "Commit them, or try --snapshot.")
    listed = _git(root, "ls-files", "-z", "--cached", *(["--others", "--exclude-standard"] if snapshot else []))
    for name in filter(None, listed.split("\0")):
        source = root / name
        if source.is_symlink() or source.is_file():  # git also lists what was deleted since
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)


def commit_time(root: Path) -> str:
    """Return when the commit was made, in seconds: what archives bear as the time of their files."""
    return _git(root, "log", "-1", "--format=%ct").strip()


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReleaseError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def scrubbed_environment(**more: str) -> dict[str, str]:
    """Return our environment without what would change what Python finds."""
    left_out = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    return {name: value for name, value in os.environ.items() if name not in left_out} | more
