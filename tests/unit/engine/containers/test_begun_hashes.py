"""Where no container is there to be compared, a plan asks for no hashes; who creates waits for what was begun."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from roas.engine.compose.runner import ComposeOutput
from roas.engine.containers.pinned_services import PinnedServices
from roas.errors import EngineError
from roas.models.environment import Environment

MODEL = {"name": "shop-dev", "services": {"web": {"image": "web:1"}}}
ENVIRONMENT = Environment(name="dev", folder=Path("/stack"), compose_files=(), project="shop-dev")


class Clients:
    async def local(self, work: Callable[[], Any]) -> Any:
        return work()


class Runner:
    """Answer when it is let to, and count how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.ended = False
        self.fails = False

    def installed(self) -> tuple[str, ...]:
        return ("compose",)

    async def run(self, _arguments: list[str], _environment: Environment) -> ComposeOutput:
        self.asked += 1
        self.is_asked.set()
        try:
            await self.may_answer.wait()
        finally:
            self.ended = True
        if self.fails:
            raise EngineError("Compose fails.")
        return ComposeOutput("web hash-of-web\n", "")


@pytest.fixture
async def runner() -> Runner:
    return Runner()


@pytest.fixture
async def pinned(runner: Runner) -> AsyncIterator[PinnedServices]:
    services = PinnedServices(Clients(), runner, None)  # type: ignore[arg-type]
    yield services
    await services.close()


async def test_plan_of_new_stack_asks_nobody(pinned: PinnedServices, runner: Runner) -> None:
    found = await pinned.wanted(MODEL, ENVIRONMENT, ())
    assert found["web"].config_hash == ""
    assert not runner.asked


async def test_who_creates_waits_for_what_was_begun(pinned: PinnedServices, runner: Runner) -> None:
    pinned.begin_hashes(MODEL, ENVIRONMENT)
    creating = asyncio.ensure_future(pinned.wanted(MODEL, ENVIRONMENT, (), as_it_is=True))
    runner.may_answer.set()
    assert (await creating)["web"].config_hash == "hash-of-web"
    assert runner.asked == 1


async def test_failed_beginning_is_asked_again(pinned: PinnedServices, runner: Runner) -> None:
    runner.fails = True
    runner.may_answer.set()
    pinned.begin_hashes(MODEL, ENVIRONMENT)
    await runner.is_asked.wait()
    with pytest.raises(EngineError):
        await pinned.wanted(MODEL, ENVIRONMENT, (), as_it_is=True)
    runner.fails = False
    assert (await pinned.wanted(MODEL, ENVIRONMENT, (), as_it_is=True))["web"].config_hash == "hash-of-web"


async def test_close_ends_what_was_begun(pinned: PinnedServices, runner: Runner) -> None:
    pinned.begin_hashes(MODEL, ENVIRONMENT)
    await runner.is_asked.wait()
    assert not runner.ended
    await pinned.close()
    assert runner.ended
