"""Bots of other people, as processes: they load, answer, reload and unload the extension, and are as they were.

They run in clean environments, into which the wheel was installed; the sandbox runs in ours.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.client import SandboxClient
from sandbox.server import Sandbox
from testbed.inherited import chosen_programs
from tests.e2e.plugin.layouts import COGS_FOLDER, COGS_PACKAGE, EXTENSION, OWN_BOT, PLAIN, Layout
from tests.e2e.wire.bot_process import settings_for
from tests.e2e.wire.conftest import shop  # noqa: F401 - pytest finds the fixture by its name
from tests.e2e.wire.shop import Shop
from tests.integration.packaging.environments import KINDS, OLDEST, CleanEnvironment, Kind, marked
from tests.integration.packaging.fixtures import EnvironmentOf, environment_of  # noqa: F401 - pytest finds the fixture by its name
from tests.integration.sandbox.channel import outcome
from tests.integration.sandbox.channel import start as deploy
from tests.unit.ui.story import until

pytestmark = pytest.mark.wire

ORDER_SECONDS = 90.0
MANY_RELOADS = 5
OURS = {"deploy", "hotfix", "rollback", "cancel", "restart", "stop", "start", "scale"} | {
    *("status", "history", "logs", "lock", "unlock")
}
# What a host has for itself, under the names of settings of ours.
HOSTS_OWN = {"LOG_LEVEL": "TRACE", "LOG_FORMAT": "pretty", "HTTP_PORT": "many", "REDIS_URL": "redis://127.0.0.1:1/7"}


class HostProcess:
    """Give orders to a host and read what it tells."""

    def __init__(self, child: asyncio.subprocess.Process, folder: Path) -> None:
        self.child = child
        self.folder = folder

    async def order(self, word: str) -> dict[str, Any]:
        """Give an order and return its outcome."""
        await self.give(word)
        return await self.told()

    async def give(self, word: str) -> None:
        """Give an order whose outcome is a while off."""
        assert self.child.stdin is not None
        self.child.stdin.write(f"{word}\n".encode())

    async def told(self) -> dict[str, Any]:
        """Read what the host tells; nobody else may write to its standard output."""
        assert self.child.stdout is not None
        async with asyncio.timeout(ORDER_SECONDS):
            line = await self.child.stdout.readline()
        assert line, "the host has ended"
        facts: dict[str, Any] = json.loads(line)
        return facts

    async def close(self) -> int:
        """Let the host close itself, and return its exit code."""
        assert self.child.stdin is not None
        self.child.stdin.write_eof()
        async with asyncio.timeout(ORDER_SECONDS):
            return await self.child.wait()


Start = Callable[..., Any]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(openapi=os.environ.get("DISCORD_OPENAPI")) as sandbox:
        yield sandbox
        async with SandboxClient(sandbox.control_url, sandbox.control_token) as people:
            assert await people.violations() == []


@pytest.fixture(params=[marked(kind) for kind in KINDS])
def environment(request: pytest.FixtureRequest, environment_of: EnvironmentOf) -> CleanEnvironment:  # noqa: F811
    kind: Kind = request.param
    return environment_of(kind)


@pytest.fixture
def start(environment: CleanEnvironment, sandbox: Sandbox, tmp_path: Path) -> Start:
    """Return what starts a host of some layout; the extension's settings are in its `.env` only."""

    @asynccontextmanager
    async def run(
        layout: Layout, library: Path | None = None, stack: Shop | None = None, **more: str
    ) -> AsyncIterator[HostProcess]:
        folder = tmp_path / more.pop("folder", "host")
        program = layout.write(folder)
        engine = more.pop("engine", "unix:///nowhere/docker.sock")
        stack_folder, name = (stack.folder, stack.base_name) if stack else (folder, "shop")
        ours = settings_for(sandbox, engine, stack_folder, tmp_path / "state", name)
        ours = {key: value for key, value in ours.items() if key not in {"DISCORD_TOKEN", "HTTP_PORT"}}
        group = more.pop("DISCORD_COMMAND_GROUP", "")
        lines = [f"{key}={value}\n" for key, value in {**ours, "ROAS_DISCORD_COMMAND_GROUP": group}.items()]
        (folder / ".env").write_text("".join(lines))
        variables = {
            **chosen_programs(),
            "EXTENSION": EXTENSION,
            "ROAS_ENV_FILE": ".env",
            "LOGS_MODULE": layout.logs_module,
            "HOST_TOKEN": sandbox.bot_token,
            "HOST_SERVER": str(sandbox.guild_id),
            "DISCORD_API_URL": sandbox.api_url,
            "DISCORD_GATEWAY_URL": sandbox.gateway_url,
            **HOSTS_OWN,
            **more,
        }
        if library is not None:
            variables["PYTHONPATH"] = str(library)
        with (folder / "stderr").open("wb") as errors:
            child = await asyncio.create_subprocess_exec(
                environment.program("python"),
                program.name,
                cwd=folder,
                env=variables,
                stdin=-1,
                stdout=-1,
                stderr=errors,
            )
        try:
            host = HostProcess(child, folder)
            assert (await host.told()) == {"ready": True}
            yield host
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()
            print((folder / "stderr").read_text(), (folder / "host.log").read_text())  # shown when the test fails

    return run


