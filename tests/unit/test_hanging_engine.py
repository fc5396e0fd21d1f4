"""Where an engine hangs, what is done for the environments on another one is done all the same, and at once."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roas.alerts.bot_alerts import token_holders
from roas.alerts.node_alerts import NodeAlerts
from roas.app.maintenance import EnvironmentCheck, Maintenance
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.errors import EngineUnavailableError
from roas.leadership.takeover import OwnPlace
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from tests.unit.one_stack import stacks_that

SECONDS = 5.0
KNOWN = {name: Environment(name, name, Path("/"), ()) for name in ("a-hung", "b-well", "c-hung")}


class Hung:
    """Answer at once about the environment that is well; about the others never."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.gave_up = asyncio.Event()

    async def ask(self, environment: Environment | str, *_: object) -> Any:
        if getattr(environment, "name", environment) == "b-well":
            self.done.set()
            return ()
        await self.gave_up.wait()
        raise EngineUnavailableError("It does not answer.")

    async def nothing(self, *_: object) -> None:
        return None


@pytest.fixture
async def hung() -> Hung:
    return Hung()


def environments(hung: Hung) -> Callable[[], Awaitable[object]]:
    async def released() -> frozenset[str]:
        return frozenset(KNOWN)

    parts: Any = SimpleNamespace(
        state=SimpleNamespace(releases=SimpleNamespace(released=released), locks=SimpleNamespace(get=hung.nothing)),
        alert_service=None,
        environment_checks=[EnvironmentCheck("engine", hung.ask, only_free=True)],
        environments=KNOWN,
    )
    return Maintenance(parts)._check_environments


def sweep(hung: Hung) -> Callable[[], Awaitable[object]]:
    played: Any = SimpleNamespace(_engines=KNOWN, _sweep_error="", _own_service_sweep=SimpleNamespace(run=hung.ask))
    played._sweep = lambda environment: DeploymentOrchestrator._sweep(played, environment)
    return lambda: DeploymentOrchestrator.sweep(played)


def foreign(hung: Hung) -> Callable[[], Awaitable[object]]:
    played: Any = SimpleNamespace(_engines=KNOWN, _foreign_bots=SimpleNamespace(check=hung.ask))
    return lambda: DeploymentOrchestrator.check_foreign_bots(played)


def nodes(hung: Hung) -> Callable[[], Awaitable[object]]:
    known: Any = {name: SimpleNamespace(name=name, docker_host=name) for name in KNOWN}
    nobody: Any = None

    async def swarm(environment: Environment) -> None:
        await hung.ask(environment)

    return NodeAlerts(stacks_that(swarm=swarm), nobody, known).check  # type: ignore[arg-type]


def tokens(hung: Hung) -> Callable[[], Awaitable[object]]:
    def probe(environment: Environment) -> Any:
        return SimpleNamespace(in_container=lambda: False, holders_of=lambda _: hung.ask(environment))

    return lambda: token_holders(stacks_that(probe=probe), KNOWN.values(), "t")


@pytest.mark.parametrize("made", [environments, sweep, foreign, nodes, tokens])
async def test_look_at_all_environments(hung: Hung, made: Callable[[Hung], Callable[[], Awaitable[object]]]) -> None:
    looking = asyncio.ensure_future(made(hung)())
    try:
        await asyncio.wait_for(hung.done.wait(), SECONDS)
        assert not looking.done()
    finally:
        hung.gave_up.set()
        await asyncio.gather(looking, return_exceptions=True)


async def test_own_container_is_known_before_engine_that_hangs_answers(hung: Hung) -> None:
    own = OwnContainer("own", "bot", "b-well", "discord-bot", ())

    async def own_container(environment: Environment) -> OwnContainer | None:
        await hung.ask(environment)
        return own

    application: Any = SimpleNamespace(engines=KNOWN, own_container=own_container)
    place = OwnPlace(application)
    await asyncio.wait_for(place.find(), SECONDS)
    assert (place.container, place.home) == (own, KNOWN["b-well"])
    hung.done.clear()
    await place.find()
    assert not hung.done.is_set(), "it is known"


async def test_bot_of_no_environment_goes_on_while_engine_hangs(hung: Hung) -> None:
    """It is waited for once. The leader has seconds to say that it leads."""

    async def own_container(environment: Environment) -> None:
        await hung.ask(environment)

    application: Any = SimpleNamespace(engines=KNOWN, own_container=own_container)
    hung.gave_up.set()
    place = OwnPlace(application)
    await asyncio.wait_for(place.find(), SECONDS)
    hung.gave_up.clear()
    for _ in range(3):
        await asyncio.wait_for(place.find(), SECONDS)
    await place.close()
    assert place.home is None


async def test_own_container_that_cannot_be_found_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """It is looked for each second, in each environment."""

    async def own_container(_: Environment) -> None:
        raise EngineUnavailableError("It does not answer.")

    application: Any = SimpleNamespace(engines={"home": KNOWN["b-well"]}, own_container=own_container)
    place = OwnPlace(application)
    for _ in range(4):
        await place.find()
        if looking := {task for task in asyncio.all_tasks() if task.get_name() == "own container"}:
            await asyncio.wait(looking, timeout=SECONDS)
    await place.close()
    assert len([record for record in caplog.records if "own container" in record.getMessage()]) == 1


async def test_fault_of_a_look_that_nobody_waited_for_is_raised() -> None:
    looks = iter((EngineUnavailableError("It does not answer."), ZeroDivisionError, EngineUnavailableError("Nor now.")))

    async def own_container(_: Environment) -> None:
        raise next(looks)

    application: Any = SimpleNamespace(engines={"home": KNOWN["b-well"]}, own_container=own_container)
    place = OwnPlace(application)
    await place.find()
    await place.find()
    await asyncio.wait({task for task in asyncio.all_tasks() if task.get_name() == "own container"}, timeout=SECONDS)
    with pytest.raises(ZeroDivisionError):
        await place.find()
    await place.close()


async def test_holders_of_the_token_known_though_an_engine_does_not_answer(hung: Hung) -> None:
    async def holders(environment: Environment) -> tuple[tuple[str, str], ...]:
        await hung.ask(environment)
        return (("c1", "container old-bot-1 (old)"),)

    def probe(environment: Environment) -> Any:
        return SimpleNamespace(in_container=lambda: False, holders_of=lambda _: holders(environment))

    hung.gave_up.set()
    found = await token_holders(stacks_that(probe=probe), KNOWN.values(), "t")
    assert found == ("container old-bot-1 (old)",)
