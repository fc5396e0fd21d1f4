"""Who follows writes in the same stack shares each look."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from roas.concurrency import end_tasks
from roas.engine.swarm import following
from roas.engine.swarm.following import Look, SharedLooks
from roas.engine.swarm.writer import SwarmWriter
from roas.errors import EngineUnavailableError
from roas.models.environment import Environment

STACK = Environment("dev", "shop", Path(), ())


class Counting:
    """Answers each question with a look that says its number."""

    def __init__(self) -> None:
        self.asked = 0
        self.asks = asyncio.Event()
        self.answer = asyncio.Event()
        self.fault: Exception | None = None

    async def ask(self, _environment: Environment, _question: Callable[[Any], Look]) -> Look:
        self.asked += 1
        self.asks.set()
        number = self.asked
        await self.answer.wait()
        if self.fault is not None:
            raise self.fault
        return Look(({"number": number},), (), {})


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Counting:
    monkeypatch.setattr(following, "POLL_SECONDS", 0.0)
    return Counting()


async def test_those_who_wait_share_a_look_and_later_ones_get_a_later_one(manager: Counting) -> None:
    looks = SharedLooks(cast("SwarmWriter", manager))
    early = [asyncio.create_task(looks.next(STACK)) for _ in range(3)]
    await manager.asks.wait()
    late = asyncio.create_task(looks.next(STACK))
    manager.answer.set()
    assert {(await one).services[0]["number"] for one in early} == {1}
    assert (await late).services[0]["number"] == 2


async def test_nobody_looks_when_nobody_waits(manager: Counting) -> None:
    """One who gives up while it waits ends no look of others, and the last one ends the looking."""
    looks = SharedLooks(cast("SwarmWriter", manager))
    asking = [asyncio.create_task(looks.next(STACK)) for _ in range(2)]
    await manager.asks.wait()
    await end_tasks(asking[0])
    manager.answer.set()
    assert (await asking[1]).services[0]["number"] == 1
    await asyncio.gather(*(one for one in asyncio.all_tasks() if one.get_name() == "looks at shop"))
    assert manager.asked == 1
    assert (await looks.next(STACK)).services[0]["number"] == 2


@pytest.mark.parametrize("fault", [EngineUnavailableError("away"), KeyError("Spec")])
async def test_all_who_wait_are_told_why_a_look_failed(manager: Counting, fault: Exception) -> None:
    manager.fault = fault
    looks = SharedLooks(cast("SwarmWriter", manager))
    manager.answer.set()
    told = await asyncio.gather(*(looks.next(STACK) for _ in range(2)), return_exceptions=True)
    assert told == [manager.fault] * 2
    manager.fault = None
    assert (await looks.next(STACK)).services
