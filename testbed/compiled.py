"""Keep what Python compiles of the sources for the next clone: `python -m testbed.compiled take|keep`.

Python takes what it compiled for good by when the source was written, which is another time in each clone: what is kept
goes by what the source says. pytest's own, with its asserts rewritten, has that within.
"""

import hashlib
import importlib.util
import marshal
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from testbed.cache import cache_folder

ROOT = Path(__file__).resolve().parents[1]
NAME = f"compiled-{sys.implementation.cache_tag}"
HEADER_BYTES = 16
BY_TIME = importlib.util.MAGIC_NUMBER + bytes(4)
# Each worker compiles what is missing: of so few files that takes less than to collect all tests for it first.
SOON_COMPILED = 60
Kept = dict[str, tuple[bytes, bytes]]


def compiled_files(root: Path) -> Iterator[Path]:
    """Return what this Python has compiled of each source that is there."""
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if not name.startswith(".")]
        if folder.endswith("__pycache__"):
            found = (Path(folder) / name for name in names if f".{sys.implementation.cache_tag}" in name)
            yield from (path for path in found if path.suffix == ".pyc" and _source(path).exists())


def keep(root: Path, archive: Path) -> None:
    """Keep what is compiled, and what was kept before of other sources that are still there."""
    found: Kept = {name: item for name, item in _kept(archive).items() if _source(root / name).exists()}
    for path in compiled_files(root):
        found[str(path.relative_to(root))] = _says(_source(path)), path.read_bytes()
    archive.parent.mkdir(parents=True, exist_ok=True)
    own = archive.with_name(f"{archive.name}.{os.getpid()}")
    own.write_bytes(marshal.dumps(found))
    own.replace(archive)


def take(root: Path, archive: Path) -> bool:
    """Lay out what was kept of sources as they are now; tells whether that is nearly all of the tests."""
    tests = set((root / "tests").rglob("test_*.py"))
    for name, (says, compiled) in _kept(archive).items():
        path = root / name
        source = _source(path)
        if source.exists() and _says(source) == says:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(_header(source, compiled[:HEADER_BYTES]) + compiled[HEADER_BYTES:])
            tests.discard(source)
    return len(tests) < SOON_COMPILED


def _header(source: Path, kept: bytes) -> bytes:
    if not kept.startswith(BY_TIME):
        return kept
    written = source.stat()
    return BY_TIME + struct.pack("<II", int(written.st_mtime) & 0xFFFFFFFF, written.st_size & 0xFFFFFFFF)


def _kept(archive: Path) -> Kept:
    try:
        return dict(marshal.loads(archive.read_bytes()))  # noqa: S302 - our own, as what is compiled is
    except (OSError, ValueError, EOFError, TypeError):
        return {}


def _source(compiled: Path) -> Path:
    return compiled.parents[1] / f"{compiled.name.partition('.')[0]}.py"


def _says(source: Path) -> bytes:
    return hashlib.sha256(source.read_bytes()).digest()


if __name__ == "__main__":
    archive = cache_folder() / NAME
    if sys.argv[1:] == ["take"]:
        sys.exit(not take(ROOT, archive))
    keep(ROOT, archive)
