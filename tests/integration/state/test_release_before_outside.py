"""What two releases share beside the journal: Redis, and the control socket of a bot."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from roas.api.application import ControlApi
from roas.api.control_client import ControlClient
from roas.api.control_socket import serve_control_socket
from roas.models.deployment import Outcome
from roas.models.health import Verdict
from roas.state.deployments.locks import LockHeldError
from roas.state.manager import StateManager
from testbed.redis_server import RedisServer
from tests.integration.state.release_before import command_of_before, environment_of_before, run_release_before
from tests.integration.state.test_redis_sync import projecting, same, server, streamed
from tests.unit.api import conftest as control
from tests.unit.api.conftest import PERSON, request
from tests.unit.conftest import state
from tests.unit.played_orchestrator import PlayedOrchestrator
from tests.unit.state.journal.journal_work import write

__all__ = ["api", "collector", "orchestrator", "server", "state"]
orchestrator, collector, secrets = control.orchestrator, control.collector, control.secrets
api = control.api

# Write to the journal, and bring Redis up to it.
PROJECT = """
import asyncio, json, sys
from pathlib import Path
import redis.asyncio
from bot.models.change import ChangeType, StateChange
from bot.state.manager import StateManager
from bot.state.sync import DataSyncManager

async def main(folder, url, word):
    async with StateManager(Path(folder)) as state, redis.asyncio.Redis.from_url(url) as client, asyncio.timeout(60):
        sync = DataSyncManager(state, url, "shop", str, poll_seconds=0.1, timeout_seconds=10)
        sync.start()
        for number in range(3):
            await state.record(StateChange(ChangeType.AUDIT, "test", "dev", f"{word}{number}", new="said"))
        while True:
            wanted = [f"{one.sequence}-0" for one in await state.projection.after(0, 1000)]
            found = [entry.decode() for entry, _ in await client.xrange("roas:shop:events")]
            if found == wanted:
                break
            await asyncio.sleep(0.02)
        await sync.close()
        subjects = [change.subject for change in (await state.changes_since(0))[1]]
        print(json.dumps({"rebuilt": sync.statistics.rebuilt, "subjects": subjects}))

asyncio.run(main(*sys.argv[1:]))
"""
# The bot of that release, with its tests' orchestrator (which lies where it did then), until it is told to end.
SERVE = """
import asyncio, sys
from pathlib import Path
from bot.control.server import ControlServer
from bot.models.environment import Environment
from bot.state.manager import StateManager
from tests.control.conftest import PlayedCollector, PlayedOrchestrator, lock_held
from dataclasses import replace
from bot.models.deployment import Outcome

async def main(folder):
    async with StateManager(Path(folder)) as state:
        played, known = PlayedOrchestrator(state), {"dev": Environment("dev", "shop-dev", Path("/shop"), ())}
        server = ControlServer(state=state, orchestrator=played, environments=known, health=PlayedCollector())
        async with server:
            print("READY", flush=True)
            while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
                if line == "refuse":
                    played.fault = lock_held()
                else:
                    begun = await state.deployments.get(line)
                    await state.deployments.finish(replace(begun, outcome=Outcome.SUCCEEDED), played.fences[line])
                print("DONE", flush=True)

asyncio.run(main(sys.argv[1]))
"""
# Its command line's side: all that one asks a bot for.
ASK = """
import asyncio, json, sys
from pathlib import Path
from bot.control.client import ControlClient
from bot.errors import LockHeldError
from tests.control.conftest import PERSON, request

async def main(folder):
    async with ControlClient(Path(folder)) as bot:
        found = {"greeting": (await bot.greet()).instance_id, "plan": (await bot.plan(request())).services[0].service}
        started = await bot.start(request(), confirmed=True)
        found["cancelled"] = (await bot.cancel(started.id, PERSON)).cancel_requested_by.name
        found["status"] = (await bot.status("dev")).environments[0].environment
        found["followed"] = []
        async for record in bot.follow(started.id):
            found["followed"].append(record.outcome and record.outcome.value)
        try:
            await bot.start(request(), confirmed=True)
        except LockHeldError as error:
            found["refused"] = error.message
    print(json.dumps(found))

