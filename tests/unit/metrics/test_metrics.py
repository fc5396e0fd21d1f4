"""The metrics follow the bus and the journal."""

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roas.events import EventBus
from roas.metrics.bot_metrics import Metrics
from roas.metrics.integration_monitor import IntegrationMeasurements, IntegrationMonitor
from roas.models.alert import AlertState
from roas.models.deployment import DeploymentKind, Outcome, PhaseStatus
from roas.models.events import (
    AlertChanged,
    AlertResolved,
    Event,
    RecoveryCompleted,
    ServiceHealthChanged,
    StackHealthChanged,
)
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, StackHealth, Verdict
from roas.models.recovery import RecoveryOutcome
from roas.models.state_change import ChangeType, StateChange
from roas.state.manager import StateManager
from roas.state.redis_sync import DataSyncManager
from tests.unit.sample_events import Work, alert, ended, phase


@dataclass
class Scene:
    """Publish, let it settle, and read a sample."""

    bus: EventBus
    metrics: Metrics

    async def publish(self, event: Event) -> None:
        self.bus.publish(event)
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


async def test_finished_deployment_timed(scene: Scene) -> None:
    await scene.publish(ended(Outcome.ROLLED_BACK, seconds=12.5))
    labels = {"environment": "dev", "kind": "DEPLOY"}
    assert scene.sample("roas_deployment_duration_seconds_sum", **labels) == 12.5


async def test_phase_timed_at_end(scene: Scene) -> None:
    await scene.publish(phase(PhaseStatus.IN_PROGRESS))
    await scene.publish(phase(PhaseStatus.SUCCESS, 3.0))
    labels = {"phase": "execution", "status": "success"}
    assert scene.sample("roas_phase_duration_seconds_sum", **labels) == 3.0
    assert scene.sample("roas_phase_duration_seconds_count", **labels) == 1


def stack(*services: ServiceHealth) -> StackHealth:
    return StackHealth("dev", Verdict.HEALTHY, services, datetime.now(UTC))


def web_with(verdict: Verdict, restarts: int = 0) -> ServiceHealth:
    running = ContainerState.RUNNING
    container = ContainerSnapshot("c", "web-1", "web", running, HealthStatus.HEALTHY, "i", "web", "h", restarts)
    return ServiceHealth("web", verdict, "", (container,), cpu_percent=150.0, memory_bytes=1024)


def changed(old: Verdict, new: Verdict) -> ServiceHealthChanged:
    return ServiceHealthChanged(environment="dev", service="web", old=old, new=new, source="test")


async def test_service_has_exactly_one_verdict(scene: Scene) -> None:
    scene.metrics.observe_stack(stack(web_with(Verdict.HEALTHY)))
    await scene.publish(changed(Verdict.HEALTHY, Verdict.UNHEALTHY))
    holding = [v for v in Verdict if scene.sample("roas_service_health", environment="dev", service="web", verdict=v)]
    assert holding == [Verdict.UNHEALTHY]


async def test_stack_has_exactly_one_verdict(scene: Scene) -> None:
    for verdict in (Verdict.HEALTHY, Verdict.DEGRADED):
        await scene.publish(StackHealthChanged(environment="dev", old=Verdict.UNKNOWN, new=verdict, source="test"))
    holding = [v for v in Verdict if scene.sample("roas_stack_health", environment="dev", verdict=v)]
    assert holding == [Verdict.DEGRADED]


async def test_stack_shows_restarts_cpu_and_memory(scene: Scene) -> None:
    scene.metrics.observe_stack(stack(web_with(Verdict.HEALTHY, restarts=4)))
    labels = {"environment": "dev", "service": "web"}
    assert scene.sample("roas_service_restarts", **labels) == 4
    assert scene.sample("roas_service_cpu_ratio", **labels) == 1.5
    assert scene.sample("roas_service_memory_bytes", **labels) == 1024


async def test_service_that_is_stopped_uses_nothing(scene: Scene) -> None:
    """What it used when it ran would be shown for as long as it is stopped."""
    running = web_with(Verdict.HEALTHY, restarts=4)
    labels = {"environment": "dev", "service": "web"}
    scene.metrics.observe_stack(stack(running))
    scene.metrics.observe_stack(stack(replace(running, cpu_percent=None, memory_bytes=None)))
    assert scene.sample("roas_service_memory_bytes", **labels) == 1024, "it was not measured this time"
    ended = tuple(replace(container, state=ContainerState.EXITED) for container in running.containers)
    scene.metrics.observe_stack(stack(replace(running, containers=ended, cpu_percent=None, memory_bytes=None)))
    assert scene.sample("roas_service_memory_bytes", **labels) is None
    assert scene.sample("roas_service_cpu_ratio", **labels) is None
    assert scene.sample("roas_service_restarts", **labels) == 4


async def test_part_of_what_a_service_uses_is_not_shown_as_all(scene: Scene) -> None:
    """Of a Swarm's tasks elsewhere nobody may know what they use; a figure of before is of other tasks."""
    labels = {"environment": "dev", "service": "web"}
    for unmeasured, expected in ((0, 1024), (1, None), (0, 1024)):
        scene.metrics.observe_stack(stack(replace(web_with(Verdict.HEALTHY), unmeasured=unmeasured)))
        assert scene.sample("roas_service_memory_bytes", **labels) == expected
        assert (scene.sample("roas_service_cpu_ratio", **labels) is None) is (expected is None)


