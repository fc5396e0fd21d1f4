"""A bot that lives beside a stack of one's own, used from the outside as people do: for measurements, long proofs."""

import asyncio
import json
import re
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import docker.errors

from sandbox.bot_settings import bot_settings
from sandbox.client import SandboxClient
from sandbox.views import Interaction, Message
from testbed.compose_labels import PROJECT_LABEL, SERVICE_LABEL
from testbed.engine import Engine
from testbed.home_stack import running_sandbox
from testbed.inherited import inherited
from testbed.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = ("deploy", "rollback", "status")
CONNECT_SECONDS = 60.0
ANSWER_SECONDS = 30.0
OUTCOME_SECONDS = 180.0
STOP_SECONDS = 20.0
DEPLOYMENT_ID = re.compile(r"\b(?:DEPLOY|ROLLBACK)-[0-9A-Z]+\b")


class RunningBotError(RuntimeError):
    """The bot did not do what it was asked; the message is what it answered."""


@dataclass
class RunningBot:
    """Hold a running bot, the people of its channel, and the stack that it manages."""

    process: asyncio.subprocess.Process
    people: SandboxClient
    client: docker.DockerClient
    name: str
    state: Path
    log: Path
    http_port: int
    webhook_token: str
    started: float

    @property
    def url(self) -> str:
        """Return where it answers HTTP."""
        return f"http://127.0.0.1:{self.http_port}"

    def containers(self, environment: str) -> dict[str, Any]:
        """Return an environment's containers by service, as the engine shows them."""
        label = f"{PROJECT_LABEL}={self.name}-{environment}"
        found = self.client.containers.list(all=True, ignore_removed=True, filters={"label": label})
        return {str(item.labels[SERVICE_LABEL]): item for item in found}

    async def last_message(self) -> int:
        """Return the id of the newest message in the channel; waiting for later ones is cheap."""
        messages = await self.people.messages()
        return messages[-1].id if messages else 0

    async def deploy(self, environment: str, version: str, *, after: int = 0) -> Message:
        """Type `/deploy`, confirm the plan, and return the message with the outcome. Raises RunningBotError."""
        return await self.confirm(await self.plan(environment, version), after=after)

    async def plan(self, environment: str, version: str) -> Message:
        """Type `/deploy` and return the plan. Raises RunningBotError."""
        return await self._answer(await self.people.slash("dora", "deploy", environment=environment, version=version))

    async def confirm(self, plan: Message, *, after: int = 0) -> Message:
        """Confirm a plan, and return the message with the outcome. Raises RunningBotError."""
        confirm = next((button.custom_id for button in plan.buttons if ":confirm:" in (button.custom_id or "")), None)
        if confirm is None:
            raise RunningBotError(plan.text)
        answer = await self._answer(await self.people.click("dora", plan, confirm))
        found = DEPLOYMENT_ID.search(answer.text)
        if found is None:
            raise RunningBotError(answer.text)

        def is_outcome(message: Message) -> bool:
            return f"{found.group()} · outcome" in message.text

        return await self.people.wait_for_message(is_outcome, deadline_seconds=OUTCOME_SECONDS, after=after)

    async def ask(self, command: str, **options: Any) -> Message:
        """Type a command and return its answer. Raises RunningBotError."""
        return await self._answer(await self.people.slash("dora", command, **options))

    async def _answer(self, asked: Interaction) -> Message:
        answer = await self.people.answer(asked, deadline_seconds=ANSWER_SECONDS)
        if answer.message is None:
            raise RunningBotError(f"{asked.what}: {answer.error or 'no answer'}")
        return answer.message


@dataclass(frozen=True)
class Stack:
    """Define the managed stack: services by name as a compose file has them, and more settings of the bot."""

    services: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, str] = field(default_factory=dict)


@asynccontextmanager
async def running_bot(engine: Engine, folder: Path, stack: Stack) -> AsyncIterator[RunningBot]:
    """Write the stack, start a sandbox and a bot, wait until people can use it; remove everything afterwards."""
    _write(stack, folder)
    name = f"living-{secrets.token_hex(3)}"
    client = engine.client()
    try:
        with running_sandbox() as discord:
            async with (
                SandboxClient(discord["control_url"], discord["control_token"]) as people,
                _bot(engine, folder, stack, name, discord, people, client) as bot,
            ):
                yield bot
    finally:
        await asyncio.to_thread(clear, client, name)
        client.close()


def _write(stack: Stack, folder: Path) -> None:
    (folder / "stack").mkdir(parents=True)
    (folder / "stack" / "docker-compose.yml").write_text(json.dumps({"services": stack.services}))


@asynccontextmanager
async def _bot(
    engine: Engine,
    folder: Path,
    stack: Stack,
    name: str,
    discord: Mapping[str, Any],
    people: SandboxClient,
    client: docker.DockerClient,
) -> AsyncIterator[RunningBot]:
    port, token = free_port(), secrets.token_hex(16)
    settings = {
        **bot_environment(engine, folder, name, discord),
        "HTTP_PORT": str(port),
        "WEBHOOK_TOKEN": token,
        **stack.settings,
    }
    started = time.monotonic()
    with (folder / "roas.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "roas", env=settings, stdout=output, stderr=output, cwd=folder
        )
    try:
        await people.wait_for_commands(*COMMANDS, deadline_seconds=CONNECT_SECONDS)
        await people.wait_until_connected(CONNECT_SECONDS)
        yield RunningBot(process, people, client, name, folder / "state", folder / "roas.log", port, token, started)
    finally:
        await _stop(process)


def bot_environment(engine: Engine, folder: Path, name: str, discord: Mapping[str, Any]) -> dict[str, str]:
    """Return all that a bot of this stack is started with, but for where it answers HTTP."""
    return {
        **inherited(),
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        **bot_settings(discord),
        "DISCORD_ALERT_ROLE_ID": str(discord["roles"]["alert"]),
        "DOCKER_HOST": engine.docker_host,
        "STACK_DIR": str(folder / "stack"),
        "STATE_DIR": str(folder / "state"),
        "COMPOSE_PROJECT_NAME": name,
        "ENVIRONMENTS__DEV__OBSERVATION_SECONDS": "0.5",
        "ENVIRONMENTS__STAGING__OBSERVATION_SECONDS": "0.5",
        "LOG_FORMAT": "json",
    }


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def clear(client: docker.DockerClient, name: str) -> None:
    """Remove the containers, networks and release images of every environment of a stack: a new journal can begin."""
    for container in client.containers.list(all=True, ignore_removed=True):
        if container.labels.get(PROJECT_LABEL, "").startswith(f"{name}-"):
            with suppress(docker.errors.APIError):
                container.remove(force=True, v=True)
    for network in client.networks.list():
        if (network.attrs.get("Labels") or {}).get(PROJECT_LABEL, "").startswith(f"{name}-"):
            with suppress(docker.errors.APIError):
                network.remove()
    for tag in _release_tags(client, name):
        with suppress(docker.errors.APIError):
            client.images.remove(tag)


def _release_tags(client: docker.DockerClient, name: str) -> Iterator[str]:
    ours = (f"roas-release/{name}-", f"roas-release/journal:{name}-")
    for image in client.images.list():
        yield from (tag for tag in image.tags if tag.startswith(ours))
