"""Every subscription on the event bus has an effect that can be seen; without the subscription it is missing.

The application's own are here. Those of the channel are shown where the channel is: `live messages` by
tests/ui/test_live_messages.py::test_a_change_of_phase_is_shown_at_once_and_not_held_back_for_the_pace.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from bot.integration import Application, open_application
from bot.models.change import ChangeType, StateChange
from bot.models.deployment import DeploymentKind, Outcome
from tests.acceptance.people import People, request
from tests.acceptance.stack import Stack, service
from tests.acceptance.test_at_once import until_waiting

HEALTH_SECONDS = 20.0


@dataclass
class Scene:
    """Hold the application and its stack; `without` is the subscription that is taken away, if any."""

    application: Application
    stack: Stack
    without: str = ""

    async def prepare(self) -> People:
        """Take the subscription away and return those who ask for deployments."""
        await take_away(self.application, self.without)
        return People(self.application)

    async def audited(self, words: str) -> list[StateChange]:
        """Deploy v1 and return the audit's entries with these words."""
        deployment = await (await self.prepare()).succeed("v1")
        await self.application.bus.drain()
        changes = await self.application.state.changes("dev", limit=500)
        return [one for one in changes if one.new == words and one.subject == deployment.id]

    def metric(self, name: str, **labels: str) -> float:
        """Read a metric as Prometheus does."""
        return self.application.metrics.registry.get_sample_value(name, labels) or 0.0


async def take_away(application: Application, name: str) -> None:
    """End the subscription of a name."""
    for subscription in application.bus.subscriptions:
        if subscription.name == name:
            await application.bus.unsubscribe(subscription)


async def the_beginning_is_in_the_audit(scene: Scene) -> bool:
    """Say who began what: the version and the kind."""
    entries = await scene.audited("deployment begins")
    return [(one.metadata["kind"], one.metadata["version"]) for one in entries] == [("DEPLOY", "v1")]


async def the_checks_are_in_the_audit(scene: Scene) -> bool:
    """Say what the checks found."""
    return [one.metadata["passed"] for one in await scene.audited("environment validated")] == [True]


async def the_end_is_in_the_audit(scene: Scene) -> bool:
    """Say how it ended."""
    return [one.metadata["outcome"] for one in await scene.audited("deployment ended")] == ["succeeded"]


async def a_started_service_is_in_the_journal(scene: Scene) -> bool:
    """Say that web was started."""
    await (await scene.prepare()).succeed("v1")
    await scene.application.bus.drain()
    changes = await scene.application.state.changes("dev", limit=500)
    return [one.subject for one in changes if one.type is ChangeType.SERVICE_STARTED] == ["web"]


async def an_environment_is_watched_before_its_first_service_starts(scene: Scene) -> bool:
    """Let the deployment end in its preparation, so that nothing is started."""
    deployment = await (await scene.prepare()).deploy("v1", services=("web",))
    assert deployment.outcome is Outcome.FAILED
    await scene.application.bus.drain()
    return scene.application.collector.watched == {"dev"}


async def an_environment_is_watched_after_its_deployment_was_taken_up(scene: Scene) -> bool:
    """Let a deployment be taken up after its preparation, so that only its services' starts are heard of."""
    settings = scene.application.settings
    async with open_application(settings) as application:
        started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, version="v1"))
        await until_waiting(application, started.id, "web")
    await scene.prepare()
    (taken,) = await scene.application.orchestrator.resume()
    assert (await scene.application.orchestrator.wait(taken.id)).outcome is Outcome.SUCCEEDED
    await scene.application.bus.drain()
    return scene.application.collector.watched == {"dev"}


async def deployments_are_counted(scene: Scene) -> bool:
    """Read roas_deployments_total and the time that they took."""
    await (await scene.prepare()).succeed("v1")
    await scene.application.bus.drain()
    labels = {"environment": "dev", "kind": "DEPLOY"}
    timed = scene.metric("roas_deployment_duration_seconds_count", **labels)
    return scene.metric("roas_deployments_total", **labels, outcome="succeeded") == timed == 1


