"""People type Compose commands beside a deployment: what they are making is left alone, and what runs is said."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from roas.app.application import open_application
from roas.deploy.phases.execution import Execution
from roas.models.deployment import DeploymentKind, PhaseStatus
from roas.models.health import Verdict
from roas.models.phases import PhaseName
from testbed.compose_labels import NUMBER_LABEL
from tests.e2e.acceptance.conftest import settings_for
from tests.e2e.acceptance.people import request, succeeded
from tests.e2e.acceptance.stack import CHECK, REPOSITORY, alone
from tests.e2e.acceptance.trouble import of_services, until

# Long enough for a command of Compose.
OBSERVED_SECONDS = 1.5
# It takes no notice of SIGTERM: for so long, whoever recreates it has a successor that is not started yet.
STUBBORN = {"entrypoint": ["sh", "-c", "trap '' TERM; while :; do sleep 0.2; done"], "stop_grace_period": "4s"}


@pytest.fixture
def settings(stack, tmp_path):
    """Watch new releases for long enough that somebody can type a command meanwhile."""
    settings = settings_for(stack, tmp_path / "state")
    settings.environments["dev"].observation_seconds = OBSERVED_SECONDS
    return settings


def write(stack, **web):
    """Write a stack of two services that have nothing to do with each other."""
    stack.write({"store": alone(), "web": alone(**({"image": f"{REPOSITORY}:v1"} | web))})


def create_beside(stack, name):
    """Leave what a person's living Compose has just made and is about to start; returns its id."""
    web = stack.container("web")
    labels = {key: value for key, value in web.labels.items() if not key.endswith("config-hash")}
    labels |= {"com.docker.compose.config-hash": "0" * 64, NUMBER_LABEL: "2" if name == "second" else "1"}
    own = f"{stack.project()}-web-2" if name == "second" else f"{web.id[:12]}_{web.name}"
    made = stack.client.api.create_container(web.attrs["Image"], name=own, labels=labels)
    return made["Id"]


@pytest.mark.parametrize("name", [pytest.param("second", marks=pytest.mark.long), "successor"])
async def test_what_somebody_is_about_to_start_stays(people, stack, images, name):
    """A container that never ran looks left over; who made it is alive, and would fail without it."""
    write(stack)
    await people.succeed("v1")
    made = create_beside(stack, name)
    deployment = await people.succeed("v2", services=("store",))
    assert made in stack.ids().values()
    (warning,) = [one for one in deployment.warnings if "left as it is" in one]
    assert stack.client.api.inspect_container(made)["Name"].strip("/") in warning
    stack.client.api.remove_container(made)
    assert stack.images() == {"store-1": images["v2"], "web-1": images["v1"]}


@pytest.mark.long
async def test_up_in_the_moment_of_the_start_is_not_broken(people, stack, images):
    """Somebody's `up` waits for the old container to stop, while a deployment of another service begins."""
    write(stack, **STUBBORN, healthcheck=None)
    await people.succeed("v1")
    write(stack, **STUBBORN, healthcheck=None, environment={"BY": "hand"})
    typed = asyncio.create_task(asyncio.to_thread(stack.manually, "up", "-d", "--no-deps", "web", VERSION="v1"))

    async def is_recreated():
        return len(stack.containers()) > 2

    await until(is_recreated)
    await people.deploy("v2", services=("store",))
    await typed
    web = stack.container("web")
    assert (web.status, web.name) == ("running", f"{stack.project()}-web-1")
    assert "BY=hand" in web.attrs["Config"]["Env"]


async def test_bot_that_starts_in_the_middle_of_an_up_raises_no_alert(people, stack, images, settings):
    """Compose has created web, and starts it once store is well: nothing of that is a fault."""
    slow = CHECK | {"test": ["CMD-SHELL", "sleep 3"], "start_period": "30s", "timeout": "10s"}
    write(stack)
    await people.succeed("v1")
    services = {"store": alone(healthcheck=slow), "web": alone(depends_on={"store": {"condition": "service_healthy"}})}
    stack.write(services)
    typed = asyncio.create_task(asyncio.to_thread(stack.manually, "up", "-d", VERSION="v2"))

    async def is_created():
        return any(container.status == "created" and "-web-" in container.name for container in stack.containers())

    await until(is_created)
    async with open_application(settings, instance_prefix="BOT") as bot:
        await bot.maintenance.start()
        await typed
        await until(lambda: is_healthy(bot, stack))
        assert not [(service.title, service.summary, service.actions) for service in await of_services(bot)]
        assert (await bot.state.releases.current("dev")).version == "v1"
    assert stack.images() == {"store-1": images["v2"], "web-1": images["v2"]}


async def is_healthy(application, stack):
    seen = application.health.verdict("dev", "web") is Verdict.HEALTHY
    return seen and all("(healthy)" in item["Status"] for item in stack.listed().values())


@asynccontextmanager
async def verified(people, version):
    """Deploy, and yield while the new release is watched; the outcome is the list's one item afterwards."""
    application, ended = people.application, []
    begun = await application.orchestrator.start(request(DeploymentKind.DEPLOY, version=version))

    async def is_watched():
        deployment = await application.state.deployments.get(begun.id)
        phase = deployment.phase(PhaseName.VERIFICATION)
        return phase is not None and phase.status is PhaseStatus.IN_PROGRESS

    await until(is_watched)
    yield ended
    ended.append(await application.orchestrator.wait(begun.id))


COMMANDS = {
    "up": ("up", "-d"),
    "recreate": ("up", "-d", "--force-recreate"),
    "restart": ("restart",),
    "stop": ("stop", "web"),
    "rm": ("rm", "-f", "-s", "web"),
    "down": ("down",),
    "scale": ("up", "-d", "--scale", "web=2"),
}


# One that replaces what runs; to take it down is another way to the same look.
USUAL = ("recreate",)


@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=() if name in USUAL else pytest.mark.long) for name in COMMANDS]
)
async def test_what_runs_is_read_before_success_is_said(people, stack, images, command):
    """Whatever somebody types while the new release is watched: it is the release that runs when it has succeeded."""
    stack.write({"store": alone(), "web": alone()})
    await people.succeed("v1")
    async with verified(people, "v2") as ended:
        await asyncio.to_thread(stack.manually, *COMMANDS[command], VERSION="v1")
    (deployment,) = ended
    succeeded(deployment)
    runs = [(name.partition("-")[0], image) for name, image in stack.images().items()]
    assert runs == [("store", images["v2"]), ("web", images["v2"])]
    assert [warning for warning in deployment.warnings if "somebody else" in warning], deployment.warnings
    before = stack.ids()
    await people.succeed("v2")
    assert stack.ids() == before


@pytest.mark.long
async def test_what_somebody_else_made_of_the_release_is_waited_for(people, stack, images, monkeypatch):
    """Their `up -d` of the same version was quicker: nothing is to do, and web is not healthy yet."""
    slowly = {"environment": {"BEHAVIOUR": "slow", "DELAY": "6"}, "healthcheck": CHECK | {"start_period": "60s"}}
    stack.write({"store": alone(), "web": alone()})
    await people.succeed("v1")
    stack.write({"store": alone(), "web": alone(**slowly)})
    execute = Execution.run

    async def after_their_up(phase, context):
        await asyncio.to_thread(stack.manually, "up", "-d", VERSION="v2")
        return await execute(phase, context)

    monkeypatch.setattr(Execution, "run", after_their_up)
    await people.succeed("v2")
    assert set(stack.images().values()) == {images["v2"]}
