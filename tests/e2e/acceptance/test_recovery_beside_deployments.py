"""A deployment owns what it changes: recovery keeps away, lets go, or comes afterwards, and never fights it."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from roas.app.application import open_application
from roas.models.alert import RecoveryStatus
from roas.models.deployment import DeploymentKind, Outcome
from roas.models.events import HealthChecked
from roas.models.health import Verdict
from roas.recovery.handler import STEP_SECONDS
from tests.e2e.acceptance.people import People, request, succeeded
from tests.e2e.acceptance.stack import CHECK, PATIENT_CHECK, REPOSITORY, WATCHED_CHECK, alone, patiently
from tests.e2e.acceptance.test_parallel_start import until_waiting
from tests.e2e.acceptance.trouble import alert_that, inside, is_over, kill_process, of_services, until

# Started again while it is unhealthy, that takes a minute to show: as long is a recovery under way.
SICKLY = WATCHED_CHECK | {"test": ["CMD-SHELL", "[ ! -e /tmp/sick ]"], "start_period": "60s"}
WAITS = CHECK | {"test": patiently("[ -e /tmp/ready ]"), "start_period": "60s"}


@pytest.fixture
async def maintained(application, people):
    """Guard what is deployed."""
    await application.maintenance.start()
    return application


async def begin(application, version):
    """Start a deployment and return its record."""
    return await application.orchestrator.start(request(DeploymentKind.DEPLOY, version=version))


async def break_and_hold(application, stack):
    """Break web in such a way that its recovery is under way until something ends it."""
    await inside(stack, "web", "touch", "/tmp/sick")
    kill_process(stack, "web")

    async def runs_again():
        # The attempt has started it and waits for its health check.
        held = await application.state.alerts.open("dev")
        return [item for item in held if item.healing is RecoveryStatus.UNDER_WAY] and stack.container(
            "web"
        ).status == "running"

    await until(runs_again)


@asynccontextmanager
async def command_line(settings):
    """Carry deployments in another process than the one that recovers."""
    async with open_application(settings, instance_prefix="CLI") as application:
        yield People(application)


async def test_deployment_interrupts_recovery(maintained, people, stack, images, settings, long_lane):
    """One of this process, a person who stops the service meanwhile, and then one of the command line."""
    stack.write({"web": alone(healthcheck=SICKLY)})
    await people.succeed("v1")
    await is_interrupted(maintained, stack, people, "v2")
    assert stack.images() == {"web-1": images["v2"]}
    await alert_that(maintained, is_over)
    if not long_lane:
        return
    await manual_stop_during_recovery_is_kept(maintained, stack, images)
    await people.succeed("v3")
    await until(lambda: all_are_over(maintained))
    async with command_line(settings) as others:
        # Of the end of another process's deployment the slow look tells, which takes too long here.
        await is_interrupted(maintained, stack, others, "v1")
    assert stack.images() == {"web-1": images["v1"]}


async def all_are_over(application) -> bool:
    return all(is_over(service) for service in await of_services(application))


async def is_interrupted(maintained, stack, deployers, version):
    """Deploy while a recovery is under way: it is left off, and kept away until the deployment has ended."""
    known = {service.id: len(service.actions) for service in await of_services(maintained)}
    await break_and_hold(maintained, stack)
    begun = asyncio.get_running_loop().time()
    deployment = succeeded(await deployers.deploy(version))
    assert asyncio.get_running_loop().time() - begun < STEP_SECONDS, "it waited for the recovery"
    # One that ends before the next step is due keeps nothing away.
    alert = await alert_that(
        maintained, lambda one: len(one.actions) - known.get(one.id, 0) >= (1 if is_over(one) else 2)
    )
    left_off, *kept_away = alert.actions[known.get(alert.id, 0) :]
    assert left_off == "restart: interrupted, a deployment started"
    assert all(text.startswith(f"kept away: {deployment.id} holds the deployment lock") for text in kept_away)
    assert len(await of_services(maintained)) <= len(known) + 1


async def manual_stop_during_recovery_is_kept(maintained, stack, images):
    await break_and_hold(maintained, stack)
    await asyncio.to_thread(stack.container("web").stop)
    kept = "not ours: it was stopped manually, so it is left as it is"
    left = await alert_that(maintained, lambda one: one.actions[-1:] == (kept,) and one.healing is RecoveryStatus.NONE)
    assert left.is_open
    assert left.actions[-2].startswith("restart: web failed")
    web = stack.container("web")
    assert (web.status, web.attrs["Image"]) == ("exited", images["v2"])


@pytest.mark.long
async def test_failure_next_to_deployment_ends_well(maintained, people, stack, images):
    """A service that breaks just before or just after a deployment ends on the new release.

    One that breaks during a deployment of others is recovered after it; of what the deployment broke no alert is left.
    """
    often = PATIENT_CHECK | {"interval": "2s"}
    stack.write({"store": alone(image=f"{REPOSITORY}:v1"), "web": alone(depends_on=["store"], healthcheck=often)})
    await people.succeed("v1")
    await rollback_leaves_no_alert(maintained, people, stack, images)
    kill_process(stack, "web")
    succeeded(await people.deploy("v2"))
    before = stack.container("web").attrs["State"]["StartedAt"]
    kill_process(stack, "web")

    async def all_is_well():
        state = stack.container("web").attrs["State"]
        alerts = await of_services(maintained)
        started_again = state["StartedAt"] != before and state["Health"]["Status"] == "healthy"
        return started_again and alerts and all(is_over(alert) for alert in alerts)

    await until(all_is_well)
    assert stack.images() == {"store-1": images["v1"], "web-1": images["v2"]}
    await failure_beside_deployment_is_recovered_after_it(maintained, stack, images)


async def failure_beside_deployment_is_recovered_after_it(maintained, stack, images):
    stack.write({"store": alone(image=f"{REPOSITORY}:v1"), "web": alone(healthcheck=WAITS)})
    asked = request(DeploymentKind.DEPLOY, version="v3", services=("web",))
    started = await maintained.orchestrator.start(asked)
    await until_waiting(maintained, started.id, "web")
    kill_process(stack, "store")
    await alert_that(maintained, lambda one: one.service == "store" and one.healing is RecoveryStatus.DEFERRED)
    await inside(stack, "web", "touch", "/tmp/ready")
    succeeded(await maintained.orchestrator.wait(started.id))
    over = await alert_that(maintained, lambda one: one.service == "store" and is_over(one))
    assert over.actions[-1] == "restart: recovered"
    assert stack.images() == {"store-1": images["v1"], "web-1": images["v3"]}


async def rollback_leaves_no_alert(maintained, people, stack, images):
    """No alert is left of what a deployment broke and its rollback repaired."""
    assert (await people.deploy("unhealthy")).outcome is Outcome.ROLLED_BACK
    await maintained.bus.drain()
    checked = len([item for item in maintained.bus.history() if isinstance(item, HealthChecked)])

    async def is_looked_at():
        looks = [item for item in maintained.bus.history() if isinstance(item, HealthChecked)]
        return len(looks) >= checked

    await until(is_looked_at)
    assert await of_services(maintained) == ()
    assert maintained.health.verdict("dev", "web") is Verdict.HEALTHY
    assert stack.images() == {"store-1": images["v1"], "web-1": images["v1"]}
