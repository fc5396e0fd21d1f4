"""Run the load beside whatever is done to the service, and judge it from the client's side."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.campaigns.requests.load import FAILED, MOMENT_SECONDS

END_SECONDS = 30


@dataclass
class Users:
    """Hold what the users of a service saw, once they have gone."""

    report: dict[str, Any] = field(default_factory=dict)

    def answered_by(self, version: str, begin: float, end: float) -> tuple[int, int, int]:
        """Return how many answers came between two moments, how many of them by a version, and failed ones of it.

        Both are of the monotonic clock; the users were to count `by_moment`.
        """
        began = self.report["began"]
        times = ((began + int(number) * MOMENT_SECONDS, seen) for number, seen in self.report["moments"].items())
        counted = sum((Counter(seen) for at, seen in times if begin - MOMENT_SECONDS < at <= end), Counter[str]())
        failed = counted[f"{version}{FAILED}"]
        return counted.total(), counted[version] + failed, failed

    @property
    def lost(self) -> int:
        """Return how many requests had no good answer."""
        return sum(self.report["failures"].values())

    @property
    def lost_once_back(self) -> list[float]:
        """Return how long after answers came again, after the longest time without any, others were lost."""
        back_at = self.report["gap_at"] + self.report["longest_gap"]
        return [failed_at - back_at for failed_at in self.report["failed_at"] if failed_at > back_at]

    def twice(self, orders: Path) -> list[str]:
        """Return the orders that were carried out more than once, by the service's own log."""
        return [order for order, times in Counter(orders.read_text().split()).items() if times > 1]

    def missing(self, orders: Path) -> list[str]:
        """Return the orders that were answered and are not in the service's log."""
        return sorted(set(self.report["posted"]) - set(orders.read_text().split()))


@contextmanager
def users(
    port: int,
    *,
    rate: float,
    seconds: float = 3600,
    name: str = "order",
    seen: Users | None = None,
    host: str = "127.0.0.1",
    by_moment: bool = False,
) -> Iterator[Users]:
    """Let users send requests for the length of the block, from a process of their own; `seen` holds what they saw.

    Where that is `by_moment`, it has what was answered in each tenth of a second, too.
    """
    command = [sys.executable, "-m", "tools.campaigns.requests.load", "--port", str(port), "--rate", str(rate)]
    process = subprocess.Popen(
        [*command, "--seconds", str(seconds), "--name", name, "--host", host, *(["--by-moment"] if by_moment else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[3],
    )
    seen = seen or Users()
    try:
        yield seen
        answer, _ = process.communicate(timeout=END_SECONDS)  # closes its input, so that it ends
        seen.report = json.loads(answer)
    finally:
        process.kill()
        process.wait()
