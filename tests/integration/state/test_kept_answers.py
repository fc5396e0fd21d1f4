"""What is kept of the journal's answers, beside another process that writes, checkpoints and vacuums it."""

import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from roas.models.change import ChangeType, StateChange
from roas.models.ownership import Heartbeat
from roas.state.boot_clock import boot_id, boot_seconds
from roas.state.looked_at import JOURNAL_NAME
from roas.state.manager import StateManager

OTHER = """
import sqlite3, sys
journal = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
journal.execute("PRAGMA journal_mode = WAL")
for line in sys.stdin:
    for statement in line.strip().split(";"):
        journal.execute(statement).fetchall()
    print("done", flush=True)
"""
WRITE = "BEGIN IMMEDIATE;INSERT INTO owners (name, document) VALUES (hex(randomblob(8)), '{}');COMMIT"
ROLLED_BACK = "BEGIN IMMEDIATE;INSERT INTO owners (name, document) VALUES ('none', '{}');ROLLBACK"
CHECKPOINTS = tuple(f"PRAGMA wal_checkpoint({how})" for how in ("PASSIVE", "RESTART", "TRUNCATE"))
OTHER_STATEMENTS = (ROLLED_BACK, *CHECKPOINTS, "VACUUM")
STEPS = 300


class Other:
    """Have another process execute SQL on the journal."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def execute(self, statements: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{statements}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


@contextmanager
def other_process(journal: Path) -> Iterator[Other]:
    command = [sys.executable, "-c", OTHER, str(journal)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Other(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[StateManager]:
    async with StateManager(tmp_path) as state:
        yield state


@pytest.mark.parametrize("seed", range(2))
async def test_what_another_process_wrote_counts_from_the_next_beat(state: StateManager, seed: int) -> None:
    """Whatever it did to the files meanwhile; and what this one wrote counts at once."""
    chance = random.Random(seed)
    readings = there = known = 0

    async def count() -> int:
        nonlocal readings
        readings += 1
        return await state._journal.read(lambda t: int(t.execute("SELECT count(*) FROM owners").fetchone()[0]))

    with other_process(state.folder / JOURNAL_NAME) as other:
        for _ in range(STEPS):
            match chance.choice(("theirs", "theirs", "own", "beat", "beat")):
                case "own":
                    await state.record(StateChange(ChangeType.AUDIT, "test", "dev"))
                    known = there
                case "beat":
                    await state.ownership.beat_and_renew(Heartbeat(state.instance_id, boot_id(), boot_seconds()))
                    known = there
                case _:
                    statements = chance.choice((WRITE, WRITE, WRITE, WRITE, *OTHER_STATEMENTS))
                    other.execute(statements)
                    there += statements == WRITE
            for _ in range(2):
                assert known <= await state.kept.ask(count) <= there
    assert there > STEPS / 10
    assert readings < STEPS * 1.6, "of two questions after each step, not each is a reading"
