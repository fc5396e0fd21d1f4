"""What a deployment has in its hands is seen as it is, and counts for nothing once the deployment has ended."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roas.events import EventBus
from roas.health.collector import MonitoringCollector, Observation, StackSources
from roas.health.coordinator import HealthCoordinator
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus, StackHealth, Verdict
from tests.unit.one_stack import stacks_that
from tests.unit.sample_events import look

DEV = Environment("dev", "shop-dev", Path(), ())
WEB = frozenset({"web"})
NOBODY: frozenset[str] = frozenset()


class Scene:
    """Look at one container whose health the test sets, while a deployment has it in hand or not."""

    def __init__(self) -> None:
        self.bus = EventBus()
        self.health = HealthCoordinator(self.bus, clock=lambda: self.now)
        self.now = 0.0
        self.owners: list[frozenset[str]] = []
        self.told: list[tuple[Verdict, frozenset[str]]] = []
        self.status = HealthStatus.HEALTHY
        nobody: Any = SimpleNamespace(applied=self._none, holding=self._none)
        self.collector = MonitoringCollector(
            StackSources(stacks_that(containers=self._containers), SimpleNamespace(read=self._read), nobody, nobody),
            self.bus,
            self.health,
            {"dev": DEV},
        )
        self.collector.observe_with(self)
        self.collector.start()

    async def look(self, *owners: frozenset[str], status: HealthStatus = HealthStatus.HEALTHY) -> Verdict:
        """Look once; `owners` is what a deployment has in hand before and after the look."""
        self.owners, self.status = [*owners], status
        self.bus.publish(look("web"))
        await self.bus.drain()
        return self.health.verdict("dev", "web")

    async def owned(self, environment: Environment) -> frozenset[str]:
        return self.owners.pop(0)

    async def observed(
        self, environment: Environment, stack: StackHealth, definitions: Any, observation: Observation
    ) -> None:
        self.told.append((stack.services[0].verdict, observation.owned))

    async def container_event(self, *_: object) -> None:
        return

    async def _containers(self, environment: Environment) -> tuple[ContainerSnapshot, ...]:
        return (ContainerSnapshot("c1", "web", "web", ContainerState.RUNNING, self.status, "i", "i", "h"),)

    async def _read(self, environment: Environment, ids: Sequence[str]) -> Mapping[str, Any]:
        return {}

    async def _none(self, environment: str) -> None:
        return None


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    yield scene
    await scene.collector.close()
    await scene.bus.close()


async def test_deployment_flaps_forgotten_at_end(scene: Scene) -> None:
    await scene.look(NOBODY, NOBODY)
    for _ in range(3):
        assert await scene.look(WEB, WEB, status=HealthStatus.UNHEALTHY) is Verdict.UNHEALTHY
        assert await scene.look(WEB, WEB) is Verdict.HEALTHY
    await scene.look(WEB, WEB, status=HealthStatus.UNHEALTHY)
    assert await scene.look(NOBODY, NOBODY) is Verdict.HEALTHY


async def test_flapping_service_recovers_after_calm(scene: Scene) -> None:
    await scene.look(NOBODY, NOBODY)
    for _ in range(2):
        await scene.look(NOBODY, NOBODY, status=HealthStatus.UNHEALTHY)
        scene.now += 3.0
        assert await scene.look(NOBODY, NOBODY, status=HealthStatus.UNHEALTHY) is Verdict.UNHEALTHY
        last = await scene.look(NOBODY, NOBODY)
    assert last is Verdict.UNHEALTHY


@pytest.mark.parametrize("owners", [(WEB, NOBODY), (NOBODY, WEB), (WEB, WEB)])
async def test_deployment_beside_sample_owns_service(scene: Scene, owners: Any) -> None:
    """What was owned before or after a sample was owned during it."""
    await scene.look(*owners, status=HealthStatus.UNHEALTHY)
    assert scene.told == [(Verdict.UNHEALTHY, WEB)]
