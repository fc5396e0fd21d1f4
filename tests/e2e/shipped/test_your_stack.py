"""The page "Your stack, your server, in ten minutes": its files are written and its commands typed, from top to bottom.

Only what no test can have is another thing: Discord is the sandbox, `/srv` a folder of the test, the images of the
example are stand-ins, and the bot's image is built of this code instead of a clone of the public one.
"""

import re
import shlex
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest

from sandbox.client import SandboxClient
from sandbox.views import Message
from testbed.bot_image import bot_image
from testbed.busybox import busybox
from testbed.compose_labels import PROJECT_LABEL, SERVICE_LABEL
from testbed.engine import Engine, manual_environment
from testbed.home_stack import forget_releases, running_sandbox
from testbed.images import import_image
from testbed.ports import free_port
from testbed.rootfs import Rootfs
from testbed.stack_images import redis_image

pytestmark = pytest.mark.timeout(420)

PAGE = Path(__file__).parents[3] / "docs" / "tutorial" / "your-stack.md"
# A file has its name in the line before it.
BLOCK = re.compile(r"^(?:`(/[^`]+)`[^\n]*:\n\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STACK, BOT = "shop", "roas"
BEFORE, AFTER = "nginx:1.28-alpine", "nginx:1.29-alpine"
CACHE = "redis:8-alpine"
MINUTES = 10
# Whoever ends it waits for nothing.
SERVE = "trap 'exit 0' TERM; httpd -f -p 80 -h /www & wait"
DEPLOYMENT_ID = re.compile(r"\b(?:DEPLOY|ROLLBACK)-[0-9A-Z]+\b")


@dataclass
class Typist:
    """Do what the page says, on an engine and in a channel, and keep what was said."""

    engine: Engine
    client: docker.DockerClient
    people: SandboxClient
    changes: dict[str, str]
    folder: Path
    said: dict[str, str] = field(default_factory=dict)

    def changed(self, text: str) -> str:
        """Put what the test has in the place of what the page has."""
        for old, new in self.changes.items():
            text = text.replace(old, new)
        return text

    async def follow(self, file: str, language: str, text: str) -> None:
        """Write a file, or type each line."""
        if file:
            path = Path(self.changed(file))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.changed(text))
            return
        for line in text.splitlines():
            self.said[line] = await self.ask(line) if language == "text" else self.type_in(line)

    def type_in(self, line: str) -> str:
        """Type a command, where the command before has left the person."""
        match shlex.split(self.changed(line)):
            case ["cd", folder]:
                self.folder = Path(folder)
                return ""
            case ["git", "clone", *_, _folder]:
                return ""  # what is tested is this code
            case ["docker", "build", "-t", tag, _folder]:
                return bot_image(self.engine, tag)
            case words:
                done = subprocess.run(
                    words,
                    cwd=self.folder,
                    env=manual_environment(self.engine.docker_host) | {"COLUMNS": "200"},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    check=False,
                    timeout=180,
                )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{self.logs()}"
        return done.stdout

    async def ask(self, line: str) -> str:
        """Type a command in the channel, press the button of its plan, and return the outcome; else the plan."""
        command, *given = line.removeprefix("/").split()
        options: dict[str, Any] = dict(item.split(":", 1) for item in given)
        if "dry_run" in options:
            options["dry_run"] = options["dry_run"] == "True"
        await self.people.wait_for_commands(command, deadline_seconds=60)
        answer = await self.people.answer(await self.people.slash("dora", command, **options), deadline_seconds=60)
        assert answer.message is not None, answer.error
        plan = answer.message
        confirm = next((item.custom_id for item in plan.buttons if ":confirm:" in (item.custom_id or "")), None)
        if confirm is None:
            return plan.text
        started = await self.people.answer(await self.people.click("dora", plan, confirm), deadline_seconds=60)
        assert started.message is not None, started.error
        found = DEPLOYMENT_ID.search(started.message.text)
        assert found is not None, started.message.text

        def is_outcome(message: Message) -> bool:
            return f"{found.group()} · outcome" in message.text

        return (await self.people.wait_for_message(is_outcome, deadline_seconds=180)).text

    def containers(self, project: str) -> dict[str, tuple[str, str]]:
        """Return of each running service its container and the image of that."""
        label = f"{PROJECT_LABEL}={project}"
        found = self.client.containers.list(filters={"label": label})
        return {item.labels[SERVICE_LABEL]: (item.id, item.attrs["Image"]) for item in found}

    def logs(self) -> str:
        """Return the last lines of the bot."""
        found = self.client.containers.list(all=True, filters={"label": f"{PROJECT_LABEL}={BOT}"})
        return "\n".join(item.logs(tail=30).decode() for item in found)


