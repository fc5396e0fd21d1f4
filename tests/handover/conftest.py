"""A stack of which the bot is itself one service, in containers of a private engine."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from sandbox.client import SandboxClient
from testbed.bot_image import build_bot_image
from testbed.daemon import PrivateDaemon
from testbed.engine import Engine
from testbed.home_stack import IMAGE, STORE_IMAGE, Home, home_settings, lay_out, running_sandbox
from testbed.sample import sample_image

CONNECT_SECONDS = 60.0
# What modules that say `HASTY = True` get, so that their failures show soon.
HANDOVER_SECONDS = 15.0
OBSERVATION_SECONDS = 5.0


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Run an engine whose only containers are this stack's."""
    with PrivateDaemon(tmp_path_factory.mktemp("engine"), settings={"dns": []}) as daemon:
        yield Engine(daemon.docker_host, daemon)


@pytest.fixture(scope="session")
def client(engine: Engine) -> Iterator[docker.DockerClient]:
    """Look at the engine."""
    client = engine.client()
    yield client
    client.close()


@pytest.fixture(scope="session")
def images(engine: Engine, client: docker.DockerClient) -> dict[str, str]:
    """Make two good versions of the bot, and one that ends at once."""
    made = {version: build_bot_image(engine, f"{IMAGE}:{version}", version=version) for version in ("v1", "v2")}
    sample_image(client, STORE_IMAGE)
    made["broken"] = sample_image(client, f"{IMAGE}:broken", version="broken", behaviour="exits")
    return made


@pytest.fixture(scope="session")
def discord(engine: Engine) -> Iterator[dict[str, Any]]:
    """Run a sandbox where the engine's containers reach it."""
    with running_sandbox(engine) as said:
        yield said


@pytest.fixture
def home(
    request: pytest.FixtureRequest,
    engine: Engine,
    client: docker.DockerClient,
    images: dict[str, str],
    discord: dict[str, Any],
    tmp_path: Path,
) -> Iterator[Home]:
    """Lay out the shipped bot service beside a small store, and start it by hand."""
    folder = tmp_path / "home"
    values = home_settings(discord, engine, folder)
    hasty = getattr(request.module, "HASTY", False)
    if hasty:
        values |= {
            "ENVIRONMENTS__DEV__OBSERVATION_SECONDS": OBSERVATION_SECONDS,
            "HANDOVER_SECONDS": HANDOVER_SECONDS,
        }
    home = lay_out(engine, client, folder, values, healthcheck={"interval": "1s", "retries": 2} if hasty else None)
    home.compose("up", "-d")
    yield home
    print(home.logs())  # shown by pytest when the test fails
    for container in client.containers.list(all=True):
        container.remove(force=True, v=True)
    shutil.rmtree(folder)


@pytest.fixture
async def people(discord: dict[str, Any], home: Home) -> AsyncIterator[SandboxClient]:
    """Play the people, once the bot's commands are there."""
    async with SandboxClient(discord["control_url"], discord["control_token"]) as people:
        await people.wait_until_connected(CONNECT_SECONDS)
        await people.wait_for_commands("deploy", "status", deadline_seconds=CONNECT_SECONDS)
        yield people
