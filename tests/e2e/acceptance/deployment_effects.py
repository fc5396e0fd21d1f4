"""What deployments cause by their events; each effect says whether it is there.

Most are seen together, after one deployment: `OF_ONE_DEPLOYMENT` has them by their subscription. The others need
something of their own.
"""

import asyncio
from collections.abc import Awaitable, Callable

from roas.models.deployment import Outcome
from roas.models.events import ServiceHealthChanged, ServiceStarted, StackHealthChanged
from roas.models.state_change import ChangeType
from tests.e2e.acceptance.event_scene import Scene
from tests.e2e.acceptance.stack import alone
from tests.unit.sample_events import ORIGIN

HEALTH_SECONDS = 20.0


async def deploy_once(scene: Scene) -> str:
    """Deploy a stack in which web waits for store, until the verdicts are announced; returns the deployment's id."""
    needs = {"depends_on": {"store": {"condition": "service_started"}}}
    scene.stack.write({"store": alone(), "web": alone(**needs)})
    announced = {"web": asyncio.Event(), "stack": asyncio.Event()}

    async def hear(event: ServiceHealthChanged | StackHealthChanged) -> None:
        name = event.service if isinstance(event, ServiceHealthChanged) else "stack"
        if name in announced and event.new == "healthy":
            announced[name].set()

    for kind in (ServiceHealthChanged, StackHealthChanged):
        scene.application.bus.subscribe(kind, hear, name="test")
    deployment = await (await scene.prepare()).succeed("v1")
    async with asyncio.timeout(HEALTH_SECONDS):
        for item in announced.values():
            await item.wait()
    await scene.application.bus.drain()
    return deployment.id


async def beginning_audited(scene: Scene) -> bool:
    """Say who began what: the version and the kind."""
    entries = await scene.audited("deployment begins")
    return [(entry.metadata["kind"], entry.metadata["version"]) for entry in entries] == [("DEPLOY", "v1")]


async def checks_audited(scene: Scene) -> bool:
    """Say what the checks found."""
    return [item.metadata["passed"] for item in await scene.audited("environment validated")] == [True]


async def end_audited(scene: Scene) -> bool:
    """Say how it ended."""
    return [item.metadata["outcome"] for item in await scene.audited("deployment ended")] == ["succeeded"]


async def started_services_journalled(scene: Scene) -> bool:
    """Say which services were started, in order."""
    changes = await scene.application.state.changes("dev", limit=500)
    return [change.subject for change in changes if change.type is ChangeType.SERVICE_STARTED] == ["store", "web"]


async def deployments_timed(scene: Scene) -> bool:
    """Read the time that they took."""
    return scene.metric("roas_deployment_duration_seconds_count", environment="dev", kind="DEPLOY") == 1


async def phases_timed(scene: Scene) -> bool:
    """Read roas_phase_duration_seconds."""
    count = scene.metric("roas_phase_duration_seconds_count", phase="execution", status="success")
    return count == 1 and scene.metric("roas_phase_duration_seconds_sum", phase="execution", status="success") > 0


async def releases_counted(scene: Scene) -> bool:
    """Read roas_releases_total."""
    return scene.metric("roas_releases_total", environment="dev") == 1


async def health_change_counted(scene: Scene) -> bool:
    """Read how often the verdict on web changed, and which it is."""
    labels = {"environment": "dev", "service": "web", "verdict": "healthy"}
    changes = scene.metric("roas_service_health_changes_total", **labels)
    return scene.metric("roas_service_health", **labels) == 1 and changes >= 1


async def stack_verdict_shown(scene: Scene) -> bool:
    """Read the verdict on the stack."""
    return scene.metric("roas_stack_health", environment="dev", verdict="healthy") == 1


async def dependency_wait_measured(scene: Scene) -> bool:
    """Read the figure of the integration: one service waited for another."""
    return scene.application.integration_monitor.figures().dependency_resolution_seconds is not None


OF_ONE_DEPLOYMENT: dict[str, Callable[[Scene], Awaitable[bool]]] = {
    "integration: deployment.initialization.started": beginning_audited,
    "integration: environment.validation.completed": checks_audited,
    "integration: deployment.service.started": started_services_journalled,
    "integration: deployment.orchestration.completed": end_audited,
    "integration dependencies": dependency_wait_measured,
    "metrics deployments": deployments_timed,
    "metrics phases": phases_timed,
    "metrics releases": releases_counted,
    "metrics health": health_change_counted,
    "metrics stacks": stack_verdict_shown,
}


async def environment_watched_before_first_start(scene: Scene) -> bool:
    """Let the deployment end in its preparation, so that nothing is started."""
    deployment = await (await scene.prepare()).deploy("v1", services=("web",))
    assert deployment.outcome is Outcome.FAILED
    await scene.application.bus.drain()
    return scene.application.collector.watched == {"dev"}


async def environment_watched_after_start(scene: Scene) -> bool:
    """Say that a service was started: of a deployment that is resumed after its preparation, no more is heard of."""
    await scene.prepare()
    scene.application.bus.publish(ServiceStarted(service="web", **ORIGIN))
    await scene.application.bus.drain()
    return scene.application.collector.watched == {"dev"}


async def success_rate_measured(scene: Scene) -> bool:
    """Read from the journal what a deployment that failed does to the figure."""
    await (await scene.prepare()).deploy("exits")
    await scene.application.bus.drain()
    return scene.application.deployment_figures.results() == [("dev", False)]
