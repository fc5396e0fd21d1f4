"""A stack of which the bot is itself one service, laid out in a folder and started by hand as a person would."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import yaml
from docker.errors import APIError

from sandbox.bot_settings import bot_settings
from testbed.compose_labels import PROJECT_LABEL, SERVICE_LABEL
from testbed.engine import Engine, manual_environment
from testbed.sample import CHECK

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "home"
IMAGE = "roas-bot"
STORE_IMAGE = "store:v1"
BOT_SERVICE = "discord-bot"
RELEASES = "roas-release"
COMPOSE_SECONDS = 120


class HomeStackError(RuntimeError):
    """The stack could not be started by hand; the message is what Compose said."""


@dataclass(frozen=True)
class Home:
    """Hold the stack's folder, and observe by Docker alone what runs of it."""

    engine: Engine
    client: docker.DockerClient
    folder: Path

    def compose(self, *arguments: str) -> str:
        """Run Compose by hand, as a person would, and return all that it said. Raises HomeStackError."""
        done = subprocess.run(
            ["docker-compose", *arguments],
            cwd=self.folder,
            env=manual_environment(self.engine.docker_host, self.folder),
            capture_output=True,
            text=True,
            check=False,
            timeout=COMPOSE_SECONDS,
        )
        if done.returncode != 0:
            raise HomeStackError(done.stderr)
        return done.stdout + done.stderr

    def bots(self, *, stopped: bool = False, sparse: bool = False) -> list[Any]:
        """Return the containers of the bot's service; with `sparse`, in one question, by what a list tells of them."""
        label = f"{SERVICE_LABEL}={BOT_SERVICE}"
        found = self.client.containers.list(all=stopped, ignore_removed=True, filters={"label": label}, sparse=sparse)
        return list(found)

    def everything(self) -> list[Any]:
        """Return every container of the stack, running or not."""
        label = f"{PROJECT_LABEL}={PROJECT}"
        return list(self.client.containers.list(all=True, ignore_removed=True, filters={"label": label}))

    def logs(self, lines: int = 60) -> str:
        """Return the last lines of every bot, for the analysis of a failure."""
        return "\n".join(f"--- {bot.name}\n{_log_of(bot, lines)}" for bot in self.bots(stopped=True))


def _log_of(bot: Any, lines: int) -> str:
    """Return the last lines of a bot; another one may remove it meanwhile."""
    try:
        return str(bot.logs(tail=lines).decode())
    except APIError:  # "dead or marked for removal", if it is not gone yet
        return "it is gone"


def forget_releases(client: docker.DockerClient, project: str | None = PROJECT) -> None:
    """Remove the tags of releases of a project, or of all: a bot with an empty journal takes them for a lost one's."""
    own = (f"{RELEASES}/",) if project is None else (f"{RELEASES}/{project}-", f"{RELEASES}/journal:{project}")
    for image in client.images.list(name=f"{RELEASES}/*"):
        for tag in image.tags:
            if tag.startswith(own):  # it has the names of its stack, too
                with suppress(APIError):
                    client.images.remove(tag)


def lay_out(
    engine: Engine,
    client: docker.DockerClient,
    folder: Path,
    values: Mapping[str, object],
    *,
    healthcheck: Mapping[str, object] | None = None,
    **services: Mapping[str, object],
) -> Home:
    """Write the shipped bot service beside a small store, with `values` as its `.env`; nothing is started yet.

    `healthcheck` overrides settings of the bot's; `services` adds to the store's keys, or adds services.
    """
    folder.mkdir()
    forget_releases(client)
    shipped = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    bot = shipped["services"][BOT_SERVICE]
    bot.pop("build")
    bot["depends_on"] = {"store": {"condition": "service_healthy"}}
    bot["x-deploy"] = {"critical": True}
    bot["healthcheck"] |= healthcheck or {}
    store: dict[str, object] = {"image": STORE_IMAGE, "init": True, "healthcheck": CHECK}
    described = {BOT_SERVICE: bot, "store": store}
    for name, keys in services.items():
        described[name] = described.get(name, {}) | dict(keys)
    stack = {"name": PROJECT, "services": described}
    (folder / "docker-compose.yml").write_text(yaml.safe_dump(stack, sort_keys=False))
    (folder / ".env").write_text("\n".join(f"{k}={v}" for k, v in values.items()) + "\n")
    return Home(engine, client, folder)


def home_settings(discord: Mapping[str, Any], engine: Engine, folder: Path) -> dict[str, object]:
    """Return the `.env` of the stack."""
    return {
        "VERSION": "v1",
        "COMPOSE_PROJECT_NAME": PROJECT,
        "HOME_ENVIRONMENT": "dev",
        "STACK_DIR": folder,
        "STATE_DIR": folder / "state",
        "DOCKER_SOCKET": engine.docker_host.removeprefix("unix://"),
        **bot_settings(discord),
        "ENVIRONMENTS__DEV__OBSERVATION_SECONDS": "3",
        "REDIS_URL": "",
        "PROMETHEUS_URL": "",
    }


@contextmanager
def running_sandbox(engine: Engine | None = None, host: str = "127.0.0.1") -> Iterator[dict[str, Any]]:
    """Run a sandbox in Discord's place, on loopback or where an engine's containers reach it; gives what it says."""
    host = host if engine is None else engine.host_address()
    command = [sys.executable, "-m", "sandbox", "--host", host]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
