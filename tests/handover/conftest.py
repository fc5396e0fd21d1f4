"""A stack of which the bot is itself one service, in containers of a private engine."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from sandbox.client import SandboxClient
from testbed.bot_image import build_bot_image
from testbed.daemon import PrivateDaemon
from testbed.engine import Engine
from testbed.sample import sample_image
from tests.wire.shop import CHECK

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "home"
SERVICE_LABEL = "com.docker.compose.service"
CONNECT_SECONDS = 60.0
IMAGE = "roas-bot"
# What modules that say `HASTY = True` get, so that their failures show soon.
HANDOVER_SECONDS = 15.0
OBSERVATION_SECONDS = 5.0


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Run an engine whose only containers are this stack's."""
    with PrivateDaemon(tmp_path_factory.mktemp("engine"), settings={"dns": []}) as daemon:
        yield Engine(daemon.docker_host, daemon)


@pytest.fixture(scope="module")
def client(engine: Engine) -> Iterator[docker.DockerClient]:
    """Look at the engine."""
    client = engine.client()
    yield client
    client.close()


@pytest.fixture(scope="module")
def images(engine: Engine, client: docker.DockerClient) -> dict[str, str]:
    """Make two good versions of the bot, and one that ends at once."""
    made = {version: build_bot_image(engine, f"{IMAGE}:{version}", version=version) for version in ("v1", "v2")}
    sample_image(client, "store:v1")
    made["broken"] = sample_image(client, f"{IMAGE}:broken", version="broken", behaviour="exits")
    return made


@pytest.fixture(scope="module")
def discord(engine: Engine) -> Iterator[dict[str, Any]]:
    """Run a sandbox where the engine's containers reach it."""
    command = [sys.executable, "-m", "sandbox", "--host", engine.host_address()]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield json.loads(process.stdout.readline())
        process.terminate()


@dataclass(frozen=True)
class Home:
    """Know the stack's folder, and see by Docker alone what runs of it."""

    engine: Engine
    client: docker.DockerClient
    folder: Path

    def compose(self, *arguments: str) -> None:
        """Run Compose by hand, as a person would."""
        done = subprocess.run(
            ["docker-compose", *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "DOCKER_HOST": self.engine.docker_host},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr

    def bots(self, *, stopped: bool = False) -> list[Any]:
        """Return the containers of the bot's service."""
        label = f"{SERVICE_LABEL}=discord-bot"
        return self.client.containers.list(all=stopped, filters={"label": label})

    def logs(self) -> str:
        """Return the last lines of every bot, for a test that failed."""
        return "\n".join(f"--- {c.name}\n{c.logs(tail=60).decode()}" for c in self.bots(stopped=True))


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
    folder.mkdir()
    shipped = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    bot = shipped["services"]["discord-bot"]
    bot.pop("build")
    bot["depends_on"] = {"store": {"condition": "service_healthy"}}
    bot["x-deploy"] = {"critical": True}
    values = settings(discord, engine, folder)
    if getattr(request.module, "HASTY", False):
        bot["healthcheck"] |= {"interval": "1s", "retries": 2}
        values |= {
            "ENVIRONMENTS__DEV__OBSERVATION_SECONDS": OBSERVATION_SECONDS,
            "HANDOVER_SECONDS": HANDOVER_SECONDS,
        }
    store = {"image": "store:v1", "init": True, "healthcheck": CHECK}
    stack = {"name": PROJECT, "services": {"discord-bot": bot, "store": store}}
    (folder / "docker-compose.yml").write_text(yaml.safe_dump(stack, sort_keys=False))
    (folder / ".env").write_text("\n".join(f"{k}={v}" for k, v in values.items()) + "\n")
    home = Home(engine, client, folder)
    home.compose("up", "-d")
    yield home
    print(home.logs())  # shown by pytest when the test fails
    for container in client.containers.list(all=True):
        container.remove(force=True, v=True)
    shutil.rmtree(folder)


def settings(discord: dict[str, Any], engine: Engine, folder: Path) -> dict[str, object]:
    """Return the `.env` of the stack."""
    roles = discord["roles"]
    return {
        "VERSION": "v1",
        "COMPOSE_PROJECT_NAME": PROJECT,
        "HOME_ENVIRONMENT": "dev",
        "STACK_DIR": folder,
        "STATE_DIR": folder / "state",
        "DOCKER_SOCKET": engine.docker_host.removeprefix("unix://"),
        "DISCORD_TOKEN": discord["bot_token"],
        "DISCORD_GUILD_ID": discord["guild_id"],
        "DISCORD_OPS_CHANNEL_ID": discord["ops_channel_id"],
        "DISCORD_DEPLOYER_ROLE_IDS": roles["deployer"],
        "DISCORD_APPROVER_ROLE_IDS": roles["approver"],
        "DISCORD_HOTFIX_ROLE_IDS": roles["hotfix"],
        "DISCORD_API_URL": discord["api_url"],
        "DISCORD_GATEWAY_URL": discord["gateway_url"],
        "ENVIRONMENTS__DEV__OBSERVATION_SECONDS": "3",
        "BOT_UID": "0",
        "REDIS_URL": "",
        "PROMETHEUS_URL": "",
    }


@pytest.fixture
async def people(discord: dict[str, Any], home: Home) -> AsyncIterator[SandboxClient]:
    """Play the people, once the bot's commands are there."""
    async with SandboxClient(discord["control_url"], discord["control_token"]) as people:
        await people.wait_until_connected(CONNECT_SECONDS)
        await people.wait_for_commands("deploy", "status", deadline_seconds=CONNECT_SECONDS)
        yield people
