"""Two processes of somebody else's bot that share one STATE_DIR, and a Discord for them."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from roas.models.leader_lease import LeaderLease
from roas.state.leader_lease import _grant_lease
from roas.state.manager import StateManager
from sandbox.client import SandboxClient
from sandbox.server import Sandbox
from tests.e2e.wire.bot_process import BotProcess, settings_for
from tests.unit.ui.story import until

START_SECONDS = 30.0


@dataclass
class Hosts:
    """Start bots one after the other, and look into the journal that they share."""

    settings: dict[str, str]
    folder: Path
    state: StateManager
    started: list[BotProcess]

    async def start(self) -> BotProcess:
        """Start one more, and wait until it is connected: active, or standing by."""
        known = set(self.living())
        host = BotProcess(
            self.settings, self.folder / f"host{len(self.started)}.log", module="tests.e2e.plugin.run_example"
        )
        self.started.append(host)
        await host.start()

        async def connected() -> bool:
            (new,) = set(self.living()) - known or {""}
            heartbeat = await self.state.ownership.heartbeat(instance_id=new)
            return heartbeat is not None and heartbeat.gateway_ready and heartbeat.cogs_loaded

        await until(connected, START_SECONDS)
        return host

    def living(self) -> tuple[str, ...]:
        """Return the ids of the processes that share the journal."""
        return self.state.instance.living("BOT")

    async def leadership(self) -> LeaderLease:
        """Return who is active."""
        leadership = await self.state.ownership.lease()
        assert leadership is not None
        return leadership

    async def transfer_lease(self, successor: str) -> None:
        """Write what a handover writes, from outside: leadership is the successor's."""
        before = await self.leadership()
        await self.state.ownership._journal.write(lambda transaction: _grant_lease(transaction, successor, before))


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Run a Discord whose application has the privileged intents that the example wants."""
    async with Sandbox(openapi=os.environ.get("DISCORD_OPENAPI"), privileged_intents=True) as sandbox:
        yield sandbox
        async with SandboxClient(sandbox.control_url, sandbox.control_token) as people:
            assert await people.violations() == []


@pytest.fixture
async def people(sandbox: Sandbox) -> AsyncIterator[SandboxClient]:
    async with SandboxClient(sandbox.control_url, sandbox.control_token) as people:
        yield people


@pytest.fixture
async def hosts(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Hosts]:
    """Start hosts whose settings are in `.env` only, as people have them."""
    settings = settings_for(sandbox, "unix:///nowhere/docker.sock", tmp_path, tmp_path / "state", "shop")
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    async with StateManager(tmp_path / "state", instance_prefix="TEST") as state:
        hosts = Hosts({}, tmp_path, state, [])
        yield hosts
        for host in hosts.started:
            await host.kill()
            print(host.log.read_text())  # shown by pytest when the test fails
