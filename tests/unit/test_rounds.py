"""Rounds are made until they are stopped, whatever becomes of one of them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from roas.concurrency import wait_for
from roas.errors import RoasError
from roas.rounds import Rounds
from tests.unit.log_lines import captured_logs

NEVER = 3600.0
SOON = 5.0


class Counted:
    """Count rounds; the first ones end as told."""

    def __init__(self, *endings: Exception | float | None) -> None:
        self.endings = list(endings)
        self.made = 0
        self.news = asyncio.Event()

    async def make(self) -> float | None:
        self.made += 1
        self.news.set()
        ending = self.endings.pop(0) if self.endings else None
        if isinstance(ending, Exception):
            raise ending
        return ending

    async def until(self, count: int) -> None:
        while self.made < count:
            self.news.clear()
            assert await wait_for(self.news, SOON), f"{self.made} rounds, {count} wanted"


@pytest.fixture
async def make_rounds():
    made = []

    def make(work: Callable[[], Awaitable[float | None]], rest_seconds: float) -> Rounds:
        made.append(Rounds("rounds", work, rest_seconds))
        return made[-1]

    yield make
    for rounds in made:
        await rounds.stop()


@pytest.mark.parametrize("fault", [RoasError("The disk is full."), RuntimeError("planted")], ids=["known", "unknown"])
async def test_round_that_fails_ends_nothing(make_rounds, fault: Exception) -> None:
    counted = Counted(fault)
    with captured_logs() as logs:
        make_rounds(counted.make, 0.0).start()
        await counted.until(2)
    assert [line["round"] for line in logs if line["log_level"] == "error"] == ["rounds"]


async def test_rest_is_what_a_round_says(make_rounds) -> None:
    counted = Counted(0.0, 0.0, NEVER)
    make_rounds(counted.make, NEVER).start()
    await counted.until(3)


async def test_waking_ends_the_rest_and_is_not_lost_in_a_round(make_rounds) -> None:
    counted, asleep = Counted(), asyncio.Event()

    async def make() -> None:
        await counted.make()
        await asleep.wait()

    rounds = make_rounds(make, NEVER)
    rounds.start()
    await counted.until(1)
    rounds.wake()
    asleep.set()
    await counted.until(2)
    rounds.wake()
    await counted.until(3)


async def test_stopping_ends_a_round_and_starting_again_begins_one(make_rounds) -> None:
    counted = Counted()

    async def make() -> None:
        await counted.make()
        await asyncio.Event().wait()

    rounds = make_rounds(make, NEVER)
    for count in (1, 2):
        rounds.start()
        rounds.start()
        await counted.until(count)
        assert rounds.is_running
        await rounds.stop()
        assert not rounds.is_running
    assert counted.made == 2
