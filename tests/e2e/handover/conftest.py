"""A stack of which the bot is itself one service, in containers of a private engine."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from sandbox.client import SandboxClient
from testbed import journal_view
from testbed.bot_image import bot_image
from testbed.engine import Engine
from testbed.home_stack import IMAGE, STORE_IMAGE, Home, forget_releases, home_settings, lay_out, running_sandbox
from testbed.sample import CHECK, sample_image
from testbed.waiting import wait_until
from tests.e2e.handover.versions import STARTS, make_versions

CONNECT_SECONDS = 120.0
HOOK_PORT, HOOK_SECRET = 8081, "an-address-that-nobody-guesses"
# Shorter than usual, so that failures show; a bot that has to share two cores with many takes a while to be ready.
HANDOVER_SECONDS = 40.0
OBSERVATION_SECONDS = 5.0
REST_SECONDS = 30.0
# Each probe takes 60 ms of a core. Where one has to fail soon, the test says so; the store never is unhealthy.
BOT_CHECK = {"interval": "10s", "retries": 2, "start_interval": "2s"}
WATCHED_CHECK = {"interval": "1s", "retries": 2}
STORE_CHECK = CHECK | {"interval": "60s"}


@pytest.fixture(scope="session")
def engine(building_engine: Engine) -> Engine:
    """Give an engine whose only containers are this stack's."""
    return building_engine


@pytest.fixture(scope="session")
def client(engine: Engine) -> Iterator[docker.DockerClient]:
    """Look at the engine."""
    client = engine.client()
    yield client
    client.close()


@pytest.fixture(scope="session")
def images(engine: Engine, client: docker.DockerClient) -> dict[str, str]:
    """Make two good versions of the bot, and one for each way of being bad; returns image ids by version."""
    sample_image(client, STORE_IMAGE)
    base = bot_image(engine, f"{IMAGE}:base", version="base")
    made = make_versions(client, base, {f"{IMAGE}:{how}": how for how in STARTS})
    return {tag.partition(":")[2]: image for tag, image in made.items()}


@pytest.fixture(scope="session")
def discord(engine: Engine) -> Iterator[dict[str, Any]]:
    """Run a sandbox where the engine's containers reach it."""
    with running_sandbox(engine) as said:
        yield said


@pytest.fixture(scope="session")
def standing(
    engine: Engine,
    client: docker.DockerClient,
    images: dict[str, str],
    discord: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Home]:
    """Lay out the shipped bot service beside a small store, for all tests; each may leave it on another version."""
    folder = tmp_path_factory.mktemp("stack") / "home"
    values = home_settings(discord, engine, folder) | {
        "ENVIRONMENTS__DEV__OBSERVATION_SECONDS": OBSERVATION_SECONDS,
        "HANDOVER_SECONDS": HANDOVER_SECONDS,
        **hook_settings(folder),
    }
    home = lay_out(engine, client, folder, values, healthcheck=BOT_CHECK, store={"healthcheck": STORE_CHECK})
    (folder / "hook").write_text(HOOK_SECRET)
    yield home
    clear_away(home)
    shutil.rmtree(folder)


def hook_settings(folder: Path) -> dict[str, object]:
    """Let the bot take webhooks of a registry that cannot be asked."""
    return {
        "API_HOST": "0.0.0.0",  # noqa: S104 - within the engine's own network
        "API_PORT": HOOK_PORT,
        "ROAS_SOURCES__HUB__KIND": "docker_hub",
        "ROAS_SOURCES__HUB__ENVIRONMENTS__DEV": "propose",
        "ROAS_SOURCES__HUB__IMAGES": '["registry.invalid/shop/web"]',
        "ROAS_SOURCES__HUB__SECRET_FILE": folder / "hook",
    }


@pytest.fixture
def home(standing: Home) -> Iterator[Home]:
    """Give the stack with one bot at work; it is started by hand where a test has left something else behind."""
    if not comes_to_rest(standing):
        clear_away(standing)
        standing.compose("up", "-d")
    yield standing
    print(standing.logs())  # shown by pytest when the test fails


@pytest.fixture
async def people(discord: dict[str, Any], home: Home) -> AsyncIterator[SandboxClient]:
    """Play the people, once the bot's commands are there."""
    async with SandboxClient(discord["control_url"], discord["control_token"]) as people:
        await people.wait_until_connected(CONNECT_SECONDS)
        await people.wait_for_commands("deploy", "status", deadline_seconds=CONNECT_SECONDS)
        yield people


def comes_to_rest(home: Home) -> bool:
    """Tell whether the stack is whole, with one bot, and nothing is under way; a bot that starts is waited for."""
    wait_until(lambda: "starting" not in health(home), REST_SECONDS, poll=0.2)
    if health(home) != {"healthy"} or len(home.bots()) != 1:
        return False
    return not rows(home, "SELECT id FROM deployments WHERE outcome IS NULL")


def health(home: Home) -> set[str]:
    """Return how the containers are, by Docker; nothing where they are not those of a whole stack."""
    everything = home.everything()
    running = [item for item in everything if item.status == "running"]
    if len(everything) != 2 or len(running) != 2:
        return set()
    return {(item.attrs["State"].get("Health") or {}).get("Status", "") for item in running}


def rows(home: Home, question: str, *values: str) -> list[Any]:
    """Ask the journal."""
    return journal_view.rows(home.folder / "state", question, *values)


def clear_away(home: Home) -> None:
    """Remove the stack, and all that its bot remembers."""
    for container in home.everything():
        container.remove(force=True, v=True)
    forget_releases(home.client)
    shutil.rmtree(home.folder / "state", ignore_errors=True)


def other_version(home: Home, images: dict[str, str]) -> str:
    """Return the good version that is not the bot's now."""
    runs = home.bots(stopped=True)[0].attrs["Image"]
    return "v2" if runs == images["v1"] else "v1"


def started(bot: Any) -> tuple[str, str, int]:
    """Return whether a bot runs, since when, and how often it was started again."""
    bot.reload()
    return bot.status, bot.attrs["State"]["StartedAt"], bot.attrs["RestartCount"]
