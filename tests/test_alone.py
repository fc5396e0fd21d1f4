"""A test that measures answers has the machine to itself."""

import asyncio
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOLD = """
import sys
from pathlib import Path
from tests.alone import Room
room = Room(Path(sys.argv[1]))
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
        self.inside = asyncio.create_task(asyncio.to_thread(self._process.stdout.readline))

    async def is_inside(self, within_seconds: float) -> bool:
        return bool(await asyncio.wait([self.inside], timeout=within_seconds) and self.inside.done())

    async def leave(self) -> None:
        await asyncio.to_thread(self._process.communicate, "\n")


async def test_who_is_alone_waits_for_all_and_is_waited_for(tmp_path: Path) -> None:
    """Nobody enters once somebody wants to be alone, or that one would never be."""
    first, second = Visitor(tmp_path, "shared"), Visitor(tmp_path, "shared")
    assert await first.is_inside(LONG_SECONDS)
    assert await second.is_inside(LONG_SECONDS)
    alone = Visitor(tmp_path, "alone")
    assert not await alone.is_inside(QUICK_SECONDS)
    await first.leave()
    late = Visitor(tmp_path, "shared")
    assert not await late.is_inside(QUICK_SECONDS)
    assert not await alone.is_inside(QUICK_SECONDS)
    await second.leave()
    assert await alone.is_inside(LONG_SECONDS)
    assert not await late.is_inside(QUICK_SECONDS)
    await alone.leave()
    assert await late.is_inside(LONG_SECONDS)
    await late.leave()
