"""What a deployment causes by its events; each effect says whether it is there."""

import asyncio

from roas.application import open_application
from roas.models.change import ChangeType
from roas.models.deployment import DeploymentKind, Outcome
from roas.models.events import ServiceHealthChanged, StackHealthChanged
from tests.e2e.acceptance.event_scene import Scene
from tests.e2e.acceptance.people import request
from tests.e2e.acceptance.stack import service
from tests.e2e.acceptance.test_parallel_start import until_waiting

HEALTH_SECONDS = 20.0


async def beginning_audited(scene: Scene) -> bool:
    """Say who began what: the version and the kind."""
    entries = await scene.audited("deployment begins")
    return [(one.metadata["kind"], one.metadata["version"]) for one in entries] == [("DEPLOY", "v1")]


async def checks_audited(scene: Scene) -> bool:
    """Say what the checks found."""
    return [one.metadata["passed"] for one in await scene.audited("environment validated")] == [True]


async def end_audited(scene: Scene) -> bool:
    """Say how it ended."""
    return [one.metadata["outcome"] for one in await scene.audited("deployment ended")] == ["succeeded"]


async def started_service_journalled(scene: Scene) -> bool:
    """Say that web was started."""
    await (await scene.prepare()).succeed("v1")
    await scene.application.bus.drain()
    changes = await scene.application.state.changes("dev", limit=500)
    return [one.subject for one in changes if one.type is ChangeType.SERVICE_STARTED] == ["web"]


async def environment_watched_before_first_start(scene: Scene) -> bool:
    """Let the deployment end in its preparation, so that nothing is started."""
    deployment = await (await scene.prepare()).deploy("v1", services=("web",))
    assert deployment.outcome is Outcome.FAILED
    await scene.application.bus.drain()
    return scene.application.collector.watched == {"dev"}


async def environment_watched_after_resume(scene: Scene) -> bool:
    """Let a deployment be resumed after its preparation, so that only its services' starts are heard of."""
    settings = scene.application.settings
    async with open_application(settings) as application:
        started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, version="v1"))
        await until_waiting(application, started.id, "web")
    await scene.prepare()
    (taken,) = await scene.application.orchestrator.resume()
    assert (await scene.application.orchestrator.wait(taken.id)).outcome is Outcome.SUCCEEDED
    await scene.application.bus.drain()
    return scene.application.collector.watched == {"dev"}


async def deployments_counted(scene: Scene) -> bool:
    """Read roas_deployments_total and the time that they took."""
    await (await scene.prepare()).succeed("v1")
    await scene.application.bus.drain()
    labels = {"environment": "dev", "kind": "DEPLOY"}
    timed = scene.metric("roas_deployment_duration_seconds_count", **labels)
    return scene.metric("roas_deployments_total", **labels, outcome="succeeded") == timed == 1


async def phases_timed(scene: Scene) -> bool:
    """Read roas_phase_duration_seconds."""
    await (await scene.prepare()).succeed("v1")
    await scene.application.bus.drain()
    count = scene.metric("roas_phase_duration_seconds_count", phase="execution", status="success")
    return count == 1 and scene.metric("roas_phase_duration_seconds_sum", phase="execution", status="success") > 0


async def releases_counted(scene: Scene) -> bool:
    """Read roas_releases_total."""
    await (await scene.prepare()).succeed("v1")
    await scene.application.bus.drain()
    return scene.metric("roas_releases_total", environment="dev") == 1


async def health_change_counted(scene: Scene) -> bool:
    """Deploy, wait until the verdict on web is announced, and read how often it changed."""
    announced = asyncio.Event()

    async def hear(event: object) -> None:
        announced.set()

    scene.application.bus.subscribe(ServiceHealthChanged, hear, name="test")
    await (await scene.prepare()).succeed("v1")
    await asyncio.wait_for(announced.wait(), HEALTH_SECONDS)
    await scene.application.bus.drain()
    changes = await scene.application.state.changes("dev", limit=500)
    assert [one.new for one in changes if one.type is ChangeType.SERVICE_HEALTH_CHANGED][-1:] == ["healthy"]
    labels = {"environment": "dev", "service": "web", "verdict": "healthy"}
    assert scene.metric("roas_service_health", **labels) == 1
    return scene.metric("roas_service_health_changes_total", **labels) >= 1


async def stack_verdict_shown(scene: Scene) -> bool:
    """Deploy, wait until the verdict on the stack is announced, and read it."""
    announced = asyncio.Event()

    async def hear(event: object) -> None:
        announced.set()

    scene.application.bus.subscribe(StackHealthChanged, hear, name="test")
    await (await scene.prepare()).succeed("v1")
    await asyncio.wait_for(announced.wait(), HEALTH_SECONDS)
    await scene.application.bus.drain()
    return scene.metric("roas_stack_health", environment="dev", verdict="healthy") == 1


async def dependency_wait_measured(scene: Scene) -> bool:
    """Read the figure of the integration, after one service waited for another."""
    needs = {"depends_on": {"store": {"condition": "service_started"}}}
    scene.stack.write({"store": service(), "web": service(**needs)})
    await (await scene.prepare()).succeed("v1")
    await scene.application.bus.drain()
    return scene.application.integration_monitor.figures().dependency_resolution_seconds is not None


async def success_rate_measured(scene: Scene) -> bool:
    """Read the figure of the integration, after as many deployments as it wants to see."""
    people = await scene.prepare()
    for _ in range(5):
        await people.deploy("v1", services=("nobody",))
    await scene.application.bus.drain()
    return scene.application.integration_monitor.figures().success_ratio == 0.0


async def new_binds_looked_at(scene: Scene) -> bool:
    """Let a release that binds a folder take the place of none, and that folder become a link right after it."""
    look = scene.application.maintenance._parts.frequent_look
    assert look is not None
    people = await scene.prepare()
    await look()  # all of it: nothing is bound yet
    folder = scene.stack.folder / "data"
    folder.mkdir()
    scene.stack.write({"web": service(restart="always", volumes=["./data:/data"])})
    await people.succeed("v1")
    await scene.application.bus.drain()
    await look()
    folder.rename(scene.stack.folder / "gone")
    folder.symlink_to("/")
    await look()
    return bool(scene.stack.container("web").attrs["HostConfig"]["RestartPolicy"]["Name"] == "no")
