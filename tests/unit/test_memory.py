"""What was freed goes back to the system."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from roas.service import keep_little, kept_trimmed, trim
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


LARGE_PIECES = """
import sys
from pathlib import Path
from roas.service import keep_little

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

if sys.argv[1] == "little":
    assert keep_little()
before = resident()
for _ in range(3):
    picture, beside = bytearray(24 << 20), bytearray(1 << 16)
    del picture
print(resident() - before)
"""


@pytest.mark.long
@pytest.mark.skipif(not trim(), reason="this C library cannot trim")
def test_large_pieces_go_back_at_once() -> None:
    """In a process of its own, with nothing trimmed: by itself glibc keeps the second picture."""

    def kept(mode: str) -> int:
        command = [sys.executable, "-c", LARGE_PIECES, mode]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert kept("little") < EXPECTED_BYTES / 4
    assert kept("usual") > EXPECTED_BYTES


def test_little_is_kept_by_glibc() -> None:
    assert keep_little() == trim()
