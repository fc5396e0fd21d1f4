"""What runs in staging is brought to prod: the same images and shared files by content, with prod's own overrides."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from roas.app.application import open_application
from roas.configuration.tables import EnvironmentSettings
from roas.errors import InvalidRequestError, NewPowersError, RequirementError
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.deployment import DeploymentKind, Operation
from testbed.private_registry import private_registry
from tests.e2e.acceptance.conftest import OBSERVATION_SECONDS, settings_for
from tests.e2e.acceptance.people import People, request, succeeded
from tests.e2e.acceptance.stack import REPOSITORY, alone
from tests.integration.packages import packages_or_skip


def promotion(**more):
    return request(DeploymentKind.DEPLOY, "prod", promoted_from="staging", **more)


def sources(stack, environment):
    """Return what each container binds, by its place in it: the name of a kept content is its hash."""
    return {
        (container.labels["com.docker.compose.service"], mount["Destination"]): mount["Source"]
        for container in stack.containers(environment)
        for mount in container.attrs["Mounts"]
    }


@pytest.fixture
def shared(stack, images):
    """A stack with what is built, what is named by version, a shared file, and overrides of prod."""
    bound = {"volumes": ["./conf/app.conf:/app.conf:ro"], "environment": {"WHO": "${WHO:-nobody}", "LEVEL": "1"}}

    def write(level="1", command=None):
        stack.write(
            {
                "web": alone(**bound | {"environment": {"WHO": "${WHO:-nobody}", "LEVEL": level}}),
                "worker": {
                    "build": "app",
                    "init": True,
                    "network_mode": "none",
                    "stop_grace_period": "1s",
                    "configs": ["settings"],
                },
            },
            configs={"settings": {"file": "conf/settings.conf"}},
        )

    stack.put("conf/app.conf", "one")
    stack.put("conf/settings.conf", "one")
    stack.put("app/Dockerfile", f"FROM {REPOSITORY}:v1\nCOPY main /main\n")
    stack.put("app/main", "1")
    stack.put("docker-compose.prod.yml", "services: {web: {labels: {place: prod}}}")
    stack.put(".env.prod", "WHO=prod\n")
    stack.put(".env.staging", "WHO=staging\n")
    write()
    yield write
    stack.clear_with_images()


async def test_prod_gets_what_staging_runs(people, stack, shared, images, long_lane):
    """Built, named by version, and bound by content: all as staging has it, whatever the working copy holds by now."""
    await people.succeed("v1", "staging")
    stack.put("conf/app.conf", "untested")
    stack.put("conf/settings.conf", "untested")
    stack.put("app/main", "untested")
    shared(level="untested")
    plan = await people.application.orchestrator.plan(promotion())
    assert (plan.promoted_from, plan.promoted_release, plan.version) == ("staging", 1, "v1")
    assert plan.promotion == ("web differs from staging in: environment.WHO, labels",)
    promoted = succeeded(await people.application.orchestrator.run(plan.bind(promotion())))
    assert (promoted.request.promoted_release, promoted.request.version) == (1, "v1")
    assert stack.images("prod") == stack.images("staging")
    assert stack.images("prod")["web-1"] == images["v1"]
    assert sources(stack, "prod") == sources(stack, "staging")
    assert stack.read("web", "/app.conf", "prod") == "one"
    assert stack.read("worker", "/settings", "prod") == "one"
    assert stack.variables("web", "prod")["LEVEL"] == "1"
    assert stack.variables("web", "prod")["WHO"] == "prod"
    assert stack.container("web", "prod").labels["place"] == "prod"
    again = await people.application.orchestrator.plan(promotion())
    assert not again.changed
    if long_lane:
        await only_the_configuration_changes(people, stack, shared)


async def only_the_configuration_changes(people, stack, shared):
    """A file and a line of the compose file are promoted as a version is; then prod goes back without staging."""
    before = stack.images("prod")
    stack.put("conf/app.conf", "two")
    stack.put("conf/settings.conf", "one")
    stack.put("app/main", "1")
    shared(level="2")
    await people.succeed("v1", "staging")
    stack.put("conf/app.conf", "untested")
    succeeded(await people.application.orchestrator.run(promotion()))
    assert stack.images("prod") == before == stack.images("staging")
    assert sources(stack, "prod") == sources(stack, "staging")
    assert (stack.read("web", "/app.conf", "prod"), stack.variables("web", "prod")["LEVEL"]) == ("two", "2")
    succeeded(await people.rollback("prod"))
    assert (stack.read("web", "/app.conf", "prod"), stack.variables("web", "prod")["LEVEL"]) == ("one", "1")


async def test_prod_takes_only_what_staging_has_soaked(stack, images, tmp_path):
    """A deployment is refused and told from when on, a hotfix is told, a rollback is asked for nothing."""
    quick = {"observation_seconds": OBSERVATION_SECONDS}
    environments = {
        "staging": EnvironmentSettings(**quick),
        "prod": EnvironmentSettings(requires="staging", soak="1h", **quick),
    }
    stack.put("conf/app.conf", "one")
    stack.write({"web": alone(volumes=["./conf/app.conf:/app.conf:ro"])})
    async with open_application(settings_for(stack, tmp_path / "state", environments=environments)) as application:
        people = People(application)
        assert (await people.succeed("v1", "staging")).promotes_to == "prod"
        for asked in (request(DeploymentKind.DEPLOY, "prod", "v1"), promotion()):
            await is_refused_for_an_hour(application, asked)
        await alert_begins_the_hour_again(application)
        asked = request(DeploymentKind.DEPLOY, "prod", "v2")
        (missing,) = (await application.orchestrator.plan(asked)).missing
        assert missing == f"prod takes only what was healthy in staging, and this was not: {REPOSITORY}:v2"
        stack.put("conf/app.conf", "two")
        (missing,) = (await application.orchestrator.plan(replace(asked, version="v1"))).missing
        assert missing == "prod takes only what was healthy in staging, and this was not: conf/app.conf"
        for version in ("v2", "v3"):
            fixed = succeeded(await people.hotfix(version))
            assert [text for text in fixed.warnings if "takes only what was healthy in staging" in text]
        succeeded(await people.rollback("prod"))
        assert stack.images("prod") == {"web-1": images["v2"]}


async def is_refused_for_an_hour(application, asked):
    (missing,) = (await application.orchestrator.plan(asked)).missing
    assert "prod takes only what was healthy in staging for 1h, and r1 is so since" in missing
    later = replace(asked, starts_at=datetime.now(UTC) + timedelta(hours=2))
    assert (await application.orchestrator.plan(later)).missing == ()
    with pytest.raises(RequirementError, match="UTC on it can be deployed"):
        await application.orchestrator.run(asked)


async def alert_begins_the_hour_again(application):
    """While it is open nothing is promoted, whatever the hour; once it is resolved the hour begins."""
    down = AlertReport("web", AlertSource.HEALTH, Severity.HIGH, "web is down", environment="staging", service="web")
    later = promotion(starts_at=datetime.now(UTC) + timedelta(hours=2))
    await application.alert_service.take([down])
    (missing,) = (await application.orchestrator.plan(later)).missing
    assert missing == "prod takes only what is healthy in staging, where it is not: web is down"
    with pytest.raises(RequirementError, match="web is down"):
        await application.orchestrator.run(promotion())
    await application.alert_service.take([replace(down, firing=False)])
    await is_refused_for_an_hour(application, promotion())


@pytest.fixture
def registry(tmp_path, monkeypatch):
    with packages_or_skip(), private_registry(tmp_path / "registry") as registry:
        registry.write_login(tmp_path / "login")
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "login"))
        yield registry


@pytest.mark.long
async def test_other_engine_gets_the_image_by_its_digest(stack, images, registry, fresh_daemon, tmp_path):
    """What only one engine has is refused; what a registry has goes through it, whatever its tag means by now."""
    quick, name = {"observation_seconds": OBSERVATION_SECONDS}, f"{registry.address}/shop"
    environments = {
        "staging": EnvironmentSettings(**quick),
        "prod": EnvironmentSettings(docker_host=fresh_daemon.docker_host, **quick),
    }
    async with open_application(settings_for(stack, tmp_path / "state", environments=environments)) as application:
        people, client = People(application), stack.client
        stack.write({"web": alone()})
        await people.succeed("v1", "staging")
        with pytest.raises(InvalidRequestError, match="web in r1 of staging is not on the engine of prod, and no reg"):
            await application.orchestrator.plan(promotion())
        for content in ("v1", "v2"):  # the tag means the second one in the end
            client.images.get(f"{REPOSITORY}:{content}").tag(name, "v1")
            client.api.push(name, "v1", auth_config=registry.login)
            if content == "v1":
                stack.write({"web": alone(image=f"{name}:${{VERSION}}")})
                await people.succeed("v1", "staging")
        succeeded(await application.orchestrator.run(promotion()))
        there = replace(stack, client=fresh_daemon.client())
        assert there.images("prod") == stack.images("staging") == {"web-1": images["v1"]}
        there.clear()


@pytest.mark.long
async def test_what_cannot_be_promoted(people, stack, images):
    """Nothing is there yet, it is the same environment, or only a part was deployed: each is refused, and says so."""
    stack.write({"web": alone(), "other": alone()})
    await is_refused(people, "staging", "staging is on no release yet that succeeded")
    await is_refused(people, "prod", "prod cannot be promoted to itself")
    await people.succeed("v1", "staging")
    stack.write({"web": alone(environment={"LEVEL": "2"}), "other": alone()})
    await people.succeed("v1", "staging", services=("web",))
    await is_refused(people, "staging", "It is not known which files r2 of staging was made of")
    assert (await people.succeed("v1", "staging")).to_release == 2, "nothing of it changes"
    assert (await people.application.orchestrator.plan(promotion())).promoted_release == 2
    await stopped_service_is_no_healthy_one(people)
    await new_power_is_asked_for(people, stack)


async def new_power_is_asked_for(people, stack):
    """That staging has it gives prod nothing."""
    power = "web: pid host"
    stack.write({"web": alone(pid="host"), "other": alone()})
    await people.succeed("v2", "staging", granted=(power,))
    plan = await people.application.orchestrator.plan(promotion())
    assert plan.new_powers == (power,)
    refused = await people.application.orchestrator.run(plan.bind(promotion()))
    assert (refused.problem.key, stack.containers("prod")) == (NewPowersError.key, [])
    succeeded(await people.application.orchestrator.run(plan.bind(promotion(granted=(power,)))))
    assert stack.container("web", "prod").attrs["HostConfig"]["PidMode"] == "host"


async def stopped_service_is_no_healthy_one(people):
    """It raises no alert, and yet nobody has seen it work; while it is started, the plan says what is promoted."""
    stop = replace(request(DeploymentKind.DEPLOY, "staging", services=("web",)), operation=Operation.STOP)
    succeeded(await people.application.orchestrator.run(stop))
    (missing,) = (await people.application.orchestrator.plan(promotion())).missing
    assert "prod takes only what is healthy in staging, where it is not: web was stopped by dora" in missing
    succeeded(await people.application.orchestrator.run(replace(stop, operation=Operation.START)))
    assert (await people.application.orchestrator.plan(promotion())).missing == ()
    begun = await people.application.orchestrator.start(request(DeploymentKind.DEPLOY, "staging", "v2"))
    first, *_ = (await people.application.orchestrator.plan(promotion())).promotion
    assert first == f"{begun.id} is under way in staging: this is r2, from before it."
    succeeded(await people.application.orchestrator.wait(begun.id))


async def is_refused(people, source, text):
    with pytest.raises(InvalidRequestError, match=text):
        await people.application.orchestrator.plan(replace(promotion(), promoted_from=source))