async def unchanged(host: HostProcess) -> None:
    """Make sure that all of the host is as it was before the extension came, its translator not even loaded anew."""
    told = await host.order("changed")
    assert told == {"changed": {}, "translator": 1}, json.dumps(told, indent=1)


async def names(people: SandboxClient) -> set[str]:
    """Return the names of the server's slash commands and menus at Discord, with those within a group."""
    found = set()
    for command in await people.commands():
        children = [item["name"] for item in command.get("options", ()) if item["type"] == 1]
        found |= {f"{command['name']} {child}" for child in children} or {command["name"]}
    return found


def has(people: SandboxClient, expected: set[str]) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return await names(people) >= expected

    return look


async def said(people: SandboxClient, command: str, **options: Any) -> str:
    answer = await people.answer(await people.slash("bob", command, **options))
    assert answer.error is None, answer.error
    assert answer.message is not None
    return answer.message.text or answer.message.content


# How a host is laid out and what its commands are called have nothing to do with each other.
USUAL_GROUPS = {PLAIN: ("",), OWN_BOT: ("roas",), COGS_PACKAGE: (), COGS_FOLDER: ()}
HOSTS = [
    pytest.param(layout, group, id=f"{group}-{layout.name}", marks=() if group in usual else pytest.mark.long)
    for layout, usual in USUAL_GROUPS.items()
    for group in ("", "roas")
]


@pytest.mark.parametrize(("layout", "group"), HOSTS)
async def test_host_is_as_it_was(start: Start, sandbox: Sandbox, long_lane: bool, layout: Layout, group: str) -> None:
    """With `/status` of its own, everywhere and in the server, where all of ours are in a group."""
    prefix = f"{group} " if group else ""
    ours = {f"{prefix}{name}" for name in OURS}
    async with (
        SandboxClient(sandbox.control_url, sandbox.control_token) as people,
        start(layout, DISCORD_COMMAND_GROUP=group, GUILD_STATUS=group, GLOBAL_STATUS=group) as host,
    ):
        at_discord = await people.commands()
        for reloads in (MANY_RELOADS, 0) if long_lane else (1,):
            assert await host.order("load") == {"done": "load"}
            await until(has(people, ours))
            assert "does not answer" in await said(people, f"{prefix}status", environment="dev")
            assert await said(people, "hello") == "hello from the host"
            for _time in range(reloads):
                assert await host.order("reload") == {"done": "reload"}
                assert await names(people) >= ours, "they stay at Discord"
            loaded = await host.order("modules")
            assert "does not answer" in await said(people, f"{prefix}status", environment="staging")
            assert await host.order("modules") == loaded, "nothing is imported later than with the extension"
            assert await host.order("unload") == {"done": "unload"}
            await unchanged(host)
            assert bare(await people.commands()) == bare(at_discord)
            assert await said(people, "journal") == "the host's journal"
        assert await host.close() == 0
        assert "HOST INFO roas." in (host.folder / "host.log").read_text()
        assert (host.folder / "stderr").read_text() == ""


@pytest.mark.parametrize("environment", [marked(OLDEST, {OLDEST})], indirect=True)
async def test_deployment_on_the_oldest_of_all(
    start: Start,
    sandbox: Sandbox,
    shop: Shop,  # noqa: F811
    docker_host: str,
    image_ids: dict[str, str],
) -> None:
    """The oldest Python that is claimed, with the lowest versions of all that we need."""
    shop.write(alone=True)
    async with (
        SandboxClient(sandbox.control_url, sandbox.control_token) as people,
        start(PLAIN, stack=shop, engine=docker_host) as host,
    ):
        assert await host.order("load") == {"done": "load"}
        await until(has(people, OURS))
        deployment = await deploy(people, "dora", "deploy", environment="dev", version="v1")
        assert "succeeded" in (await outcome(people, deployment)).text
        assert shop.running("dev") == {"web": image_ids["v1"]}
        assert await host.order("unload") == {"done": "unload"}
        await unchanged(host)
        assert shop.running("dev") == {"web": image_ids["v1"]}


