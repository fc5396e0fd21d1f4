"""Time that a large stack takes: `roas deploy` beside `docker compose up -d`, by the number of services.

The services are independent, have no network and a health check every 100 ms. Both sides bring them up from nothing,
and then once more with nothing to change, alternately.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from testbed.engine import Engine
from testbed.sample import HEALTH_COMMAND, sample_image
from tools.benchmarks.deploy import IMAGE, time_bot, time_compose

SIZES = (10, 50, 100)
ROUNDS = ("all new", "nothing to change")


@dataclass(frozen=True)
class Result:
    """Hold the seconds of each round of both sides, by the number of services: `(size, side, round)` → seconds."""

    taken: Mapping[tuple[int, str, int], Sequence[float]]

    def median(self, size: int, side: str, number: int) -> float:
        """Return the median of one side's round."""
        return statistics.median(self.taken[size, side, number])

    def as_dict(self) -> Mapping[str, object]:
        """Return every figure."""
        return {
            f"{size} services, {side}, {ROUNDS[number]}": times for (size, side, number), times in self.taken.items()
        }

    def as_table(self) -> str:
        """Return the medians as a Markdown table."""
        lines = ["| Services | Round | Runs | Bot (s) | Compose (s) | Ratio |", "|---|---|---|---|---|---|"]
        for size in sorted({size for size, _, _ in self.taken}):
            for number, name in enumerate(ROUNDS):
                bot, compose = (self.median(size, side, number) for side in ("bot", "compose"))
                runs = len(self.taken[size, "bot", number])
                lines.append(f"| {size} | {name} | {runs} | {bot:.2f} | {compose:.2f} | {bot / compose:.2f} |")
        return "\n".join(lines)


def measure(engine: Engine, folder: Path, runs: int, sizes: Sequence[int] = SIZES) -> Result:
    """Run both sides alternately for each size, each from an empty environment."""
    with closing(engine.client()) as client:
        sample_image(client, IMAGE)
    taken: dict[tuple[int, str, int], list[float]] = {}
    for size in sizes:
        stack = write_stack(folder / f"stack-{size}", independent(size))
        for run in range(runs):
            sides = {
                "compose": time_compose(engine, stack, len(ROUNDS)),
                "bot": time_bot(engine, stack, folder / f"state-{size}-{run}", len(ROUNDS)),
            }
            for side, times in sides.items():
                for number, seconds in enumerate(times):
                    taken.setdefault((size, side, number), []).append(seconds)
    return Result(taken)


def independent(size: int, interval: str = "5s") -> dict[str, Mapping[str, object]]:
    """Return that many services that need nothing of each other; once healthy they are probed at an interval."""
    check = {
        "test": ["CMD-SHELL", HEALTH_COMMAND],
        "interval": interval,
        "start_period": "30s",
        "start_interval": "100ms",
    }
    service = {"image": IMAGE, "init": True, "network_mode": "none", "healthcheck": check}
    return {f"service-{number:03}": service for number in range(size)}


def write_stack(folder: Path, services: Mapping[str, object], **top: object) -> Path:
    """Write a compose file, with more of its top level, and return its folder."""
    folder.mkdir(parents=True)
    (folder / "docker-compose.yml").write_text(json.dumps({"services": services, **top}))
    return folder
