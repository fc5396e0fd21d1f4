"""The application, in process, on the session's engine, with a stack of the test's own."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import docker
import pytest

from roas.app.application import Application, open_application
from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings
from roas.metrics.bot_metrics import Metrics
from tests.e2e.acceptance.people import People
from tests.e2e.acceptance.stack import REPOSITORY, Stack

OBSERVATION_SECONDS = 0.2
ENVIRONMENTS = ("dev", "staging", "prod")


@pytest.fixture(scope="session")
def images(sample_image: Callable[..., str]) -> dict[str, str]:
    """Make the sample app with every behaviour that these tests meet; the tags are the versions."""
    kinds = ("unhealthy", "exits", "ends")
    made = {kind: sample_image(f"{REPOSITORY}:{kind}", version=kind, behaviour=kind) for kind in kinds}
    made["fades"] = sample_image(f"{REPOSITORY}:fades", version="fades", behaviour="fades", delay_seconds=1.2)
    return made | {name: sample_image(f"{REPOSITORY}:{name}", version=name) for name in ("v1", "v2", "v3")}


@pytest.fixture
def stack(
    tmp_path: Path, docker_client: docker.DockerClient, docker_host: str, images: dict[str, str]
) -> Iterator[Stack]:
    """Give a folder for a stack whose projects have a name of their own, gone after the test."""
    stack = Stack(tmp_path / "stack", f"acc{secrets.token_hex(3)}", docker_client, docker_host)
    stack.folder.mkdir()
    yield stack
    stack.clear()


@pytest.fixture
def settings(stack: Stack, tmp_path: Path) -> Settings:
    """Point the application at the stack and the session's engine."""
    return settings_for(stack, tmp_path / "state")


def settings_for(stack: Stack, state_dir: Path, **changes: object) -> Settings:
    """Return settings that come from nowhere but here."""
    quick = {name: EnvironmentSettings(observation_seconds=OBSERVATION_SECONDS) for name in ENVIRONMENTS}
    plain = {
        "stack_dir": stack.folder,
        "state_dir": state_dir,
        "docker_host": stack.docker_host,
        "compose_project_name": stack.base_name,
        "environments": quick,
    }
    return Settings(_env_file=None, **(plain | changes))


@pytest.fixture
async def application(settings: Settings) -> AsyncIterator[Application]:
    """Open the real application, as the bot and the command line do."""
    async with open_application(settings, metrics=Metrics("test")) as application:
        yield application


@pytest.fixture
def people(application: Application) -> People:
    """Ask the application for deployments."""
    return People(application)
