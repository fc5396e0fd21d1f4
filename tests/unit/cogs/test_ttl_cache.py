"""Whoever types fast is answered from one look."""

import asyncio

import pytest

from roas.cogs.known_versions import TtlCache


class Looks:
    def __init__(self) -> None:
        self.begun = 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.fault: Exception | None = None

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        await self.may_end.wait()
        if self.fault is not None:
            raise self.fault
        return number


async def test_typed_word_queries_once() -> None:
    glances, looks = TtlCache[int](), Looks()
    assert [await glances.ask("v", looks) for _keystroke in "v1.4.2"] == [1] * 6
    assert await glances.ask("another", looks) == 2


async def test_concurrent_callers_share_query() -> None:
    """A caller that gives up does not cancel the query of the others."""
    glances, looks = TtlCache[int](), Looks()
    looks.may_end.clear()
    impatient, patient = [asyncio.create_task(glances.ask("v", looks)) for _ in range(2)]
    await asyncio.sleep(0)
    impatient.cancel()
    looks.may_end.set()
    assert await patient == 1
    assert impatient.cancelled()


async def test_expired_entry_queried_again() -> None:
    glances, looks = TtlCache[int](fresh_seconds=0, usable_seconds=0), Looks()
    assert [await glances.ask("v", looks) for _ in range(2)] == [1, 2]


async def test_old_answer_serves_while_looked_up_anew() -> None:
    """Nobody who types waits for a large stack twice."""
    glances, looks = TtlCache[int](fresh_seconds=0), Looks()
    assert await glances.ask("v", looks) == 1
    looks.may_end.clear()

    async def type_on() -> int:
        async with asyncio.timeout(5):
            answer = await glances.ask("v", looks)
        await asyncio.sleep(0)
        return answer

    assert [await type_on() for _ in range(3)] == [1, 1, 1]
    assert looks.begun == 2, "one look-up for all who type meanwhile"
    looks.may_end.set()
    await asyncio.sleep(0)
    assert await type_on() == 2


async def test_failed_look_up_repeated_behind_the_old_answer() -> None:
    glances, looks = TtlCache[int](fresh_seconds=0), Looks()
    assert await glances.ask("v", looks) == 1
    looks.fault = RuntimeError("away")
    for begun in (2, 3):
        assert await glances.ask("v", looks) == 1
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert looks.begun == begun
    looks.fault = None
    assert await glances.ask("v", looks) == 1
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await glances.ask("v", looks) == 4


async def test_failed_query_repeated() -> None:
    glances, looks = TtlCache[int](), Looks()
    looks.fault = RuntimeError("away")
    with pytest.raises(RuntimeError):
        await glances.ask("v", looks)
    looks.fault = None
    assert await glances.ask("v", looks) == 2


async def test_cache_size_bounded() -> None:
    glances, looks = TtlCache[int](most=2), Looks()
    for key in ("a", "b", "c"):
        await glances.ask(key, looks)
    assert await glances.ask("c", looks) == 3
    assert await glances.ask("a", looks) == 4
