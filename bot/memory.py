"""Give memory that is free back to the system.

glibc gives each thread that allocates an arena of its own, and keeps what was freed there: a bot that drew pictures
and deployed stays large for good. One arena and a trim now and then cost nothing that could be measured.
"""

import asyncio
import ctypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from roas.concurrency import end_tasks, pause

# From glibc's malloc.h.
M_ARENA_MAX = -8
TRIM_SECONDS = 60.0


def use_one_arena() -> bool:
    """Have threads started from now on share one arena; returns whether the C library knows that."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_ARENA_MAX, 1))


def trim() -> bool:
    """Give free memory back; returns whether the C library can, which musl cannot."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is None:
        return False
    malloc_trim(0)
    return True


@asynccontextmanager
async def kept_trimmed(seconds: float = TRIM_SECONDS) -> AsyncIterator[None]:
    """Trim every so often within the block, in a thread."""

    async def rounds() -> None:
        while await asyncio.to_thread(trim):
            await pause(seconds)

    task = asyncio.create_task(rounds(), name="trim memory")
    try:
        yield
    finally:
        await end_tasks(task)
