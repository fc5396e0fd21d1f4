"""How deployments end that a stack of their own is needed for: in words that a person can act on at night."""

import asyncio
import time

import pytest

from roas.app.application import open_application
from roas.configuration.tables import EnvironmentSettings
from roas.models.deployment import DeploymentKind, Outcome
from roas.state.deployments.locks import LockHeldError
from testbed.compose_labels import PROJECT_LABEL, SERVICE_LABEL
from testbed.waiting import wait_until
from tests.e2e.acceptance.people import ANNA, People, request
from tests.e2e.acceptance.stack import CHECK, REPOSITORY, alone

# Of a critical service it is ten seconds at most.
LONG_OBSERVATION_SECONDS = 60.0


@pytest.mark.long
async def test_rollback_that_breaks_in_verification_is_put_back(stack, settings, images):
    """All of the older release was brought up, and then one breaks: what ran before, and was well, runs again."""
    stack.write({"web": alone(healthcheck=CHECK | {"interval": "1s"}, **{"x-deploy": {"critical": True}})})
    async with open_application(settings) as application:
        for version in ("v1", "v2"):
            await People(application).succeed(version)
    long = {"dev": EnvironmentSettings(observation_seconds=LONG_OBSERVATION_SECONDS)}
    async with open_application(settings.model_copy(update={"environments": long})) as application:
        state = application.state
        asked = await application.orchestrator.start(request(DeploymentKind.ROLLBACK))
        while not (await state.deployments.get(asked.id)).brought_back:  # noqa: ASYNC110 - until its verification
            await asyncio.sleep(0.1)
        (web,) = stack.containers()
        web.exec_run(["rm", "/www/health"])
        deployment = await application.orchestrator.wait(asked.id)
        assert (deployment.outcome, deployment.problem.service) == (Outcome.FAILED, "web")
        assert "health check fails" in deployment.problem.message
        assert "dev is on r2: what was well before runs again" in deployment.problem.hint
        assert stack.images() == {"web-1": images["v2"]}
        assert (await state.releases.current("dev")).number == 2
        seen = await application.collector.collect_all_metrics(application.environments["dev"])
        assert seen.drift == ()
        assert (await application.orchestrator.plan(request(DeploymentKind.ROLLBACK))).to_release == 1, "once more"


def is_unhealthy(stack, service):
    return stack.container(service).attrs["State"]["Health"]["Status"] == "unhealthy"


@pytest.mark.long
async def test_critical_service_is_named_with_its_setting(stack, settings):
    """The shipped stack's Redis is critical: what fails by it says so, and by which setting it does not."""
    redis = alone(image=f"{REPOSITORY}:v1", healthcheck=CHECK | {"interval": "200ms", "retries": 1})

    def write(version: str) -> None:
        stack.write({"redis": redis, "web": alone(image=f"{REPOSITORY}:{version}")})

    write("v1")
    async with open_application(settings) as application:
        people = People(application)
        await people.succeed("v1")
        stack.container("redis").exec_run(["rm", "/www/health"])
        assert await asyncio.to_thread(wait_until, lambda: is_unhealthy(stack, "redis"), 20)
        write("v2")
        deployment = await people.deploy("v2")
        assert (deployment.outcome, deployment.problem.service) == (Outcome.ROLLED_BACK, "redis")
        assert "redis, which is critical, is unhealthy" in deployment.problem.message
        assert "`critical_services` (CRITICAL_SERVICES)" in deployment.problem.hint
    others = {"dev": EnvironmentSettings(critical_services=("web",), observation_seconds=0.2)}
    async with open_application(settings.model_copy(update={"environments": others})) as application:
        deployment = await People(application).succeed("v2")
        assert any("redis, which was not changed, is unhealthy" in warning for warning in deployment.warnings)


@pytest.mark.long
async def test_first_deployments_end_as_they_say(people, stack, images):
    """The first one fails, starts no dependent and leaves nothing; then one is refused while another runs."""
    after_store = {"depends_on": {"store": {"condition": "service_healthy"}}}
    stack.write({"store": alone(image=f"{REPOSITORY}:exits"), "web": alone(image=f"{REPOSITORY}:v1", **after_store)})
    since = time.time()
    deployment = await people.deploy("v1")
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert deployment.problem.service == "store"
    assert "code 3" in deployment.problem.message
    assert stack.containers() == []
    own = {"event": "start", "label": f"{PROJECT_LABEL}={stack.project()}"}
    started = list(stack.client.events(since=since, until=time.time(), filters=own, decode=True))
    assert [item["Actor"]["Attributes"][SERVICE_LABEL] for item in started] == ["store"]
    assert await people.application.state.releases.current("dev") is None
    stack.write({"store": alone(image=f"{REPOSITORY}:v1", healthcheck=None), "web": alone()})
    await people.succeed("v1")
    await second_deployment_is_refused_with_lock_details(people, stack, images)
    await end_with_code_0_is_fine_where_nothing_restarts(people, stack)


async def second_deployment_is_refused_with_lock_details(people, stack, images):
    """The refusal says who holds the deployment lock, since when and for what."""
    orchestrator = people.application.orchestrator
    first = await orchestrator.start(request(DeploymentKind.DEPLOY, version="v2", reason="the new menu"))
    with pytest.raises(LockHeldError) as refused:
        await orchestrator.start(request(DeploymentKind.DEPLOY, version="v3", by=ANNA))
    assert "dora" in refused.value.message
    assert f"since {first.created_at:%Y-%m-%d %H:%M:%S}" in refused.value.message
    assert "deploy v2 (the new menu)" in refused.value.message
    assert first.id in refused.value.hint
    assert (await orchestrator.wait(first.id)).outcome is Outcome.SUCCEEDED
    assert stack.images()["web-1"] == images["v2"]


async def end_with_code_0_is_fine_where_nothing_restarts(people, stack):
    """Who writes `restart: "no"` or `on-failure` says that an end with code 0 is one."""
    job = alone(restart="on-failure", healthcheck=None)
    stack.write({"store": alone(image=f"{REPOSITORY}:v1", healthcheck=None), "web": job})
    await people.succeed("ends", by=ANNA)