async def test_removed_service_leaves_no_series(scene: Scene) -> None:
    scene.metrics.observe_stack(stack(web_with(Verdict.HEALTHY)))
    await scene.publish(changed(Verdict.UNKNOWN, Verdict.HEALTHY))
    scene.metrics.observe_stack(stack())
    await scene.publish(changed(Verdict.HEALTHY, Verdict.UNKNOWN))
    assert b'service="web"' not in scene.metrics.render()


async def test_subscriber_failures_read_from_bus(scene: Scene) -> None:
    async def fails(_: Event) -> None:
        raise ValueError

    scene.bus.subscribe(Work, fails, name="clumsy")
    await scene.publish(Work())
    assert scene.sample("roas_event_subscriber_failures_total", subscriber="clumsy") == 1
    assert scene.sample("roas_events_published_total") == 1
    assert scene.sample("roas_event_latency_seconds", subscriber="clumsy") is not None


@pytest.mark.usefixtures("hurried_time")
async def test_event_durations_accumulate(scene: Scene) -> None:
    async def slow(_: Event) -> None:
        await asyncio.sleep(0.06)

    scene.bus.subscribe(Work, slow, name="slow")
    await scene.publish(Work())
    assert scene.sample("roas_event_handling_seconds_count") == 1
    assert scene.sample("roas_event_handling_seconds_bucket", le="0.05") == 0
    assert scene.sample("roas_event_handling_seconds_bucket", le="1.0") == 1


async def test_same_named_subscribers_share_series(scene: Scene) -> None:
    async def hears(_: Event) -> None:
        return

    for _ in range(2):
        scene.bus.subscribe(Work, hears, name="twin")
    await scene.publish(Work())
    assert scene.sample("roas_event_subscriber_handled_total", subscriber="twin") == 2
    assert scene.metrics.render().count(b'roas_event_subscriber_handled_total{subscriber="twin"}') == 1


async def test_journal_changes_and_gateway_latency_shown(scene: Scene) -> None:
    scene.metrics.count_change(StateChange(ChangeType.AUDIT, "test"))
    scene.metrics.read_gateway_latency(lambda: 0.25)
    assert scene.sample("roas_journal_changes_total", type="audit") == 1
    assert scene.sample("roas_gateway_latency_seconds") == 0.25
    assert scene.sample("roas_build_info", version="1.2.3") == 1


async def test_alerts_counted_and_shown_while_open(scene: Scene) -> None:
    for alert_id in ("A-1", "A-2"):
        await scene.publish(alert(alert_id=alert_id))
    assert scene.sample("roas_alerts_open", severity="high") == 2
    assert scene.sample("roas_alerts_open", severity="critical") == 0
    await scene.publish(alert(AlertChanged, alert_id="A-2", state=AlertState.ACKNOWLEDGED))
    await scene.publish(alert(AlertResolved, alert_id="A-2", state=AlertState.RESOLVED))
    assert scene.sample("roas_alerts_open", severity="high") == 1
    assert scene.sample("roas_alerts_total", source="health", severity="high") == 2


async def test_recoveries_counted_by_outcome(scene: Scene) -> None:
    outcome = RecoveryOutcome.RECOVERED
    place = {"alert_id": "ALR-1", "environment": "dev", "service": "web"}
    await scene.publish(RecoveryCompleted(**place, succeeded=True, outcome=outcome, source="test"))
    assert scene.sample("roas_recoveries_total", outcome="recovered") == 1
    assert scene.sample("roas_recoveries_total", outcome="escalated") == 0


async def test_integration_and_sync_shown(scene: Scene, tmp_path: Path) -> None:
    async with StateManager(tmp_path) as state:
        sync = DataSyncManager(state, "redis://127.0.0.1:1/0", "shop", str)
        scene.metrics.read_integration(IntegrationMonitor(scene.bus, IntegrationMeasurements(scene.bus, sync)))
        scene.metrics.read_projection(sync)
        for name in ("event_latency_seconds", "state_sync_lag_seconds", "dependency_resolution_seconds"):
            assert math.isnan(scene.sample(f"roas_integration_{name}") or 0), name
        assert scene.sample("roas_integration_alert_firing", alert="state_sync_lag") == 0
        assert math.isnan(scene.sample("roas_integration_coordination_success_ratio") or 0)
        assert scene.sample("roas_projection_up") == 0
        assert scene.sample("roas_projection_changes_total") == 0


async def test_large_stack_stays_under_500_series(scene: Scene) -> None:
    services = [replace(web_with(Verdict.HEALTHY), service=f"s{number}") for number in range(20)]
    scene.metrics.observe_stack(stack(*services))
    for kind in DeploymentKind:
        for outcome in Outcome:
            await scene.publish(ended(outcome, kind=kind, seconds=1.0))
    series = [line for line in scene.metrics.render().splitlines() if not line.startswith(b"#")]
    assert len(series) <= 500


def test_metric_names_have_prefix() -> None:
    names = [line.split()[2] for line in Metrics("1").render().decode().splitlines() if line.startswith("# TYPE")]
    assert names
    assert all(name.startswith("roas_") for name in names)
