"""The metrics follow the bus and the journal, in a form that Prometheus accepts."""

import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.events import Event, EventBus
from bot.models.change import ChangeType, StateChange
from bot.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, StackHealth, Verdict
from bot.monitoring.metrics import Metrics


@dataclass
class Scene:
    """Publish, let it settle, and read a sample."""

    bus: EventBus
    metrics: Metrics

    async def publish(self, event_type: str, **data: Any) -> None:
        self.bus.publish(Event(event_type, "test", data))
        await self.bus.drain()

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    bus = EventBus()
    metrics = Metrics("1.2.3")
    metrics.attach(bus)
    yield Scene(bus, metrics)
    await bus.close()


async def test_a_deployment_that_ended_is_counted_and_timed(scene: Scene) -> None:
    data = {"environment": "dev", "kind": "DEPLOY", "outcome": "rolled_back", "duration_seconds": 12.5}
    await scene.publish("deployment.orchestration.completed", **data)
    labels = {"environment": "dev", "kind": "DEPLOY"}
    assert scene.sample("roas_deployments_total", outcome="rolled_back", **labels) == 1
    assert scene.sample("roas_deployment_duration_seconds_sum", **labels) == 12.5


async def test_a_phase_is_timed_when_it_ends(scene: Scene) -> None:
    await scene.publish("deployment.phase.changed", phase="execution", status="in_progress", duration_seconds=None)
    await scene.publish("deployment.phase.changed", phase="execution", status="success", duration_seconds=3.0)
    labels = {"phase": "execution", "status": "success"}
    assert scene.sample("roas_phase_duration_seconds_sum", **labels) == 3.0
    assert scene.sample("roas_phase_duration_seconds_count", **labels) == 1


async def test_words_that_are_not_our_own_become_no_labels(scene: Scene) -> None:
    await scene.publish("deployment.orchestration.completed", environment="dev", kind="v1.2.3", outcome="who knows")
    assert scene.sample("roas_deployments_total", environment="dev", kind="other", outcome="other") == 1


def stack(*services: ServiceHealth) -> StackHealth:
    return StackHealth("dev", Verdict.HEALTHY, services, datetime.now(UTC))


def web_with(verdict: Verdict, restarts: int = 0) -> ServiceHealth:
    running = ContainerState.RUNNING
    container = ContainerSnapshot("c", "web-1", "web", running, HealthStatus.HEALTHY, "i", "web", "h", restarts)
    return ServiceHealth("web", verdict, "", (container,), cpu_percent=150.0, memory_bytes=1024)


async def test_exactly_one_verdict_holds_for_a_service(scene: Scene) -> None:
    scene.metrics.observe_stack(stack(web_with(Verdict.HEALTHY)))
    await scene.publish("monitoring.health.changed", environment="dev", service="web", old="healthy", new="unhealthy")
    holding = [v for v in Verdict if scene.sample("roas_service_health", environment="dev", service="web", verdict=v)]
    assert holding == [Verdict.UNHEALTHY]


async def test_a_stack_shows_restarts_processors_and_memory(scene: Scene) -> None:
    scene.metrics.observe_stack(stack(web_with(Verdict.HEALTHY, restarts=4)))
    labels = {"environment": "dev", "service": "web"}
    assert scene.sample("roas_service_restarts", **labels) == 4
    assert scene.sample("roas_service_cpu_ratio", **labels) == 1.5
    assert scene.sample("roas_service_memory_bytes", **labels) == 1024


async def test_a_service_that_is_gone_leaves_no_series_behind(scene: Scene) -> None:
    scene.metrics.observe_stack(stack(web_with(Verdict.HEALTHY)))
    scene.metrics.observe_stack(stack())
    assert b'service="web"' not in scene.metrics.render()


async def test_failures_of_subscribers_are_read_from_the_bus(scene: Scene) -> None:
    async def fails(_: Event) -> None:
        raise ValueError

    scene.bus.subscribe("x", fails, name="clumsy")
    await scene.publish("x")
    assert scene.sample("roas_event_subscriber_failures_total", subscriber="clumsy") == 1
    assert scene.sample("roas_events_published_total") == 1
    assert scene.sample("roas_event_latency_seconds", subscriber="clumsy") is not None


async def test_two_subscribers_of_one_name_make_one_series(scene: Scene) -> None:
    async def hears(_: Event) -> None:
        return

    for _ in range(2):
        scene.bus.subscribe("x", hears, name="twin")
    await scene.publish("x")
    assert scene.sample("roas_event_subscriber_handled_total", subscriber="twin") == 2
    assert scene.metrics.render().count(b'roas_event_subscriber_handled_total{subscriber="twin"}') == 1


async def test_changes_of_the_journal_and_the_gateways_latency_are_shown(scene: Scene) -> None:
    scene.metrics.count_change(StateChange(ChangeType.AUDIT, "test"))
    scene.metrics.read_gateway_latency(lambda: 0.25)
    assert scene.sample("roas_journal_changes_total", type="audit") == 1
    assert scene.sample("roas_gateway_latency_seconds") == 0.25
    assert scene.sample("roas_build_info", version="1.2.3") == 1


async def test_prometheus_own_linter_has_nothing_to_say(scene: Scene) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    scene.metrics.observe_stack(stack(web_with(Verdict.HEALTHY)))
    await scene.publish("deployment.orchestration.completed", environment="dev", kind="DEPLOY", outcome="succeeded")
    found = subprocess.run(["promtool", "check", "metrics"], input=scene.metrics.render(), capture_output=True)
    assert (found.returncode, found.stdout + found.stderr) == (0, b"")


def test_every_name_begins_with_ours() -> None:
    names = [line.split()[2] for line in Metrics("1").render().decode().splitlines() if line.startswith("# TYPE")]
    assert names
    assert all(name.startswith("roas_") for name in names)
