"""Every subscription on the event bus has an effect that can be seen; without the subscription it is missing.

The application's own are here. Those that only a running bot has are shown where they are: `live messages` by
tests/unit/ui/notifications/test_live_messages.py::test_phase_change_shown_at_once, and those of
alerts and of recovery by the tests of cogs/alerts.py and bot/recovery/.
"""

from collections.abc import Awaitable, Callable

import pytest

from roas.app.application import open_application
from roas.metrics.bot_metrics import Metrics
from roas.models.alert import Severity
from roas.models.deployment import Outcome
from roas.models.state_change import ChangeType
from testbed.home_stack import forget_releases
from tests.e2e.acceptance import alert_effects as alert
from tests.e2e.acceptance import deployment_effects as deployment
from tests.e2e.acceptance.event_scene import Scene
from tests.e2e.acceptance.stack import alone
from tests.unit.sample_events import ended

EFFECTS: dict[str, Callable[[Scene], Awaitable[bool]]] = {
    "integration: deployment.preparation.start": deployment.environment_watched_before_first_start,
    "integration: monitoring.alert.triggered": alert.urgent_alert_starts_recovery,
    "integration: error.recovery.completed": alert.recovery_journalled_and_looked_at,
    "integration: monitoring.health_check.completed": alert.look_journalled,
    "integration: integration.alert.triggered": alert.integration_trouble_becomes_alert,
    "integration: integration.alert.cleared": alert.integration_alert_resolved,
    "integration: deployment.stood_still": alert.standstill_becomes_alert,
    "integration deployments": deployment.success_rate_measured,
    "collector": deployment.environment_watched_after_start,
    "collector health checks": alert.requested_look_taken,
    "metrics alerts": alert.alerts_counted,
    "metrics recoveries": alert.recoveries_counted,
}


@pytest.fixture
def scene(application, stack) -> Scene:
    """Write a stack of one service."""
    stack.write({"web": alone()})
    return Scene(application, stack)


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=lambda effect: effect.__name__)
async def test_event_has_effect(scene, effect):
    assert await effect(scene)


@pytest.mark.long
@pytest.mark.parametrize("name", EFFECTS)
async def test_missing_subscription_loses_effect(scene, name):
    scene.without = name
    assert not await EFFECTS[name](scene)


async def test_each_effect_of_a_deployment_needs_its_event(scene, settings, tmp_path):
    """All are there after a real one; after the same events once more, all but that of a subscription taken away."""
    deployment_id = await deployment.deploy_once(scene)
    assert await missing(scene) == []
    events = scene.application.bus.history()
    await one_correlation_id_is_on_all(scene, deployment_id, events)
    await journal_changes_are_counted(scene)
    for number, without in enumerate(("", *deployment.OF_ONE_DEPLOYMENT)):
        forget_releases(scene.stack.client, scene.stack.base_name)
        elsewhere = settings.model_copy(update={"state_dir": tmp_path / f"state{number}"})
        async with open_application(elsewhere, metrics=Metrics("test")) as application:
            again = Scene(application, scene.stack, without)
            await again.prepare()
            for event in events:
                application.bus.publish(event)
            await application.bus.drain()
            assert await missing(again) == ([without] if without else [])


async def missing(scene: Scene) -> list[str]:
    """Return the subscriptions whose effect is not seen."""
    return [name for name, effect in deployment.OF_ONE_DEPLOYMENT.items() if not await effect(scene)]


async def test_alert_journalled_before_published(scene):
    """An alert and its end are in the journal before any subscriber hears of them."""
    for subscription in scene.application.bus.subscriptions:
        await scene.application.bus.unsubscribe(subscription)
    await scene.application.alert_service.take([alert.TROUBLE, alert.OVER])
    written = [(change.new, change.metadata["event"]) for change in await scene.application.state.changes("dev")]
    assert written == [
        ("web is down", "monitoring.alert.triggered"),
        ("resolved: web is down", "monitoring.alert.resolved"),
    ]
    assert [item.type for item in scene.application.bus.history()] == [event for _, event in written]


async def test_every_subscription_covered(application):
    assert {subscription.name for subscription in application.bus.subscriptions} == {
        *EFFECTS,
        *deployment.OF_ONE_DEPLOYMENT,
    }


async def test_abandoned_deployment_alert_until_next_ends(application):
    """A deployment that was given up is an alert until the next deployment of its environment ends."""
    application.bus.publish(ended(Outcome.FAILED, abandoned="The bot died 3 times."))
    await application.bus.drain()
    alerts = await application.state.alerts.open()
    assert [(alert.severity, alert.summary) for alert in alerts] == [(Severity.CRITICAL, "The bot died 3 times.")]
    application.bus.publish(ended())
    await application.bus.drain()
    assert await application.state.alerts.open() == ()


async def journal_changes_are_counted(scene):
    registry = scene.application.metrics.registry
    assert registry.get_sample_value("roas_journal_changes_total", {"type": "release_created"}) == 1
    assert registry.get_sample_value("roas_journal_changes_total", {"type": "deployment_finished"}) == 1


async def one_correlation_id_is_on_all(scene, deployment_id, events):
    """One correlation ID is on all that a deployment causes."""
    correlation_id = (await scene.application.state.deployments.get(deployment_id)).correlation_id
    caused = [event for event in events if not event.type.startswith(("monitoring.health", "monitoring.stack_health"))]
    assert {item.correlation_id for item in caused} == {correlation_id}
    changes = await scene.application.state.changes("dev", limit=500)
    of_health = {ChangeType.SERVICE_HEALTH_CHANGED}
    assert {change.correlation_id for change in changes if change.type not in of_health} == {correlation_id}
    verdicts = [
        change.new for change in changes if change.type is ChangeType.SERVICE_HEALTH_CHANGED and change.subject == "web"
    ]
    assert verdicts[-1:] == ["healthy"]
