"""The bot as a service of a Swarm brings itself to another version: a task after the other, and tells it once."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.bot_settings import bot_settings
from sandbox.client import SandboxClient
from testbed.bot_service import ROOT, STACK, BotService
from testbed.git_server import GitServer, git_server
from testbed.home_stack import running_sandbox
from testbed.node import NODE_SOCKET
from testbed.private_registry import private_registry
from testbed.swarm import Swarm, client_of
from tests.integration.sandbox.channel import outcome, start

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(580)]
BOT_SECONDS = 120.0
OUTCOME_SECONDS = 240.0
# The stack that the bot is of, as an environment of its own: adopted as Docker deployed it.
SETTINGS = """
[stack]
environment_names = ["self"]
home_environment = "self"

[environments.self]
engine = "swarm"
folder = "/stack"
project_name = "{stack}"
observation_seconds = 2
needs_approval = false
policy = "trusted"
allow = ["unpinned_volume:state", "node_bind:{socket}", "bot_token:discord-bot", "state_dir:discord-bot"]

[environments.self.git]
url = "{url}"
"""


@dataclass
class Scene:
    """Hold the Swarm, the bots on it, the repository of their stack, and the people of the channel."""

    swarm: Swarm
    bots: BotService
    repository: GitServer
    people: SandboxClient
    image: str

    def commit(self, image: str) -> None:
        """Commit the bot's stack with another image."""
        folder = self.bots.folder
        variables = {"BOT_IMAGE": image, "STACK_NAME": self.bots.project, "DOCKER_SOCKET": str(NODE_SOCKET)}
        own = (folder / ".env").read_text()
        self.repository.commit(
            {
                "docker-compose.yml": (ROOT / "docker-stack.yml").read_text(),
                "roas.toml": (folder / "roas.toml").read_text(),
                ".env": own + "".join(f"{name}={value}\n" for name, value in variables.items()),
            }
        )

    def versions(self) -> set[str]:
        """Return the images of the bot's tasks that run."""
        found = set()
        for task in self.bots.tasks():
            with client_of(task.node) as client:
                found.add(client.containers.get(task.container_id).attrs["Config"]["Image"].partition("@")[0])
        return found


@asynccontextmanager
async def a_scene(folder: Path) -> AsyncIterator[Scene]:
    with (
        Swarm(folder / "swarm", managers=3, heartbeat_seconds=1) as swarm,
        private_registry(folder / "registry", host=swarm.host_address) as registry,
        running_sandbox(host=swarm.host_address) as discord,
    ):
        async with (
            git_server(folder / "git", swarm.host_address) as repository,
            SandboxClient(discord["control_url"], discord["control_token"]) as people,
        ):
            bots = BotService(swarm, registry, folder / "bot", "roas")
            settings = SETTINGS.format(stack=STACK, socket=NODE_SOCKET, url=repository.url)
            image = await asyncio.to_thread(bots.push, "v1")
            bots.write(settings, bot_settings(discord))
            scene = Scene(swarm, bots, repository, people, image)
            scene.commit(image)
            await asyncio.to_thread(bots.deploy, image)
            await asyncio.to_thread(bots.wait_for_both, BOT_SECONDS)
            await people.wait_for_commands("deploy", deadline_seconds=BOT_SECONDS)
            yield scene
            assert await people.violations() == []


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(tmp_path) as made:
        yield made


async def ask_without_pause(people: SandboxClient, ended: asyncio.Event) -> tuple[int, list[str]]:
    """Type `/status` all the while; returns how often, and what was not answered."""
    asked, lost = 0, []
    while not ended.is_set():
        asked += 1
        answer = await people.answer(await people.slash("bob", "status", environment="self"), deadline_seconds=20)
        if answer.error is not None or answer.message is None:
            lost.append(str(answer.error))
    return asked, lost


async def test_bot_replaces_its_own_tasks(scene: Scene) -> None:
    """No command is lost, both tasks are of the new version, and the outcome is told once."""
    people, ended = scene.people, asyncio.Event()
    image = await asyncio.to_thread(scene.bots.push, "v2")
    scene.commit(image)
    began = time.monotonic()
    going = await start(people, "dora", "deploy", environment="self", version="v2")
    asking = asyncio.create_task(ask_without_pause(people, ended))
    told = await outcome(people, going, seconds=OUTCOME_SECONDS)
    ended.set()
    asked, lost = await asking
    print(f"{asked} commands, {len(lost)} of them not answered: {lost}; {time.monotonic() - began:.0f} s")
    assert "succeeded" in told.text, told.text
    assert await asyncio.to_thread(scene.versions) == {image}
    assert lost == []
    leader, standby = await asyncio.to_thread(scene.bots.wait_for_both, BOT_SECONDS)
    assert leader.node is not standby.node
    assert sum(f"{going} · outcome" in message.text for message in await people.messages()) == 1


async def test_version_that_does_not_start_leaves_both_as_they_were(scene: Scene) -> None:
    """Swarm takes it back, the bot that led goes on, and says so once."""
    people, ended = scene.people, asyncio.Event()

    def break_it(tag: str) -> None:
        name, _, version = tag.rpartition(":")
        with client_of(scene.swarm.manager) as client:
            made = client.containers.create(tag)
            made.commit(repository=name, tag=version, changes='ENTRYPOINT ["false"]')
            made.remove()

    scene.commit(await asyncio.to_thread(lambda: scene.bots.push("bad", change=break_it)))
    before = await asyncio.to_thread(scene.bots.lease)
    going = await start(people, "dora", "deploy", environment="self", version="bad")
    asking = asyncio.create_task(ask_without_pause(people, ended))
    told = await outcome(people, going, seconds=OUTCOME_SECONDS)
    ended.set()
    asked, lost = await asking
    print(f"{asked} commands, {len(lost)} of them not answered: {lost}")
    assert "was rolled back" in told.text, told.text
    assert "Swarm rolled it back" in told.text, told.text
    await asyncio.to_thread(scene.bots.wait_for_both, BOT_SECONDS)
    assert await asyncio.to_thread(scene.versions) == {scene.image}
    assert await asyncio.to_thread(scene.bots.lease) == before
    assert lost == []
    assert sum(f"{going} · outcome" in message.text for message in await people.messages()) == 1
