"""A deployment that begins takes the hands of a healing off its environment, whichever of the two was first."""

import asyncio
from pathlib import Path

from bot.concurrency import to_the_end
from bot.models.environment import Environment
from bot.recovery.hands import Hands

DEV = Environment("dev", "shop-dev", Path(), ())
PROD = Environment("prod", "shop-prod", Path(), ())


async def test_an_attempt_comes_to_its_end_where_nothing_begins() -> None:
    async def attempt() -> str:
        return "it ended again"

    assert await Hands().work(DEV, attempt()) == (True, "it ended again")


async def test_a_deployment_ends_an_attempt_at_its_safe_point_and_waits_for_that() -> None:
    hands, begun, let_go, told = Hands(), asyncio.Event(), asyncio.Event(), list[str]()

    async def act() -> None:
        begun.set()
        await let_go.wait()
        told.append("the act is done")

    async def attempt() -> None:
        await to_the_end(act())
        told.append("not stopped")

    work = asyncio.create_task(hands.work(DEV, attempt()))
    await begun.wait()
    stopping = asyncio.create_task(hands.take_off(DEV))
    await asyncio.sleep(0)
    assert not stopping.done()
    let_go.set()
    await stopping
    assert told == ["the act is done"]
    assert await work == (False, None)


async def test_the_hands_stay_on_other_environments() -> None:
    hands, go_on = Hands(), asyncio.Event()

    async def attempt() -> None:
        await go_on.wait()

    work = asyncio.create_task(hands.work(PROD, attempt()))
    await asyncio.sleep(0)
    await hands.take_off(DEV)
    go_on.set()
    assert await work == (True, None)
