"""What alerts and recoveries cause by their events; each effect says whether it is there."""

from roas.models import events
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.health import Verdict
from roas.models.recovery import RecoveryOutcome
from tests.e2e.acceptance.event_scene import Scene
from tests.unit.sample_events import ORIGIN, look

TROUBLE = AlertReport("web", AlertSource.HEALTH, Severity.HIGH, "web is down", environment="dev", service="web")
OVER = AlertReport("web", AlertSource.HEALTH, Severity.HIGH, "web is down", environment="dev", firing=False)
RECOVERED = events.RecoveryCompleted(
    alert_id="ALR-1",
    environment="dev",
    service="web",
    succeeded=True,
    outcome=RecoveryOutcome.RECOVERED,
    summary="restart: it has recovered",
    source="test",
)


def say(scene: Scene, event: events.Event) -> None:
    """Publish an event, as the part would that does."""
    scene.application.bus.publish(event)


def figure(kind: type[events.IntegrationEvent], summary: str) -> events.IntegrationEvent:
    """Say that events are handled late, or no longer."""
    return kind(figure="event_latency", title="late", summary=summary, source="test")


async def urgent_alert_starts_recovery(scene: Scene) -> bool:
    """Raise an alert that is urgent."""
    await scene.prepare()
    await scene.application.alert_service.take([TROUBLE])
    handed_on = await scene.recorded("error.auto_handling.start")
    requested = [item for item in scene.application.bus.history() if isinstance(item, events.RecoveryRequested)]
    return bool(handed_on) and bool(requested)


async def alerts_counted(scene: Scene) -> bool:
    """Read roas_alerts_total and roas_alerts_open."""
    await scene.prepare()
    await scene.application.alert_service.take([TROUBLE])
    await scene.application.bus.drain()
    raised = scene.metric("roas_alerts_total", source="health", severity="high")
    return raised == scene.metric("roas_alerts_open", severity="high") == 1


async def recovery_journalled_and_looked_at(scene: Scene) -> bool:
    """Say that a recovery has ended."""
    await scene.prepare()
    say(scene, RECOVERED)
    written = await scene.recorded("recovery recovered: restart: it has recovered")
    return bool(written) and bool(await scene.recorded("monitoring.health_check.start"))


async def recoveries_counted(scene: Scene) -> bool:
    """Read roas_recoveries_total."""
    await scene.prepare()
    say(scene, RECOVERED)
    await scene.application.bus.drain()
    return scene.metric("roas_recoveries_total", outcome="recovered") == 1


async def requested_look_taken(scene: Scene) -> bool:
    """Ask for a look at web."""
    await scene.prepare()
    say(scene, look("web"))
    await scene.application.bus.drain()
    return any(isinstance(item, events.HealthChecked) for item in scene.application.bus.history())


async def look_journalled(scene: Scene) -> bool:
    """Say what a look at web saw."""
    await scene.prepare()
    say(scene, events.HealthChecked(environment="dev", service="web", verdict=Verdict.HEALTHY, source="test"))
    return bool(await scene.recorded("health check: healthy"))


async def integration_trouble_becomes_alert(scene: Scene) -> bool:
    """Say that events are handled late."""
    await scene.prepare()
    say(scene, figure(events.IntegrationDegraded, "2000 ms"))
    await scene.application.bus.drain()
    return [alert.source for alert in await scene.application.state.alerts.open()] == [AlertSource.INTEGRATION]


async def standstill_becomes_alert(scene: Scene) -> bool:
    """Say that a deployment does not move."""
    await scene.prepare()
    say(scene, events.DeploymentStoodStill(**ORIGIN, phase="execution", seconds=900.0))
    await scene.application.bus.drain()
    return [alert.severity for alert in await scene.application.state.alerts.open()] == [Severity.CRITICAL]


async def integration_alert_resolved(scene: Scene) -> bool:
    """Say that events were handled late, and that it is over."""
    await scene.prepare()
    say(scene, figure(events.IntegrationDegraded, "2000 ms"))
    await scene.application.bus.drain()
    assert await scene.application.state.alerts.open()
    say(scene, figure(events.IntegrationRecovered, "3 ms"))
    await scene.application.bus.drain()
    return await scene.application.state.alerts.open() == ()
