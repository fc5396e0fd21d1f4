"""Give memory that is free back to the system.

glibc gives each thread that allocates an arena of its own, and keeps what was freed there: a bot that drew pictures
and deployed stacks stays large for good. One arena and a trim now and then cost nothing that could be measured. What
is large, such as a picture, is asked of the system by itself and goes back at once; after the first one, glibc would
keep it.
"""

import asyncio
import ctypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from roas.concurrency import end_tasks, in_thread, pause

# From glibc's malloc.h.
M_ARENA_MAX = -8
M_MMAP_THRESHOLD = -3
LARGE_BYTES = 1 << 20
TRIM_SECONDS = 60.0


def keep_little() -> bool:
    """Have threads started from now on share one arena, and what is large go back when it is freed.

    Returns whether the C library knows that.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_ARENA_MAX, 1) and mallopt(M_MMAP_THRESHOLD, LARGE_BYTES))


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
        while await in_thread(trim):
            await pause(seconds)

    task = asyncio.create_task(rounds(), name="trim memory")
    try:
        yield
    finally:
        await end_tasks(task)