def bare(commands: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what Discord counts."""
    kept = ("name", "type", "description", "options")
    return sorted(
        ({key: command.get(key) for key in kept} for command in commands), key=lambda one: (one["name"], one["type"])
    )


@pytest.mark.long
@pytest.mark.parametrize("where", ["GUILD_STATUS", "GLOBAL_STATUS"])
async def test_clash_is_refused_and_named(start: Start, sandbox: Sandbox, tmp_path: Path, where: str) -> None:
    """One in the server, and one everywhere, which ours would hide there."""
    async with (
        SandboxClient(sandbox.control_url, sandbox.control_token) as people,
        start(PLAIN, **{where: "1"}) as host,
    ):
        at_discord = await people.commands()
        refused = await host.order("load")
        assert refused["error"] == "NameClashError"
        assert "/status" in refused["message"]
        assert "ROAS_DISCORD_COMMAND_GROUP" in refused["hint"]
        await unchanged(host)
        assert await people.commands() == at_discord
        assert not (tmp_path / "state").exists()
        assert "does not answer" not in await said(people, "status")


@pytest.mark.long
async def test_unloading_beside_a_peer_keeps_commands(start: Start, sandbox: Sandbox, tmp_path: Path) -> None:
    """A second process of the host's stands by on the same journal: it answers the commands from then on."""
    async with (
        SandboxClient(sandbox.control_url, sandbox.control_token) as people,
        start(PLAIN) as host,
        start(PLAIN, folder="peer") as peer,
    ):
        await host.order("load")
        await until(has(people, OURS))
        await peer.give("load")
        await until(lambda: len(list((tmp_path / "state" / "instances").iterdir())) == 2)
        await host.order("unload")
        assert await peer.told() == {"done": "load"}, "it leads now"
        assert await names(people) >= OURS
        await peer.order("unload")
        assert not await names(people) >= OURS


@pytest.mark.long
async def test_copied_and_cleared_commands_are_named(start: Start, sandbox: Sandbox) -> None:
    async with (
        SandboxClient(sandbox.control_url, sandbox.control_token) as people,
        start(PLAIN) as host,
    ):
        await host.order("load")
        await until(has(people, OURS))
        await host.order("copy")
        assert await said(people, "status") == "the host is well"
        log = host.folder / "host.log"
        await until(lambda: "override commands of roas" in log.read_text())
        (line,) = [line for line in log.read_text().splitlines() if "override commands of roas" in line]
        assert "commands=/status" in line
        assert "ROAS_DISCORD_COMMAND_GROUP" in line
        await host.order("clear")
        await until(lambda: "has removed commands of roas" in log.read_text())
        assert await host.close() == 0


@pytest.mark.long
async def test_upgrade_by_reload(environment: CleanEnvironment, start: Start, sandbox: Sandbox, tmp_path: Path) -> None:
    """A new version on the disk is what a reload brings; a broken one leaves the old one at work."""
    library = environment.copy_package(tmp_path / "library")
    source = library / "roas" / "cogs" / "status.py"
    text = source.read_text()
    old, new, newest = "Show the status of one environment or of all", "Show it better", "Show it best"
    assert old in text
    async with (
        SandboxClient(sandbox.control_url, sandbox.control_token) as people,
        start(PLAIN, library) as host,
    ):
        await host.order("load")
        await until(has(people, OURS))
        for before, after in ((old, new), (new, newest)):
            source.write_text(text.replace(old, after))
            assert await host.order("reload") == {"done": "reload"}
            await until(described(people, "status", after))
            assert "does not answer" in await said(people, "status", environment="dev"), before
        for number, broken in enumerate(("def broken(:\n", "raise RuntimeError('not today')\n")):
            source.write_text(broken)
            refused = await host.order("reload")
            assert refused["error"] == ("SyntaxError", "RuntimeError")[number]
            assert "does not answer" in await said(people, "status", environment="dev")
            assert await names(people) >= OURS
        source.write_text(text)
        assert await host.order("reload") == {"done": "reload"}
        await until(described(people, "status", old))
        await host.order("unload")
        await unchanged(host)


def described(people: SandboxClient, name: str, text: str) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return any(command["name"] == name and command["description"] == text for command in await people.commands())

    return look
