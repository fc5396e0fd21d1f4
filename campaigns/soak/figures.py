"""Read what the bot says of itself on /metrics, as Prometheus would, and what the machine says of its process."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Series = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Metrics:
    """Hold every sample of one reading."""

    samples: Mapping[Series, float]

    @classmethod
    def parse(cls, text: str) -> "Metrics":
        """Read Prometheus' text format."""
        found: dict[Series, float] = {}
        for line in text.splitlines():
            if line.startswith("#") or (match := SAMPLE.match(line)) is None:
                continue
            labels = tuple(sorted(LABEL.findall(match["labels"] or "")))
            found[match["name"], labels] = float(match["value"])
        return cls(found)

    @property
    def series(self) -> int:
        """Count the time series."""
        return len(self.samples)

    def total(self, name: str, **labels: str) -> float:
        """Add up a metric over all series that have these labels."""
        wanted = set(labels.items())
        return sum(value for (known, those), value in self.samples.items() if known == name and wanted <= set(those))

    def labels(self, label: str) -> set[str]:
        """Return every value that a label has anywhere."""
        return {value for _, those in self.samples for known, value in those if known == label}

    def since(self, before: "Metrics") -> "Metrics":
        """Return what was counted since an earlier reading."""
        return Metrics({key: value - before.samples.get(key, 0.0) for key, value in self.samples.items()})

    def quantile(self, share: float, histogram: str) -> float | None:
        """Return the bound of the bucket in which a share of all is reached; None of nothing."""
        buckets = sorted(
            (float(dict(labels)["le"]), value)
            for (name, labels), value in self.samples.items()
            if name == f"{histogram}_bucket"
        )
        if not buckets or buckets[-1][1] <= 0:
            return None
        return next(bound for bound, value in buckets if value >= share * buckets[-1][1])


@dataclass(frozen=True)
class Held:
    """Hold how much memory the bot had at one moment, in MiB, and how many deployments it had done by then."""

    minute: float
    memory: float
    deployments: float


@dataclass(frozen=True)
class Footprint:
    """Hold the bot's resource usage at one moment: memory in MiB, its journal in KiB, and counts."""

    minute: float
    memory: float
    files: int
    threads: int
    journal: float
    state_files: int
    rows: Mapping[str, int]
    containers: int
    images: int


def memory_of(pid: int) -> float:
    """Return a process's resident memory in MiB."""
    return _status(pid, "VmRSS") / 1024


def threads_of(pid: int) -> int:
    """Return how many threads a process has."""
    return int(_status(pid, "Threads"))


def open_files_of(pid: int) -> int:
    """Return how many files a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _status(pid: int, key: str) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(f"{key}:")))
