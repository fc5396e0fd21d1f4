"""What was freed goes back to the system."""

import asyncio
import threading
from pathlib import Path

import pytest

from roas.memory import kept_trimmed, trim, use_one_arena
from testbed.waiting import wait_until

PIECES = 60_000
PIECE_BYTES = 900
WORKERS = 6
EXPECTED_BYTES = 20_000_000


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def fragment() -> list[list[bytearray]]:
    """Allocate in many threads and free nearly all of it; what stays keeps the arenas from shrinking."""
    kept: list[list[bytearray]] = []

    def work() -> None:
        pieces = [bytearray(PIECE_BYTES) for _ in range(PIECES)]
        kept.append(pieces[::200])

    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return kept


@pytest.mark.skipif(not trim(), reason="this C library cannot trim")
def test_trim_gives_freed_memory_back() -> None:
    kept = fragment()
    before = resident_bytes()
    assert trim()
    assert before - resident_bytes() > EXPECTED_BYTES
    assert kept


@pytest.mark.skipif(not trim(), reason="this C library cannot trim")
async def test_memory_is_trimmed_within_the_block() -> None:
    kept = fragment()
    before = resident_bytes()
    async with kept_trimmed(0.01):
        assert await asyncio.to_thread(wait_until, lambda: before - resident_bytes() > EXPECTED_BYTES, 20)
    assert kept
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "trim memory"]


def test_one_arena_is_taken_by_glibc() -> None:
    assert use_one_arena() == trim()