async def phases_are_timed(scene: Scene) -> bool:
    """Read roas_phase_duration_seconds."""
    await (await scene.prepare()).succeed("v1")
    await scene.application.bus.drain()
    count = scene.metric("roas_phase_duration_seconds_count", phase="execution", status="success")
    return count == 1 and scene.metric("roas_phase_duration_seconds_sum", phase="execution", status="success") > 0


async def releases_are_counted(scene: Scene) -> bool:
    """Read roas_releases_total."""
    await (await scene.prepare()).succeed("v1")
    await scene.application.bus.drain()
    return scene.metric("roas_releases_total", environment="dev") == 1


async def a_change_of_health_is_counted(scene: Scene) -> bool:
    """Deploy, wait until the verdict on web is announced, and read how often it changed."""
    announced = asyncio.Event()

    async def hear(event: object) -> None:
        announced.set()

    scene.application.bus.subscribe("monitoring.health.changed", hear, name="test")
    await (await scene.prepare()).succeed("v1")
    await asyncio.wait_for(announced.wait(), HEALTH_SECONDS)
    await scene.application.bus.drain()
    changes = await scene.application.state.changes("dev", limit=500)
    assert [one.new for one in changes if one.type is ChangeType.SERVICE_HEALTH_CHANGED][-1:] == ["healthy"]
    labels = {"environment": "dev", "service": "web", "verdict": "healthy"}
    assert scene.metric("roas_service_health", **labels) == 1
    return scene.metric("roas_service_health_changes_total", **labels) >= 1


EFFECTS: dict[str, Callable[[Scene], Awaitable[bool]]] = {
    "integration: deployment.initialization.started": the_beginning_is_in_the_audit,
    "integration: environment.validation.completed": the_checks_are_in_the_audit,
    "integration: deployment.preparation.start": an_environment_is_watched_before_its_first_service_starts,
    "integration: deployment.service.started": a_started_service_is_in_the_journal,
    "integration: deployment.orchestration.completed": the_end_is_in_the_audit,
    "collector": an_environment_is_watched_after_its_deployment_was_taken_up,
    "metrics deployments": deployments_are_counted,
    "metrics phases": phases_are_timed,
    "metrics releases": releases_are_counted,
    "metrics health": a_change_of_health_is_counted,
}


@pytest.fixture
def scene(application, stack) -> Scene:
    """Write a stack of one service."""
    stack.write({"web": service()})
    return Scene(application, stack)


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=lambda effect: effect.__name__)
async def test_what_a_deployment_causes_by_events(scene, effect):
    assert await effect(scene)


@pytest.mark.parametrize("name", EFFECTS)
async def test_without_its_subscription_the_effect_is_missing(scene, name):
    scene.without = name
    assert not await EFFECTS[name](scene)


async def test_every_subscription_of_the_application_is_shown_here(application):
    assert {subscription.name for subscription in application.bus.subscriptions} == set(EFFECTS)


async def test_every_change_of_the_journal_is_counted(people, stack):
    stack.write({"web": service()})
    await people.succeed("v1")
    registry = people.application.metrics.registry
    assert registry.get_sample_value("roas_journal_changes_total", {"type": "release_created"}) == 1
    assert registry.get_sample_value("roas_journal_changes_total", {"type": "deployment_finished"}) == 1


async def test_one_correlation_id_runs_through_all_that_a_deployment_causes(people, stack):
    stack.write({"web": service()})
    deployment = await people.succeed("v1")
    await people.application.bus.drain()
    events = [one for one in people.application.bus.history() if not one.type.startswith("monitoring.health")]
    caused = [one for one in events if not one.type.startswith("monitoring.stack_health")]
    assert {one.correlation_id for one in caused} == {deployment.correlation_id}
    changes = await people.application.state.changes("dev", limit=500)
    of_health = {ChangeType.SERVICE_HEALTH_CHANGED}
    assert {one.correlation_id for one in changes if one.type not in of_health} == {deployment.correlation_id}
