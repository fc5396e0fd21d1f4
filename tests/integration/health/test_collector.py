"""The collector watches a real stack on a real engine."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from roas.events import EventBus
from roas.health.collector import MonitoringCollector, StackSources
from roas.health.coordinator import HealthCoordinator
from roas.health.stack_watch import RECONCILE_SECONDS
from roas.health.verdicts import HysteresisRules
from roas.metrics.bot_metrics import Metrics
from roas.models.environment import Environment
from roas.models.events import MonitoringRequested, ServiceHealthChanged
from roas.models.health import ContainerState, Verdict
from roas.stack.containers.docker_events import EventSubscription
from roas.stack.containers.snapshots import take_snapshots
from roas.stack.containers.statistics import StatisticsReader
from roas.stack.docker.engine import EngineClients
from roas.stack.docker.labels import NUMBER, ONE_OFF, PROJECT, SERVICE
from testbed.daemon import PrivateDaemon
from tests.unit.one_stack import stacks_that

WAIT_SECONDS = 60.0
# What is seen is told by events alone: the look behind them does not come while a test runs.
NO_SLOW_LOOK = 3600.0
HEALTHCHECK = {
    "test": ["CMD-SHELL", "wget -q -O /dev/null http://127.0.0.1:8080/health"],
    "interval": 200_000_000,
    "timeout": 2_000_000_000,
    "retries": 1,
}


def real_stacks(clients: EngineClients) -> Any:
    """Give what a collector needs of each stack, straight from its parts."""

    def events(environment: Environment, *, since_ns: int | None = None) -> EventSubscription:
        return EventSubscription(clients.of(environment), since_ns=since_ns)

    return stacks_that(containers=lambda environment: take_snapshots(clients.of(environment)), events=events)


class NoReleases:
    """Know no release: the stack was started by hand."""

    async def applied(self, environment: str) -> None:
        return None

    async def holding(self, environment: str) -> None:
        return None


@dataclass
class Scene:
    """Hold the collector, what it speaks to, and a project of its own on the engine."""

    environment: Environment
    collector: MonitoringCollector
    bus: EventBus
    health: HealthCoordinator
    metrics: Metrics
    heard: "asyncio.Queue[ServiceHealthChanged]"

    async def until(self, service: str, verdict: Verdict) -> str:
        """Wait until a verdict is announced, and return its reason."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                heard = await self.heard.get()
                if (heard.service, heard.new) == (service, verdict):
                    return heard.reason


@pytest.fixture
def environment(docker_host: str) -> Environment:
    return Environment("dev", f"watched-{uuid.uuid4().hex[:8]}", Path(), (), docker_host=docker_host)


@pytest.fixture
def reconcile_seconds() -> float:
    return RECONCILE_SECONDS


@pytest.fixture
async def scene(environment: Environment, reconcile_seconds: float) -> AsyncIterator[Scene]:
    bus, clients, metrics = EventBus(), EngineClients(), Metrics("1")
    heard: asyncio.Queue[ServiceHealthChanged] = asyncio.Queue()
    bus.subscribe(ServiceHealthChanged, heard.put)
    health = HealthCoordinator(bus, rules=HysteresisRules(worse_after_seconds=0.2))
    engine, statistics = real_stacks(clients), StatisticsReader(clients)
    collector = MonitoringCollector(
        StackSources(engine, statistics, NoReleases(), NoReleases()),  # type: ignore[arg-type]
        bus,
        health,
        {"dev": environment},
        metrics=metrics,
        reconcile_seconds=reconcile_seconds,
    )
    collector.start()
    yield Scene(environment, collector, bus, health, metrics, heard)
    await collector.close()
    await bus.close()
    await clients.close()


@pytest.fixture
def run(
    docker_client: docker.DockerClient, sample_image: Callable[..., str], environment: Environment
) -> Iterator[Callable[..., Container]]:
    """Return `run(service, behaviour, **options)`, which starts a container as Compose would have."""
    started: list[Container] = []

    def start(service: str, behaviour: str = "healthy", **options: object) -> Container:
        labels = {PROJECT: environment.project, SERVICE: service, NUMBER: "1", ONE_OFF: "False"}
        image = sample_image(f"watched-{behaviour}:v1", behaviour=behaviour)
        started.append(docker_client.containers.run(image, detach=True, labels=labels, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for container in started:
        container.remove(force=True)


async def start_watching(scene: Scene) -> None:
    scene.bus.publish(MonitoringRequested(environment="dev", service="web", source="test"))
    await scene.bus.drain()


async def test_watch_starts_once_per_environment(scene: Scene, run: Callable[..., Container]) -> None:
    await asyncio.to_thread(run, "web", healthcheck=HEALTHCHECK)
    await start_watching(scene)
    await start_watching(scene)
    assert scene.collector.watched == {"dev"}
    await scene.until("web", Verdict.HEALTHY)


@pytest.mark.parametrize("reconcile_seconds", [NO_SLOW_LOOK])
async def test_change_announced_by_event_not_poll(scene: Scene, run: Callable[..., Container]) -> None:
    container = await asyncio.to_thread(run, "web", healthcheck=HEALTHCHECK)
    await start_watching(scene)
    await scene.until("web", Verdict.HEALTHY)
    await asyncio.to_thread(container.kill)
    assert "has ended with code 137" in await scene.until("web", Verdict.UNHEALTHY)
    await asyncio.to_thread(container.start)
    await scene.until("web", Verdict.HEALTHY)
    labels = {"environment": "dev", "service": "web", "verdict": "healthy"}
    assert scene.metrics.registry.get_sample_value("roas_service_health", labels) == 1


async def test_sample_has_memory_first_and_cpu_second(scene: Scene, run: Callable[..., Container]) -> None:
    await asyncio.to_thread(run, "web", healthcheck=HEALTHCHECK)
    first = (await scene.collector.collect_all_metrics(scene.environment)).services[0]
    assert first.memory_bytes
    assert first.cpu_percent is None
    await asyncio.sleep(1.1)
    second = (await scene.collector.collect_all_metrics(scene.environment)).services[0]
    assert second.cpu_percent is not None
    assert second.cpu_percent >= 0
    assert second.containers[0].state is ContainerState.RUNNING


async def test_lost_engine_makes_all_unknown_until_back(
    scene: Scene, run: Callable[..., Container], private_daemon: PrivateDaemon
) -> None:
    await asyncio.to_thread(run, "web", healthcheck=HEALTHCHECK, restart_policy={"Name": "always"})
    await start_watching(scene)
    await scene.until("web", Verdict.HEALTHY)
    await asyncio.to_thread(private_daemon.stop)
    try:
        reason = await scene.until("web", Verdict.UNKNOWN)
    finally:
        await asyncio.to_thread(private_daemon.start)
    assert reason
    await scene.until("web", Verdict.HEALTHY)


async def test_close_ends_all_watches(scene: Scene) -> None:
    await start_watching(scene)
    await scene.collector.close()
    assert scene.collector.watched == frozenset()
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith(("watch ", "events "))] == []


async def test_unknown_environment_not_watched(scene: Scene) -> None:
    scene.bus.publish(MonitoringRequested(environment="moon", service="web", source="test"))
    await scene.bus.drain()
    assert scene.collector.watched == frozenset()
