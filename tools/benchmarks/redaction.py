"""How long it takes to remove secrets from a log of 1 MB, of which 200 values are known."""

import random
import statistics
import string
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from roas.redaction import HIDDEN, Redactor

SECRETS = 200
LOG_BYTES = 1 << 20
SIGNS = f"{string.ascii_letters}{string.digits}-_+/$%&"


@dataclass(frozen=True)
class Result:
    """Hold the seconds of every run, and how many secrets each found."""

    log_bytes: int
    secrets: int
    found: int
    seconds: Sequence[float]

    def as_dict(self) -> Mapping[str, object]:
        """Return every figure."""
        return asdict(self) | {"median_seconds": statistics.median(self.seconds)}

    def as_table(self) -> str:
        """Return the figures as a table."""
        median, worst = statistics.median(self.seconds), max(self.seconds)
        return (
            "| log | known secrets | hidden | median | worst |\n|---|---|---|---|---|\n"
            f"| {self.log_bytes >> 10} kB | {self.secrets} | {self.found} | {median:.2f} s | {worst:.2f} s |"
        )


def measure(runs: int) -> Result:
    """Redact one log again and again."""
    chance = random.Random(1)  # noqa: S311 - not for secrets that protect anything
    secrets = ["".join(chance.choices(SIGNS, k=chance.randint(8, 64))) for _ in range(SECRETS)]
    log, planted = _log(secrets, chance)
    redactor, seconds = Redactor(secrets), []
    for _ in range(runs):
        begin = time.perf_counter()
        redacted = redactor.redact(log)
        seconds.append(time.perf_counter() - begin)
    found = redacted.count(HIDDEN)
    if found < planted:
        raise SystemExit(f"only {found} of {planted} planted secrets were hidden")
    return Result(len(log), len(secrets), found, seconds)


def _log(secrets: Sequence[str], chance: random.Random) -> tuple[str, int]:
    lines: list[str] = []
    size = planted = 0
    while size < LOG_BYTES:
        lines.append(
            f'2026-01-01T00:00:00Z web-1 INFO {{"msg": "request done", "path": "/a/b?x=%20y", "user": "jo\\u00e9",'
            f' "status": 200}} took {len(lines)} ms'
        )
        if chance.random() < 0.05:
            lines[-1] += f" {chance.choice(secrets)}"
            planted += 1
        size += len(lines[-1]) + 1
    return "\n".join(lines), planted