asyncio.run(main(sys.argv[1]))
"""


async def test_redis_is_continued_both_ways(before: Path, tmp_path: Path, server: RedisServer) -> None:
    """Each release goes on where the other one stopped: each change is in the stream once, and nothing is made anew."""
    folder = tmp_path / "state"
    run = asyncio.to_thread
    await run(run_release_before, before, PROJECT, folder, server.url, "theirs")
    async with StateManager(folder) as ours, projecting(ours, server) as sync:
        await write(ours, 2)
        await same(ours, server)
        assert sync.statistics.rebuilt == 0
    theirs = await run(run_release_before, before, PROJECT, folder, server.url, "again")
    assert theirs["rebuilt"] == 0
    wanted = [*(f"theirs{number}" for number in range(3)), "s0", "s1", *(f"again{number}" for number in range(3))]
    assert theirs["subjects"] == wanted
    assert [subject for _, subject in await streamed(server)] == wanted


@asynccontextmanager
async def serving(before: Path, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Let a bot of the release before listen."""
    bot = await asyncio.create_subprocess_exec(
        *command_of_before(SERVE, folder), cwd=before, env=environment_of_before(before), stdin=-1, stdout=-1
    )
    try:
        await tell(bot, "")
        yield bot
    finally:
        assert bot.stdin is not None
        bot.stdin.close()
        async with asyncio.timeout(60):
            assert await bot.wait() == 0


async def tell(bot: asyncio.subprocess.Process, word: str) -> None:
    """Tell the bot something, and wait until it is done."""
    assert bot.stdin is not None
    assert bot.stdout is not None
    if word:
        bot.stdin.write(f"{word}\n".encode())
    async with asyncio.timeout(60):
        while (line := await bot.stdout.readline()).strip() not in {b"READY", b"DONE"}:
            assert line, "the bot has ended"  # else it is a line of its log


async def test_our_command_line_asks_bot_of_before(before: Path, tmp_path: Path) -> None:
    async with serving(before, tmp_path) as bot, ControlClient(tmp_path) as client:
        assert (await client.greet()).instance_id.startswith("BOT-")
        assert (await client.plan(request())).services[0].service == "web"
        started = await client.start(request(), confirmed=True)
        assert (await client.cancel(started.id, PERSON)).cancel_requested_by == PERSON
        (dev,) = (await client.status("dev")).environments
        assert dev.health is not None
        assert (dev.environment, dev.health.verdict) == ("dev", Verdict.HEALTHY)
        await tell(bot, started.id)
        assert [record.outcome async for record in client.follow(started.id)][-1] is Outcome.SUCCEEDED
        await tell(bot, "refuse")
        with pytest.raises(LockHeldError, match="held by Ada"):
            await client.start(request(), confirmed=True)


async def test_command_line_of_before_asks_our_bot(
    before: Path,
    state: StateManager,
    orchestrator: PlayedOrchestrator,
    api: ControlApi,
) -> None:
    async def play() -> None:
        """End the deployment once it is to be cancelled, and refuse the next one."""
        while not orchestrator.cancelled:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        (deployment,) = await state.deployments.unfinished()
        orchestrator.fault = control.lock_held()
        ended = replace(deployment, outcome=Outcome.CANCELLED)
        await state.deployments.finish(ended, orchestrator.fences[deployment.id])

    async with serve_control_socket(api, state.folder):
        playing = asyncio.create_task(play())
        found = await asyncio.to_thread(run_release_before, before, ASK, state.folder)
        await playing
    assert found.pop("greeting") == state.instance_id
    assert found.pop("followed")[-1] == "cancelled"
    assert "held by Ada" in found.pop("refused")
    assert found == {"plan": "web", "cancelled": PERSON.name, "status": "dev"}
