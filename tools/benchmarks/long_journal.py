"""What people wait for with 10,000 deployments in the journal, beside the same bot before they were there."""

import asyncio
import json
import sqlite3
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.engine import Engine
from testbed.running_bot import RunningBot, Stack, running_bot
from testbed.sample import sample_image
from tools.benchmarks.deploy import IMAGE, chain
from tools.benchmarks.living import ENVIRONMENT

DEPLOYMENTS = 10_000
# Both times there is more than a page of `/history` shows: what differs is how many more.
FEW = 20
# How old the first of them is; nobody posts about what ended so long ago.
YEAR = "2020"
ASKED: Mapping[str, Mapping[str, object]] = {
    "status": {},
    "history": {},
    "deploy": {"version": "v1", "dry_run": True},
}


@dataclass(frozen=True)
class Result:
    """Hold the seconds of each command, before and after."""

    taken: Mapping[str, tuple[Sequence[float], Sequence[float]]]

    def as_dict(self) -> Mapping[str, object]:
        """Return every figure."""
        return {command: {"before": before, "after": after} for command, (before, after) in self.taken.items()}

    def as_table(self) -> str:
        """Return the medians as a Markdown table."""
        lines = [f"| Command | {FEW} deployments (s) | {DEPLOYMENTS:,} (s) | Ratio |", "|---|---|---|---|"]
        for command, (before, after) in self.taken.items():
            old, new = statistics.median(before), statistics.median(after)
            lines.append(f"| `/{command}` | {old:.3f} | {new:.3f} | {new / old:.2f} |")
        return "\n".join(lines)


def measure(engine: Engine, folder: Path, runs: int) -> Result:
    """Deploy once, put that into the journal a few times, ask, do so many times, and ask again."""
    client = engine.client()
    try:
        sample_image(client, IMAGE)
    finally:
        client.close()
    return asyncio.run(_measure(engine, folder, runs))


async def _measure(engine: Engine, folder: Path, runs: int) -> Result:
    async with running_bot(engine, folder / "bot", Stack(chain())) as bot:
        outcome = await bot.deploy(ENVIRONMENT, "v1")
        if "succeeded" not in outcome.text:
            raise RuntimeError(outcome.text)
        journal = bot.state / "journal.sqlite3"
        await asyncio.to_thread(_repeat, journal, range(FEW))
        bot.people.burst_seconds = 0
        before = await _ask_all(bot, runs)
        await asyncio.to_thread(_repeat, journal, range(FEW, DEPLOYMENTS))
        after = await _ask_all(bot, runs)
    return Result({command: (before[command], after[command]) for command in ASKED})


async def _ask_all(bot: RunningBot, runs: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {}
    for _ in range(runs):
        for command, options in ASKED.items():
            started = time.monotonic()
            await bot.ask(command, environment=ENVIRONMENT, **options)
            taken.setdefault(command, []).append(time.monotonic() - started)
    return taken


def _repeat(journal: Path, numbers: Iterable[int]) -> None:
    """Write the newest deployment again, under a name for each number, as it would have ended years ago."""
    connection = sqlite3.connect(journal, timeout=30)
    try:
        with connection:
            (known,) = connection.execute("SELECT id FROM deployments ORDER BY rowid DESC LIMIT 1").fetchone()
            for number in numbers:
                _copy(connection, known, f"{known[:-5]}{number:05}")
    finally:
        connection.close()


def _copy(connection: sqlite3.Connection, known: str, name: str) -> None:
    for table, key, unique in (
        ("deployments", "id", "interaction_id"),
        ("phases", "deployment_id", ""),
        ("service_progress", "deployment_id", ""),
    ):
        rows = connection.execute(f"SELECT * FROM {table} WHERE {key} = ?", (known,))  # noqa: S608 - a constant
        columns = [column[0] for column in rows.description]
        for row in rows.fetchall():
            fields = dict(zip(columns, row, strict=True)) | {key: name}
            fields["document"] = _long_ago(str(fields["document"]).replace(known, name))
            if unique:
                fields[unique] = None
            marks = ", ".join("?" * len(columns))
            connection.execute(f"INSERT INTO {table} VALUES ({marks})", tuple(fields.values()))  # noqa: S608 - as above


def _long_ago(document: str) -> str:
    def aged(value: object) -> object:
        if isinstance(value, dict):
            return {
                key: YEAR + item[len(YEAR) :] if key.endswith("_at") and isinstance(item, str) else aged(item)
                for key, item in value.items()
            }
        return [aged(item) for item in value] if isinstance(value, list) else value

    return json.dumps(aged(json.loads(document)))
