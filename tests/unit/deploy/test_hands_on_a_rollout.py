"""What somebody does to the containers of a rollout, in the minutes of a canary, says nothing of the release."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from roas.deploy.applier import ServiceRolloutLog
from roas.models.canary import CanaryPolicy, QueryCheck
from roas.models.deployment import Outcome
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from tests.unit.deploy.fake_engine import FakeEngine
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.requested import deploy

POLICY = CanaryPolicy((50, 50), 1, 60.0, 600.0, errors=None, queries=(QueryCheck("latency", below=1.0),))
pytestmark = pytest.mark.usefixtures("hurried_time")


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine({"web": service("web", start_first=True, canary=POLICY)})


class Hands:
    """Be somebody who types something while the canary is judged, once."""

    def __init__(self, engine: FakeEngine, typed: str) -> None:
        self.engine, self.typed = engine, typed
        self.readings = 0

    async def read_figure(self, _query: str) -> float:
        self.readings += 1
        if self.readings == 3:
            self.act()
        return 0.1

    def new(self) -> ContainerSnapshot:
        return next(item for item in self.engine.running.values() if item.image_reference == "web:v2")

    def put(self, container: ContainerSnapshot) -> None:
        self.engine.running[container.id] = container
        self.engine.tell("web")

    def act(self) -> None:
        new, began = self.new(), datetime.now(UTC)
        stopped = replace(new, state=ContainerState.EXITED, exit_code=143, was_stopped=True)
        if self.typed == "docker restart":
            self.put(stopped)
            again = replace(new, started_at=began + timedelta(minutes=1), health=HealthStatus.STARTING)
            asyncio.get_running_loop().call_later(5, self.put, again)
            asyncio.get_running_loop().call_later(10, self.put, replace(again, health=HealthStatus.HEALTHY))
        elif self.typed == "docker stop":
            self.put(stopped)
        elif self.typed == "docker rm --force":
            self.put(replace(new, state=ContainerState.REMOVING))
            asyncio.get_running_loop().call_later(2, self.remove, new.id)
        elif self.typed == "docker rm --force of the old one":
            self.remove(next(item.id for item in self.engine.running.values() if item.id != new.id))
        else:
            self.put(replace(new, state=ContainerState.EXITED, exit_code=1))

    def remove(self, container_id: str) -> None:
        del self.engine.running[container_id]
        self.engine.tell("web")


@pytest.mark.parametrize("typed", ["docker restart", "docker stop", "docker rm --force"])
async def test_hands_on_a_canary_blame_no_version(orchestrator, engine, monkeypatch, typed: str) -> None:
    """Its container comes back by itself, or is brought back, and the version is judged by what it does then."""
    hands = Hands(engine, typed)
    assert (await orchestrator.run(deploy("v1"))).outcome is Outcome.SUCCEEDED
    monkeypatch.setattr(ServiceRolloutLog, "read_figure", lambda _log, query: hands.read_figure(query))
    ended = await orchestrator.run(deploy("v2"))
    assert (ended.outcome, engine.versions()) == (Outcome.SUCCEEDED, {"web": "web:v2"}), ended.problem
    assert hands.readings >= 10, "each step was judged to its end"
    told = any("somebody else stopped it" in warning for warning in ended.warnings)
    assert told is (typed == "docker stop"), ended.warnings


async def test_canary_that_ends_by_itself_has_failed(orchestrator, engine, monkeypatch) -> None:
    hands = Hands(engine, "nothing")
    assert (await orchestrator.run(deploy("v1"))).outcome is Outcome.SUCCEEDED
    monkeypatch.setattr(ServiceRolloutLog, "read_figure", lambda _log, query: hands.read_figure(query))
    ended = await orchestrator.run(deploy("v2"))
    assert (ended.outcome, engine.versions()) == (Outcome.ROLLED_BACK, {"web": "web:v1"}), ended.problem


@pytest.mark.parametrize("moment", ["before", "meanwhile"])
async def test_version_that_nobody_could_judge_is_told(orchestrator, engine, monkeypatch, moment: str) -> None:
    """Somebody took the old version away, or it was down: the new one takes over, since nothing else serves."""
    hands = Hands(engine, "docker rm --force of the old one")
    assert (await orchestrator.run(deploy("v1"))).outcome is Outcome.SUCCEEDED
    if moment == "before":
        engine.become("web", ContainerState.EXITED, HealthStatus.NONE)
    monkeypatch.setattr(ServiceRolloutLog, "read_figure", lambda _log, query: hands.read_figure(query))
    ended = await orchestrator.run(deploy("v2"))
    assert (ended.outcome, engine.versions()) == (Outcome.SUCCEEDED, {"web": "web:v2"}), ended.problem
    assert "The new version of web was not judged: no container of the old one served." in ended.warnings
