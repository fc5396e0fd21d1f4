"""Two processes of somebody else's bot that share one STATE_DIR, and a Discord for them."""

import os
import sqlite3
from collections.abc import AsyncIterator, Container
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.client import SandboxClient
from sandbox.server import Sandbox
from testbed.journal_view import documents
from tests.e2e.wire.bot_process import BotProcess, settings_for
from tests.unit.ui.story import until

START_SECONDS = 30.0


@dataclass
class Hosts:
    """Start bots one after the other, and look into the journal that they share."""

    settings: dict[str, str]
    folder: Path
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
            return any(beat["gateway_ready"] and beat["cogs_loaded"] for beat in self.living(but=known).values())

        await until(connected, START_SECONDS)
        return host

    def living(self, but: Container[str] = ()) -> dict[str, Any]:
        """Return the heartbeats of the processes that share the journal, by their ids."""
        try:
            beats = documents(self.folder / "state", "heartbeats", "instance_id LIKE 'BOT-%'")
        except sqlite3.OperationalError:  # the first one is making the journal
            return {}
        return {beat["instance_id"]: beat for beat in beats if beat["instance_id"] not in but}

    def leader(self) -> str:
        """Return the id of who is active."""
        (lease,) = documents(self.folder / "state", "owners")
        return str(lease["instance_id"])

    def transfer_lease(self, successor: str) -> None:
        """Write what a handover writes, from outside: leadership is the successor's."""
        with closing(sqlite3.connect(self.folder / "state" / "journal.sqlite3")) as journal, journal:
            journal.execute("UPDATE fences SET token = token + 1 WHERE name IN (SELECT name FROM owners)")
            given = "json_set(document, '$.instance_id', ?, '$.token', json_extract(document, '$.token') + 1)"
            journal.execute(f"UPDATE owners SET document = {given}", (successor,))  # noqa: S608 - it is ours


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
    hosts = Hosts({}, tmp_path, [])
    yield hosts
    for host in hosts.started:
        await host.kill()
        print(host.log.read_text())  # shown by pytest when the test fails
