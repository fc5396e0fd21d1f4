"""Keep what takes long to make, under the hash of how it is made."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder in which images and packages are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "roas-bot"


def recipe_hash(*recipe: str) -> str:
    """Return a short hash of how something is made."""
    return hashlib.sha256("\0".join(recipe).encode()).hexdigest()[:16]


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """Return the cached file or folder of a name; make it first where it is missing, by one process and whole."""
    path = cache_folder() / name
    with _locked(path):
        if not path.exists():
            unfinished = path.with_name(f".{path.name}.unfinished")
            _discard(unfinished)
            make(unfinished)
            unfinished.rename(path)
    return path


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _discard(unfinished: Path) -> None:
    if unfinished.is_dir():
        shutil.rmtree(unfinished)
    else:
        unfinished.unlink(missing_ok=True)
