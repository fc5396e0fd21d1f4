"""Services start while others are still being created; what was made together is complete before any goes further."""

import asyncio

import pytest

from roas.errors import EngineError, EngineUnavailableError
from roas.models.deployment import Outcome
from tests.unit.deploy.fake_engine import UNHEALTHY, FakeEngine
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.requested import deploy


class Creating(FakeEngine):
    """Tell of the first service, and make the others only once that one was started, or has failed."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.first_went_on = asyncio.Event()
        self.created_all = False
        self.fault = None

    async def create_missing(self, model_hash, chosen=None, *, created=lambda _made: None):
        if not self.running:
            first = await super().create_missing(model_hash, frozenset({"first"}))
            created(first)
            async with asyncio.timeout(5):
                await self.first_went_on.wait()
            if self.fault is not None:
                raise self.fault
            rest = await super().create_missing(model_hash, chosen)
            self.created_all = True
            return first + rest
        return await super().create_missing(model_hash, chosen)

    async def start(self, container_id):
        await super().start(container_id)
        if self.running[container_id].service == "first":
            self.first_went_on.set()

    async def remove(self, container_id, *, grace_seconds=None):
        assert self.created_all or self.fault, "nothing is taken back while Compose still creates"
        await super().remove(container_id, grace_seconds=grace_seconds)


@pytest.fixture
def engine():
    return Creating({name: service(name) for name in ("first", "second")} | {"third": service("third", "first")})


async def test_a_service_starts_while_others_are_created(orchestrator, engine, state):
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert engine.started()[0] == "first"
    assert sorted(engine.started()) == ["first", "second", "third"]
    steps = [(change.subject, change.new) for change in await state.changes("dev")]
    creating = [place for place, (_, step) in enumerate(steps) if step == "creating"]
    assert len(creating) == 3, "each intent is written before anything is made"
    assert max(creating) < min(place for place, (_, step) in enumerate(steps) if step == "starting")


async def test_creating_does_not_wait_for_hashes(orchestrator, engine, monkeypatch):
    """What containers should be is asked for beside the creation; no service starts before that is known."""
    known, asked = asyncio.Event(), engine.wanted_services
    making = asyncio.Event()

    async def wanted(model, containers=None, *, as_it_is=False):
        if as_it_is and not engine.created_all:
            await making.wait()
            assert not engine.started()
            known.set()
        return await asked(model, containers, as_it_is=as_it_is)

    async def create(*arguments, **named):
        making.set()
        return await Creating.create_missing(engine, *arguments, **named)

    monkeypatch.setattr(engine, "wanted_services", wanted)
    monkeypatch.setattr(engine, "create_missing", create)
    async with asyncio.timeout(5):
        deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert known.is_set()
    assert engine.started()[0] == "first"


async def test_a_failure_waits_until_nothing_is_created_any_more(orchestrator, engine):
    engine.behaviour["v1", "first"] = UNHEALTHY
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is not Outcome.SUCCEEDED
    assert "first" in deployment.problem.message
    assert engine.created_all


async def test_a_fault_of_creating_is_the_deployments(orchestrator, engine):
    engine.fault = EngineError("second has a port that is taken", service="second")
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is not Outcome.SUCCEEDED
    assert deployment.problem.message == "second has a port that is taken"


async def test_an_engine_that_is_away_for_a_moment_is_asked_again(orchestrator, engine):
    engine.fault = EngineUnavailableError("busy")
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert engine.started().count("first") == 1
