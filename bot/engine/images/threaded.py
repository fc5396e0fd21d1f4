"""Iterate over a blocking stream in a thread of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from roas.concurrency import start_thread

Item = TypeVar("Item")


async def iterate_in_thread(stream: Callable[[], Iterable[Item]], name: str) -> AsyncIterator[Item]:
    """Yield what a blocking stream gives; its exceptions are raised here, and ShortageError where there is no thread.

    The thread is a daemon: where nothing wakes it any more it does not keep the process. A consumer that leaves ends
    the stream at its next item.
    """
    loop = asyncio.get_running_loop()
    items: asyncio.Queue[tuple[bool, Item | None, BaseException | None]] = asyncio.Queue()
    left = threading.Event()

    def deliver(more: bool, item: Item | None, error: BaseException | None) -> None:
        with suppress(RuntimeError):  # the loop is closed already: there is no listener any more
            loop.call_soon_threadsafe(items.put_nowait, (more, item, error))

    def run() -> None:
        try:
            for item in stream():
                if left.is_set():
                    return
                deliver(True, item, None)
        except BaseException as error:
            deliver(False, None, error)
        else:
            deliver(False, None, None)

    start_thread(run, name)
    try:
        while True:
            more, item, error = await items.get()
            if error is not None:
                raise error
            if not more:
                return
            yield item  # type: ignore[misc]
    finally:
        left.set()
