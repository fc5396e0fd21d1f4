"""Work that is shared, that runs in a thread of its own, and that waits in step."""

import asyncio
import threading

import pytest

from roas.concurrency import SingleFlight, end_tasks, in_thread
from roas.errors import ShortageError


class Work:
    """Count how often it was done, and end only when a test lets it."""

    def __init__(self) -> None:
        self.begun = 0
        self.most_at_once = 0
        self.go_on = asyncio.Event()
        self._at_once = 0

    async def __call__(self) -> int:
        self.begun += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        number = self.begun
        await self.go_on.wait()
        self._at_once -= 1
        return number


@pytest.fixture
def work() -> Work:
    return Work()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_later_callers_share_next_run(work):
    shared: SingleFlight[int] = SingleFlight()
    first = asyncio.create_task(shared.ask("a", work))
    await settle()
    others = [asyncio.create_task(shared.ask("a", work)) for _ in range(50)]
    await settle()
    assert work.begun == 1
    work.go_on.set()
    assert await first == 1
    assert await asyncio.gather(*others) == [2] * 50
    assert await shared.ask("a", work) == 3, "and whoever comes afterwards gets one of their own"
    assert work.most_at_once == 1


async def test_different_keys_run_concurrently(work):
    shared: SingleFlight[int] = SingleFlight()
    asked = [asyncio.create_task(shared.ask(key, work)) for key in ("a", "b")]
    await settle()
    assert work.begun == 2
    work.go_on.set()
    assert sorted(await asyncio.gather(*asked)) == [1, 2]


async def test_failure_reaches_only_its_callers():
    shared: SingleFlight[int] = SingleFlight()
    failing = True

    async def work() -> int:
        await asyncio.sleep(0)
        if failing:
            raise OSError("away")
        return 1

    tasks = [asyncio.create_task(shared.ask("a", work)) for _ in range(3)]
    assert all(isinstance(error, OSError) for error in await asyncio.gather(*tasks, return_exceptions=True))
    failing = False
    assert await shared.ask("a", work) == 1


async def test_cancelled_caller_keeps_others(work):
    shared: SingleFlight[int] = SingleFlight()
    impatient, patient = (asyncio.create_task(shared.ask("a", work)) for _ in range(2))
    await settle()
    impatient.cancel()
    work.go_on.set()
    assert await patient == 2
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_close_cancels_pending_work(work):
    shared: SingleFlight[int] = SingleFlight()
    asked = [asyncio.create_task(shared.ask("a", work)) for _ in range(3)]
    await settle()
    await shared.close()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)


async def test_ended_tasks_have_cleaned_up():
    """Whoever ends tasks goes on when all of them are done, whatever one of them raises while it ends."""
    cleaned: list[str] = []

    async def run(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(name)
            if name == "raises":
                raise ValueError(name)

    tasks = [asyncio.create_task(run(name)) for name in ("first", "raises", "last")]
    await asyncio.sleep(0)
    await end_tasks(*tasks)
    assert cleaned == ["first", "raises", "last"]
    assert all(task.done() for task in tasks)


async def test_blocking_work_is_done_in_another_thread():
    assert await in_thread(threading.get_ident) != threading.get_ident()


async def test_work_without_a_thread_is_refused_and_never_done(monkeypatch: pytest.MonkeyPatch):
    done: list[str] = []

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(ShortageError):
        await in_thread(done.append, "done")
    monkeypatch.undo()
    await in_thread(int)
    assert done == []