@pytest.fixture
def client(building_engine: Engine) -> Iterator[docker.DockerClient]:
    """Look at the engine, on which the example's images are; nothing of the page is left there at the end."""
    client = building_engine.client()
    forget_releases(client, STACK)
    client.images.get(redis_image(client)).tag(CACHE)
    for tag in (BEFORE, AFTER):
        root = Rootfs()
        root.add_busybox(busybox(client))
        root.add("www/index.html", tag)
        import_image(client, root.tar(), tag, CMD=f'["sh", "-c", "{SERVE}"]', ENV="PATH=/bin", EXPOSE="80")
    yield client
    for project in (BOT, STACK):
        label = f"{PROJECT_LABEL}={project}"
        for container in client.containers.list(all=True, filters={"label": label}):
            container.remove(force=True, v=True)
        for network in client.networks.list(filters={"label": label}):
            network.remove()
    forget_releases(client, STACK)
    client.close()


@pytest.fixture
async def typist(building_engine: Engine, client: docker.DockerClient, tmp_path: Path) -> AsyncIterator[Typist]:
    """Give somebody with a host, a server at Discord, and this page."""
    with running_sandbox(building_engine) as discord:
        lines = {
            "DISCORD_API_URL": discord["api_url"],
            "DISCORD_GATEWAY_URL": discord["gateway_url"],
        }
        changes = {
            "/srv/": f"{tmp_path}/srv/",
            "- /var/run/docker.sock:": f"- {building_engine.docker_host.removeprefix('unix://')}:",
            "127.0.0.1:8080:": f"127.0.0.1:{free_port()}:",
            "paste-the-token-here": "\n".join([discord["bot_token"], *(f"{k}={v}" for k, v in lines.items())]),
            "1100000000000000001": str(discord["guild_id"]),
            "1100000000000000002": str(discord["ops_channel_id"]),
            "1100000000000000003": str(discord["roles"]["deployer"]),
        }
        tmp_path.chmod(0o755)
        async with SandboxClient(discord["control_url"], discord["control_token"]) as people:
            yield Typist(building_engine, client, people, changes, tmp_path)


async def test_page_leads_to_the_first_deployment(typist: Typist, client: docker.DockerClient):
    """Each block is followed in its order; Docker is asked what ran after each command that matters."""
    images = {client.images.get(tag).id: tag for tag in (BEFORE, AFTER)}
    blocks = BLOCK.findall(PAGE.read_text())
    assert [file for file, _, _ in blocks if file] == [
        "/srv/shop/compose.yaml",
        "/srv/roas/.env",
        "/srv/roas/state/roas.toml",
        "/srv/roas/compose.yaml",
    ]
    began, seen = time.monotonic(), []
    for block in blocks:
        await typist.follow(*block)
        if not block[0]:
            seen.append(typist.containers(STACK))
    assert time.monotonic() - began < MINUTES * 60
    said = typist.said
    first, last = seen[0], seen[-1]
    # Until somebody presses the button, no container of the stack is another; the cache never is.
    *before, deployed, back = seen
    assert before == [first] * len(before)
    assert [images[found["web"][1]] for found in (first, deployed, back)] == [BEFORE, AFTER, BEFORE]
    assert deployed["cache"] == first["cache"] == last["cache"]
    assert "Nothing changes" in said["docker compose run --rm --no-deps discord-bot roas init /srv/shop"]
    assert "0 failures" in said["docker compose exec discord-bot roas doctor shop"]
    assert "succeeded" in said["/deploy environment:shop version:1.29-alpine"]
    assert "succeeded" in said["/rollback environment:shop"]
    assert await typist.people.violations() == []
