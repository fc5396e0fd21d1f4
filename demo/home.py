"""The bot in its container, started by hand with Compose, as a person would start it."""

import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import docker.errors

from demo.processes import ProcessError
from demo.stage import ENVIRONMENT, HOME, PREVIEW, PROJECT_LABEL, Stage
from sandbox.bot_settings import bot_settings
from testbed.inherited import inherited

START_SECONDS = 120
OBSERVATION_SECONDS = 2
UNIX = "unix://"


def start_bot(stage: Stage, sandbox: Mapping[str, Any], *environments: str) -> None:
    """Start the bot, which deploys itself and the sample stack to these. Raises ProcessError with Compose's output."""
    settings = _settings(stage, sandbox, environments or (ENVIRONMENT,))
    stage.followed.mkdir(exist_ok=True)
    stage.followed.chmod(0o777)  # for the user of the bot's container
    lines = (f"{name}={value}" for name, value in settings.items())
    (stage.home / ".env").write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        ["docker", "compose", "up", "--detach"],
        cwd=stage.home,
        env={**inherited(), "DOCKER_HOST": stage.engine.docker_host},
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )
    if done.returncode != 0:
        raise ProcessError(f"The bot's container could not be started:\n{done.stderr}")


def _settings(stage: Stage, sandbox: Mapping[str, Any], environments: Sequence[str]) -> dict[str, object]:
    """Return the bot's `.env`: on embedded defaults, with the journal in a folder, no Redis, no Prometheus."""
    return {
        "REPOSITORY": stage.name,
        "VERSION": "v1",
        **bot_settings(sandbox),
        "DOCKER_SOCKET": stage.engine.docker_host.removeprefix(UNIX),
        "STACK_DIR": stage.home,
        "STATE_DIR": stage.state,
        "FOLLOWED_DIR": stage.followed,
        "COMPOSE_PROJECT_NAME": stage.name,
        "ENVIRONMENT_NAMES": ",".join((*environments, *([PREVIEW] if stage.repository else []), HOME)),
        "HOME_ENVIRONMENT": HOME,
        **{f"ENVIRONMENTS__{name.upper()}__FOLDER": stage.stack for name in environments},
        **{f"ENVIRONMENTS__{name.upper()}__OBSERVATION_SECONDS": OBSERVATION_SECONDS for name in (*environments, HOME)},
        "CRITICAL_SERVICES": "web,discord-bot",
    }


def failure_output(stage: Stage, lines: int = 25) -> str:
    """Return the last output of every existing bot."""
    client = stage.engine.client()
    try:
        bots = client.containers.list(all=True, ignore_removed=True, filters={"label": f"{PROJECT_LABEL}={stage.name}"})
        return "\n".join(f"{bot.name}:\n{bot.logs(tail=lines).decode(errors='replace')}" for bot in bots)
    except docker.errors.APIError as error:
        return f"(cannot be read: {error})"
    finally:
        client.close()
