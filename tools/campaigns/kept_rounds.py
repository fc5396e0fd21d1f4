"""Keep a line of each round in a results folder: a campaign goes on where it stopped, as long as the code is the same.

Only the rooms count that act on a stack, and what all rooms share: a new text or command makes no round worth less.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

BOT = Path(__file__).resolve().parents[2] / "bot"
ROOMS = ("alerts", "app", "deploy", "health", "leadership", "recovery", "stack", "state")
FILE_NAME = "rounds.jsonl"
DIGITS = 12


def code_version() -> str:
    """Return what stands for the code that is tested, as it is in the files."""
    digest = hashlib.sha256()
    for path in sorted([*BOT.glob("*.py"), *(path for room in ROOMS for path in (BOT / room).rglob("*.py"))]):
        digest.update(f"{path.relative_to(BOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:DIGITS]


class KeptRounds:
    """Write rounds as they are played, and know those that were played of this code."""

    def __init__(self, results: Path) -> None:
        results.mkdir(parents=True, exist_ok=True)
        self._path = results / FILE_NAME
        self.code = code_version()

    def add(self, key: str, facts: Mapping[str, Any]) -> None:
        """Write how one round went; its key is the same in each sitting."""
        line = {"key": key, "code": self.code, "at": datetime.now(UTC).isoformat(timespec="seconds"), **facts}
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield what was written of this code, in order."""
        for text in self._path.read_text().splitlines() if self._path.exists() else ():
            line = json.loads(text)
            if line.get("code") == self.code:
                yield line

    def last(self) -> dict[str, dict[str, Any]]:
        """Return how each round went the last time."""
        return {line["key"]: line for line in self.lines()}
