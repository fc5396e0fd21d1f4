"""Every subscription on the event bus has an effect that can be seen; without the subscription it is missing.

The application's own are here. Those that only a running bot has are shown where they are: `live messages` by
tests/unit/ui/notifications/test_live_messages.py::test_phase_change_shown_at_once, and those of
alerts and of recovery by the tests of cogs/alerts.py and bot/recovery/.
"""

from collections.abc import Awaitable, Callable

import pytest

from roas.models.alert import Severity
from roas.models.change import ChangeType
from roas.models.deployment import Outcome
from tests.e2e.acceptance import alert_effects as alert
from tests.e2e.acceptance import deployment_effects as deployment
from tests.e2e.acceptance.event_scene import Scene
from tests.e2e.acceptance.stack import service
from tests.unit.sample_events import ended

EFFECTS: dict[str, Callable[[Scene], Awaitable[bool]]] = {
    "integration: deployment.initialization.started": deployment.beginning_audited,
    "integration: environment.validation.completed": deployment.checks_audited,
    "integration: deployment.preparation.start": deployment.environment_watched_before_first_start,
    "integration: deployment.service.started": deployment.started_service_journalled,
    "integration: deployment.orchestration.completed": deployment.end_audited,
    "integration: monitoring.alert.triggered": alert.urgent_alert_starts_recovery,
    "integration: error.recovery.completed": alert.recovery_journalled_and_looked_at,
    "integration: monitoring.health_check.completed": alert.look_journalled,
    "integration: integration.alert.triggered": alert.integration_trouble_becomes_alert,
    "integration: integration.alert.cleared": alert.integration_alert_resolved,
    "integration dependencies": deployment.dependency_wait_measured,
    "integration deployments": deployment.success_rate_measured,
    "collector": deployment.environment_watched_after_resume,
    "collector health checks": alert.requested_look_taken,
    "swapped binds": deployment.new_binds_looked_at,
    "metrics deployments": deployment.deployments_counted,
    "metrics phases": deployment.phases_timed,
    "metrics releases": deployment.releases_counted,
    "metrics health": deployment.health_change_counted,
    "metrics stacks": deployment.stack_verdict_shown,
    "metrics alerts": alert.alerts_counted,
    "metrics recoveries": alert.recoveries_counted,
}


@pytest.fixture
def scene(application, stack) -> Scene:
    """Write a stack of one service."""
    stack.write({"web": service()})
    return Scene(application, stack)


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=lambda effect: effect.__name__)
async def test_event_has_effect(scene, effect):
    assert await effect(scene)


@pytest.mark.parametrize("name", EFFECTS)
async def test_missing_subscription_loses_effect(scene, name):
    scene.without = name
    assert not await EFFECTS[name](scene)


async def test_alert_journalled_before_published(scene):
    """An alert and its end are in the journal before any subscriber hears of them."""
    for subscription in scene.application.bus.subscriptions:
        await scene.application.bus.unsubscribe(subscription)
    await scene.application.alert_service.take([alert.TROUBLE, alert.OVER])
    written = [(one.new, one.metadata["event"]) for one in await scene.application.state.changes("dev")]
    assert written == [
        ("web is down", "monitoring.alert.triggered"),
        ("resolved: web is down", "monitoring.alert.resolved"),
    ]
    assert [one.type for one in scene.application.bus.history()] == [event for _, event in written]


async def test_every_subscription_covered(application):
    assert {subscription.name for subscription in application.bus.subscriptions} == set(EFFECTS)


async def test_abandoned_deployment_alert_until_next_ends(application):
    """A deployment that was given up is an alert until the next deployment of its environment ends."""
    application.bus.publish(ended(Outcome.FAILED, abandoned="The bot died 3 times."))
    await application.bus.drain()
    alerts = await application.state.alerts.open()
    assert [(alert.severity, alert.summary) for alert in alerts] == [(Severity.CRITICAL, "The bot died 3 times.")]
    application.bus.publish(ended())
    await application.bus.drain()
    assert await application.state.alerts.open() == ()


async def test_journal_changes_counted(people, stack):
    stack.write({"web": service()})
    await people.succeed("v1")
    registry = people.application.metrics.registry
    assert registry.get_sample_value("roas_journal_changes_total", {"type": "release_created"}) == 1
    assert registry.get_sample_value("roas_journal_changes_total", {"type": "deployment_finished"}) == 1


async def test_correlation_id_spans_deployment(people, stack):
    """One correlation ID is on all that a deployment causes."""
    stack.write({"web": service()})
    deployment = await people.succeed("v1")
    await people.application.bus.drain()
    events = [one for one in people.application.bus.history() if not one.type.startswith("monitoring.health")]
    caused = [one for one in events if not one.type.startswith("monitoring.stack_health")]
    assert {one.correlation_id for one in caused} == {deployment.correlation_id}
    changes = await people.application.state.changes("dev", limit=500)
    of_health = {ChangeType.SERVICE_HEALTH_CHANGED}
    assert {one.correlation_id for one in changes if one.type not in of_health} == {deployment.correlation_id}
