"""A test that measures answers has the machine to itself."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys
from pathlib import Path
from tests.alone import Room
room = Room(Path(sys.argv[1]))
print("knocks", flush=True)
with room.alone() if sys.argv[2] == "alone" else room.shared():
    print("inside", flush=True)
    sys.stdin.readline()
"""
QUICK_SECONDS, LONG_SECONDS = 0.3, 60


class Visitor:
    """Be in the room, as a worker of its own, until told to leave."""

    def __init__(self, folder: Path, how: str) -> None:
        command = [sys.executable, "-c", HOLD, str(folder), how]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=-1, stdout=-1, text=True)
        self._knocks = asyncio.create_task(asyncio.to_thread(self._process.stdout.readline))
        self._enters = asyncio.create_task(self._enter())

    async def is_inside(self, within_seconds: float) -> bool:
        """Return whether somebody who has knocked is inside by then."""
        await self._knocks
        await asyncio.wait([self._enters], timeout=within_seconds)
        return self._enters.done()

    async def _enter(self) -> None:
        await self._knocks
        await asyncio.to_thread(self._process.stdout.readline)

    async def leave(self) -> None:
        await asyncio.to_thread(self._process.communicate, "\n")

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def visit(tmp_path: Path) -> Iterator[Callable[[str], Visitor]]:
    """Return `visit(how)`, which lets somebody in, or wait at the gate; none of them outlives the test."""
    visitors: list[Visitor] = []

    def come(how: str) -> Visitor:
        visitors.append(Visitor(tmp_path, how))
        return visitors[-1]

    yield come
    for visitor in visitors:
        visitor.end()


async def test_who_is_alone_waits_for_all_and_is_waited_for(visit: Callable[[str], Visitor]) -> None:
    """Nobody enters once somebody wants to be alone, or that one would never be."""
    first, second = visit("shared"), visit("shared")
    assert await first.is_inside(LONG_SECONDS)
    assert await second.is_inside(LONG_SECONDS)
    alone = visit("alone")
    assert not await alone.is_inside(QUICK_SECONDS)
    await first.leave()
    late = visit("shared")
    assert not await late.is_inside(QUICK_SECONDS)
    assert not await alone.is_inside(QUICK_SECONDS)
    await second.leave()
    assert await alone.is_inside(LONG_SECONDS)
    assert not await late.is_inside(QUICK_SECONDS)
    await alone.leave()
    assert await late.is_inside(LONG_SECONDS)
    await late.leave()
