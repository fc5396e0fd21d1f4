"""A stack on another host, reached by ssh: deployed, gone back, watched, and a connection lost in the middle."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from roas.app.application import open_application
from roas.configuration.settings import Settings
from roas.metrics.bot_metrics import Metrics
from roas.models.deployment import Outcome
from testbed.compose_labels import PROJECT_LABEL
from testbed.inherited import inherited
from testbed.preloaded import PreloadedPopen
from testbed.ssh_server import SshServer, ssh_server
from testbed.waiting import wait_until
from tests.e2e.acceptance.conftest import settings_for
from tests.e2e.acceptance.people import People, told
from tests.e2e.acceptance.stack import REPOSITORY, Stack, alone

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[3]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    """A host whose key may forward, and do nothing else."""
    with ssh_server(tmp_path / "ssh", "restrict,port-forwarding") as running:
        yield running


@pytest.fixture
def reached(stack: Stack, server: SshServer, tmp_path: Path) -> dict[str, object]:
    """The settings by which a bot reaches the engine of its stack."""
    known = tmp_path / "known_hosts"
    known.write_text(server.known_hosts)
    address = f"{server.url}{stack.docker_host.removeprefix('unix://')}"
    return {"docker_host": address, "docker_key_file": server.key, "docker_known_hosts_file": known}


@pytest.fixture
def settings(stack: Stack, reached: dict[str, object], tmp_path: Path) -> Settings:
    """A bot that reaches the engine of its stack by ssh."""
    return settings_for(stack, tmp_path / "state", **reached)


async def test_stack_on_another_host_takes_one_connection(people, stack, images, server):
    """It is deployed, built and brought back as one that is here, however many ask at the same time."""
    build = {"context": ".", "dockerfile_inline": "FROM ${BASE:-roas-acceptance/app:v1}\nENV BUILT=yes\n"}
    services = {f"web{number}": alone() for number in range(6)}
    stack.write(services | {"built": alone(image=None, build=build)})
    await people.succeed("v1")
    await people.succeed("v2")
    assert stack.variables("built")["BUILT"] == "yes"
    assert [stack.images()[f"web{number}-1"] for number in range(6)] == [images["v2"]] * 6
    assert (await people.rollback()).outcome is Outcome.SUCCEEDED
    assert [stack.images()[f"web{number}-1"] for number in range(6)] == [images["v1"]] * 6
    assert server.logins == 1


async def test_compose_by_hand_changes_nothing_on_another_host(people, stack):
    """Containers there have the hash of the stack's files and the image's name, as those here."""
    stack.write({"web": alone(), "worker": alone(depends_on={"web": {"condition": "service_healthy"}})})
    await people.succeed("v1")
    made = stack.ids()
    stack.manually("up", "-d", VERSION="v1")
    assert stack.ids() == made
    assert stack.container("web").attrs["Config"]["Image"] == f"{REPOSITORY}:v1"


@pytest.mark.long
async def test_connection_lost_in_a_deployment_is_made_again(people, stack, images, server):
    """What is being done then is tried again, by a new connection, and the deployment ends as if nothing had been."""
    stack.write({f"web{number}": alone() for number in range(3)})
    await people.succeed("v1")
    begun = stack.client.events(decode=True, filters={"event": "create", "label": f"{PROJECT_LABEL}={stack.project()}"})
    deploying = asyncio.create_task(people.deploy("v2"))
    await asyncio.to_thread(next, begun)
    for session in server.sessions():
        os.kill(session, signal.SIGKILL)
    deployment = await deploying
    assert deployment.outcome is Outcome.SUCCEEDED, told(deployment)
    assert set(stack.images().values()) == {images["v2"]}
    assert server.logins == 2


async def test_files_of_this_machine_are_refused_by_name(people, stack, images):
    """The other host would bind an empty folder in their place."""
    stack.put("page.html", "hello")
    stack.write({"web": alone(volumes=["./page.html:/page.html:ro"])})
    deployment = await people.deploy("v1")
    assert deployment.outcome is Outcome.FAILED
    assert "is on another machine and cannot bind our files: web: " in told(deployment)
    assert stack.containers() == []


@pytest.mark.long
@pytest.mark.parametrize("step", [5, 10, 15])
async def test_bot_killed_in_a_deployment_is_followed_by_the_next(stack, images, settings, reached, server, step):
    """The next one takes over by a connection of its own, and nothing is left of either on the host."""
    stack.write({f"web{number}": alone() for number in range(3)})
    async with open_application(settings, metrics=Metrics("test")) as application:
        await People(application).succeed("v1")
    child = mortal(stack, settings, reached, step)
    assert await asyncio.to_thread(child.wait, 120) == -signal.SIGKILL
    async with open_application(settings, metrics=Metrics("test")) as application:
        for left in await application.orchestrator.resume():
            await application.orchestrator.wait(left.id)
        last, *_ = await application.state.deployments.list("dev")
    assert last.outcome in {Outcome.SUCCEEDED, Outcome.ROLLED_BACK}, told(last)
    assert set(stack.images().values()) == {images["v2" if last.outcome is Outcome.SUCCEEDED else "v1"]}
    assert await asyncio.to_thread(wait_until, lambda: not server.sessions(), 20)
    assert server.logins == 3


def mortal(stack: Stack, settings: Settings, reached: dict[str, object], step: int) -> "subprocess.Popen[bytes]":
    """Start a process that deploys v2 and dies after a step."""
    environment = {name.upper(): str(value) for name, value in reached.items()} | {
        "STACK_DIR": str(stack.folder),
        "STATE_DIR": str(settings.state_dir),
        "COMPOSE_PROJECT_NAME": stack.base_name,
        "ENVIRONMENTS__DEV__OBSERVATION_SECONDS": "0.2",
        "MORTAL_AFTER": str(step),
        "PYTHONPATH": str(ROOT),
    }
    module = "tests.e2e.acceptance.killable_deployment"
    return PreloadedPopen([module, "v2"], cwd=ROOT, env=inherited() | environment)
