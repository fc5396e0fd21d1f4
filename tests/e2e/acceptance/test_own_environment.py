"""What is set for the bot's own process never reaches a stack."""

import os

import pytest

from roas.app.application import open_application
from roas.configuration.loading import load_settings
from testbed.compose_labels import PROJECT_LABEL
from tests.e2e.acceptance.conftest import OBSERVATION_SECONDS
from tests.e2e.acceptance.people import People
from tests.e2e.acceptance.stack import REPOSITORY, alone


@pytest.fixture
def bot_environment(stack, tmp_path, monkeypatch):
    """Set for this process what is set for the bot in production."""
    own = {
        "STACK_DIR": str(stack.folder),
        "STATE_DIR": str(tmp_path / "state"),
        "DOCKER_HOST": stack.docker_host,
        "COMPOSE_PROJECT_NAME": stack.base_name,
        "COMPOSE_PROFILES": "debug",
        "VERSION": "v3",
        "DISCORD_TOKEN": "the-bots-own-token",
        "DISCORD_API_URL": "http://127.0.0.1:9/api/v10",
        "HOME_ENVIRONMENT": "prod",
        "ENVIRONMENTS__STAGING__OBSERVATION_SECONDS": str(OBSERVATION_SECONDS),
    }
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def people(bot_environment, monkeypatch):
    """Read the settings as the bot does, without asking Discord whether the token is good."""
    settings = load_settings(needs_discord=False).model_copy(update={"discord_token": None})
    async with open_application(settings) as application:
        assert os.environ["DISCORD_TOKEN"]
        yield People(application)


async def test_base_project_name_prefixes_environments(people, stack):
    """The project name of the bot is the base of the names of all environments."""
    environments = people.application.environments
    names = {name: environment.project for name, environment in environments.items()}
    base = stack.base_name
    assert names == {"dev": f"{base}-dev", "staging": f"{base}-staging", "prod": base}


async def test_staging_has_own_project_files_and_values(people, stack, images):
    """The files of an environment count from the moment that they exist, and for that one alone.

    The name inside a compose file does not move a stack to another project.
    """
    variables = {
        "WHO": "${WHO:-everybody}",
        "COLOUR": "${COLOUR:-none}",
        "TOKEN": "${DISCORD_TOKEN:-none}",
        "PROJECT": "${COMPOSE_PROJECT_NAME}",
        "STATE_DIR": None,
    }
    stack.put("passed.env", "DISCORD_TOKEN\nCOMPOSE_PROJECT_NAME\n")
    web = alone(
        healthcheck=None,
        image=f"{REPOSITORY}:${{VERSION}}",
        environment=variables,
        labels={"version": "${VERSION}"},
        env_file=["passed.env"],
    )
    stack.write({"web": web, "debug": alone(profiles=["debug"])}, name="something-else")
    await people.succeed("v1", "dev")
    dev = stack.ids("dev")
    stack.put("docker-compose.staging.yml", "services: {web: {labels: {by: override}}}")
    stack.put(".env.staging", "VERSION=v3\nCOLOUR=green\nWHO=staging\n")
    await people.succeed("v2", "staging")
    of_staging_is_its_own(stack)
    assert stack.variables("web", "dev")["WHO"] == "everybody"
    assert stack.ids("dev") == dev
    assert stack.images("dev") == {"web-1": images["v1"]}
    assert stack.images("staging") == {"web-1": images["v2"]}


def of_staging_is_its_own(stack) -> None:
    """It is of its environment's project and files, and has nothing of the bot's own."""
    container = stack.container("web", "staging")
    labels = {name: container.labels[name] for name in (PROJECT_LABEL, "version", "by")}
    assert labels == {PROJECT_LABEL: f"{stack.base_name}-staging", "version": "v2", "by": "override"}
    variables = stack.variables("web", "staging")
    assert (variables["WHO"], variables["COLOUR"], variables["TOKEN"]) == ("staging", "green", "none")
    assert variables["PROJECT"] == f"{stack.base_name}-staging"
    assert not variables.get("STATE_DIR")
    assert not variables.get("DISCORD_TOKEN")
    assert "the-bots-own-token" not in str(container.attrs)
