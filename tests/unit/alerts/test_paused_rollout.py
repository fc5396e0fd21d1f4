"""While a deployment waits for a person, each service is judged by the release that it is on."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from roas.alerts.alert_service import AlertService
from roas.alerts.service_alerts import ServiceAlerts
from roas.errors import TakenBackError
from roas.events import EventBus
from roas.health.collector import Observation
from roas.health.sampler import StackSampler
from roas.health.wanted_services import WantedServices
from roas.models.deployment import Deployment, Outcome, Problem, ServiceProgress, ServiceStep
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.release import ReleaseState
from roas.models.rollout import Pause, RolloutRecord, RolloutState
from roas.models.stack import ServiceDefinition
from roas.stack.interface import ContainerEvent
from roas.state.manager import StateManager
from roas.state.transaction import Fence
from tests.unit.one_stack import OneStack
from tests.unit.state.samples import a_deployment, a_release

DEV = Environment("dev", "shop-dev", Path(), ())
WEB = ServiceDefinition("web", "web:v1", "d", replicas=2)
FIRST = replace(WEB, start_first=True)
ROLLOUT = RolloutRecord(RolloutState.PAUSED, slots=2, failed=("failed",))
OLD, NEW = "0" * 64, "f" * 64


class Scene(OneStack):
    """Look at an environment that is on one release, while a deployment to the next one is paused."""

    def __init__(self, state: StateManager, before: ServiceDefinition | None, after: ServiceDefinition) -> None:
        self.models = {OLD: {"web": before} if before else {}, NEW: {"web": after}}
        self.there: list[ContainerSnapshot] = []
        self.state, self.bus = state, EventBus()
        self.alerts = ServiceAlerts(AlertService(state.alerts, self.bus), state)
        engine: Any = self
        self.sampler = StackSampler(engine, engine, WantedServices(engine, state.releases, state.deployments))

    async def load_model(self, model_hash: str) -> str:
        return model_hash

    def definitions(self, model: str) -> Mapping[str, ServiceDefinition]:
        return self.models[model]

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        return tuple(self.there)

    async def read(self, *_: object) -> Mapping[str, object]:
        return {}

    async def pause(self, progress: ServiceProgress) -> tuple[Deployment, Fence]:
        """Pause a deployment of the second release, in which web is so far."""
        await self._release(OLD, ends=True)
        deployment, fence = await self._release(NEW, ends=False)
        await self.state.deployments.save_services(deployment, (progress,), fence)
        deployment = replace(deployment, pauses=(Pause(1, "web", "it failed", datetime.now(UTC)),))
        await self.state.deployments.set_partial(deployment, fence, partial=True)
        return deployment, fence

    async def _release(self, model: str, *, ends: bool) -> tuple[Deployment, Fence]:
        deployment = a_deployment("dev")
        fence = await self.state.deployments.create(deployment, "deploy")
        made = replace(a_release(), environment="dev", model_hash=model, state=ReleaseState.SUCCEEDED)
        release = await self.state.releases.add(made, fence)
        deployment = replace(deployment, to_release=release.number)
        await self.state.deployments.update(deployment, fence)
        if ends:
            ended = replace(deployment, outcome=Outcome.SUCCEEDED)
            await self.state.deployments.finish(ended, fence, active=release)
        return deployment, fence

    async def alerts_for(self, **healths: HealthStatus) -> list[str]:
        """Look once, and return what the alerts say."""
        self.there = [
            ContainerSnapshot(name, name, "web", ContainerState.RUNNING, health, "i", "i", "h")
            for name, health in healths.items()
        ]
        sample = await self.sampler.sample(DEV)
        observation = Observation(1.0, await self.alerts.owned(DEV))
        await self.alerts.observed(DEV, sample.stack, await self.sampler.definitions(DEV), observation)
        return [alert.summary for alert in await self.state.alerts.open()]


WELL, ILL = HealthStatus.HEALTHY, HealthStatus.UNHEALTHY
PAUSED = ServiceProgress("web", ServiceStep.PAUSED, changed=True, rollout=ROLLOUT)
ARRIVED = ServiceProgress("web", ServiceStep.HEALTHY, changed=True)


@pytest.mark.parametrize(
    ("before", "after", "healths", "alerts"),
    [
        pytest.param(FIRST, WEB, {"new": WELL, "failed": ILL}, 0, id="stop-first from now on"),
        pytest.param(FIRST, WEB, {"new": ILL, "failed": ILL}, 1, id="stop-first from now on, and the other fails"),
        pytest.param(WEB, FIRST, {"old": WELL, "failed": ILL}, 1, id="start-first from now on, and one old is lost"),
        pytest.param(WEB, FIRST, {"old": WELL, "older": WELL, "failed": ILL}, 0, id="start-first from now on"),
        pytest.param(replace(WEB, replicas=3), WEB, {"new": WELL, "failed": ILL}, 0, id="fewer replicas"),
        pytest.param(WEB, replace(WEB, replicas=4), {"old": WELL, "failed": ILL}, 0, id="more replicas"),
        pytest.param(
            FIRST, replace(FIRST, replicas=3), {"a": WELL, "b": WELL, "failed": ILL}, 0, id="more replicas, start-first"
        ),
    ],
)
async def test_failed_replica_judged_by_release_that_is_rolled_out(state, before, after, healths, alerts) -> None:
    scene = Scene(state, before, after)
    await scene.pause(PAUSED)
    assert len(await scene.alerts_for(**healths)) == alerts


@pytest.mark.parametrize(
    ("before", "healths", "alerts"),
    [
        (replace(WEB, replicas=3), {"a": WELL, "b": WELL}, 0),
        (replace(WEB, replicas=1), {"a": WELL}, 1),
        (None, {"a": WELL}, 1),
    ],
    ids=["fewer", "more", "new service"],
)
async def test_service_that_arrived_judged_by_its_new_release(state, before, healths, alerts) -> None:
    scene = Scene(state, before, WEB)
    await scene.pause(ARRIVED)
    assert len(await scene.alerts_for(**healths)) == alerts


async def test_service_not_begun_judged_by_current_release(state) -> None:
    scene = Scene(state, WEB, replace(WEB, replicas=3))
    await scene.pause(ServiceProgress("web", ServiceStep.PENDING))
    assert await scene.alerts_for(a=WELL, b=WELL) == []


async def test_what_is_taken_back_was_stopped_by_nobody_else(state) -> None:
    """On the way back from a pause, the bot itself stops what the pause was about."""
    scene = Scene(state, WEB, WEB)
    deployment, fence = await scene.pause(PAUSED)
    assert not await scene.alerts.owned(DEV), "while it waits, what breaks is told"
    await state.deployments.update(replace(deployment, problem=Problem(TakenBackError.key, "taken back")), fence)
    await state.deployments.save_services(deployment, (replace(PAUSED, step=ServiceStep.RESTORING),), fence)
    assert await scene.alerts.owned(DEV) == {"web"}
    holding = await state.deployments.holding("dev")
    assert holding is not None
    assert holding.holds("db"), "nor does recovery touch anything beside it"
    stopped = ContainerEvent("kill", "failed", "web", "shop-dev", {"signal": "15"})
    for event in (stopped, replace(stopped, action="die", attributes={"exitCode": "137"})):
        await scene.alerts.container_event(DEV, event, {})
    assert not scene.alerts.is_manual_stop("dev", "web")
