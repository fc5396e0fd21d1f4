"""How long it takes to hash a build context, and to copy it, beside `cp -r` of the same files."""

import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from roas.stack.sources.build_context import BuildContext, IgnoreRules
from roas.stack.sources.withheld import Withheld

FILES = 2_000
BYTES = 256 << 20
FOLDERS = 50
GIGABYTE = 1 << 30
COPY_SECONDS = 600


@dataclass(frozen=True)
class Result:
    """Hold the seconds of every run of each."""

    size: int
    files: int
    hashed: Sequence[float]
    copied: Sequence[float]
    peer: Sequence[float]

    def as_dict(self) -> Mapping[str, object]:
        """Return every figure."""
        return asdict(self)

    def as_table(self) -> str:
        """Return the medians as a table, in seconds per GB, and the ratio to the peer."""
        peer = statistics.median(self.peer)
        rows = (("to hash, for a plan", self.hashed), ("to copy and hash, for a build", self.copied))
        lines = [f"| {self.size >> 20} MB in {self.files} files | seconds per GB | ratio |", "|---|---|---|"]
        for name, seconds in (*rows, ("`cp -r`", self.peer)):
            median = statistics.median(seconds)
            lines.append(f"| {name} | {median / self.size * GIGABYTE:.1f} | {median / peer:.2f} |")
        return "\n".join(lines)


def measure(runs: int) -> Result:
    """Hash, copy, and let `cp` copy one context, in turns."""
    with tempfile.TemporaryDirectory(prefix="roas-context-") as name:
        folder = Path(name)
        root = folder / "stack"
        size = _write(root)
        context = BuildContext(root, root, IgnoreRules(""), Withheld())
        hashed, copied, peer = [], [], []
        for _ in range(runs):
            hashed.append(_timed(context.take))
            copied.append(_timed(lambda: context.take(folder / "copy")))
            shutil.rmtree(folder / "copy")
            peer.append(_timed(lambda: _cp(root, folder / "copy")))
            shutil.rmtree(folder / "copy")
    return Result(size, FILES, hashed, copied, peer)


def _write(root: Path) -> int:
    """Write files of many sizes, as sources and a few large ones have; returns how many bytes they hold."""
    chance = random.Random(1)  # noqa: S311 - the same files in every run
    shares = [chance.paretovariate(1.2) for _ in range(FILES)]
    block, size = chance.randbytes(1 << 20), 0
    for number, share in enumerate(shares):
        wanted = max(1, int(share / sum(shares) * BYTES))
        path = root / f"folder{number % FOLDERS}" / f"file{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((block * (wanted // len(block) + 1))[:wanted])
        size += wanted
    return size


def _cp(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", str(source), str(target)], check=True, timeout=COPY_SECONDS)


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
