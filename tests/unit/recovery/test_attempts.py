"""A deployment that begins takes the hands of a recovery off its environment, whichever of the two was first."""

import asyncio
from pathlib import Path

import pytest

from roas.concurrency import run_uninterrupted
from roas.errors import StateError
from roas.models.environment import Environment
from roas.recovery import attempts
from roas.recovery.attempts import RecoveryAttempts

DEV = Environment("dev", "shop-dev", Path(), ())
PROD = Environment("prod", "shop-prod", Path(), ())


async def free() -> bool:
    return False


async def test_undisturbed_attempt_completes() -> None:
    async def attempt() -> str:
        return "it ended again"

    assert await RecoveryAttempts().run(DEV, attempt(), free) == (True, "it ended again")


async def test_deployment_stops_attempt_at_safe_point() -> None:
    """The deployment waits for that."""
    own, begun, done, said = RecoveryAttempts(), asyncio.Event(), asyncio.Event(), list[str]()

    async def act() -> None:
        begun.set()
        await done.wait()
        said.append("the act is done")

    async def attempt() -> None:
        await run_uninterrupted(act())
        said.append("not stopped")

    work = asyncio.create_task(own.run(DEV, attempt(), free))
    await begun.wait()
    stopping = asyncio.create_task(own.cancel(DEV))
    await asyncio.sleep(0)
    assert not stopping.done()
    done.set()
    await stopping
    assert said == ["the act is done"]
    assert await work == (False, None)


async def test_other_environment_not_interrupted() -> None:
    own, go_on = RecoveryAttempts(), asyncio.Event()

    async def attempt() -> None:
        await go_on.wait()

    work = asyncio.create_task(own.run(PROD, attempt(), free))
    await asyncio.sleep(0)
    await own.cancel(DEV)
    go_on.set()
    assert await work == (True, None)


async def test_foreign_deployment_seen_by_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "LOOK_SECONDS", 0.01)
    answers = [False, StateError("it cannot be read just now"), True]

    async def is_taken() -> bool:
        if isinstance(answer := answers.pop(0), StateError):
            raise answer
        return answer

    async def attempt() -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        assert await RecoveryAttempts().run(DEV, attempt(), is_taken) == (False, None)
