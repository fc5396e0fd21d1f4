"""Redis gets the journal in order and once, whatever happens to Redis; nothing comes back from there."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis.asyncio
import time_machine

from roas.models.state_change import ChangeType, StateChange
from roas.models.stored import new_id
from roas.redaction import Redactor
from roas.state.documents import from_json, to_json
from roas.state.manager import StateManager
from roas.state.redis_form import STREAM_LENGTH
from roas.state.redis_sync import DataSyncManager
from testbed.redis_server import RedisServer
from tests.unit.state.journal.journal_work import deploy, write

SECRET = "hunter2-hunter2"
STREAM = "roas:shop:events"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with RedisServer(folder) as running:
        yield running


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[StateManager]:
    async with StateManager(tmp_path / "state") as manager:
        yield manager


@asynccontextmanager
async def projecting(state: StateManager, server: RedisServer, name: str = "shop") -> AsyncIterator[DataSyncManager]:
    redactor = Redactor([SECRET])
    sync = DataSyncManager(state, server.url, name, redactor.redact, poll_seconds=0.1, timeout_seconds=0.5)
    await sync.start()
    try:
        yield sync
    finally:
        await sync.stop()


@asynccontextmanager
async def looking(server: RedisServer) -> AsyncIterator["redis.asyncio.Redis"]:
    client = redis.asyncio.Redis.from_url(server.url, decode_responses=True)
    try:
        yield client
    finally:
        await client.aclose()


async def streamed(server: RedisServer) -> list[tuple[str, str]]:
    """Return the ids and subjects of the stream."""
    async with looking(server) as client:
        entries = await client.xrange(STREAM)
    return [(entry_id, fields.get("subject", "")) for entry_id, fields in entries]


async def journalled(state: StateManager) -> list[tuple[str, str]]:
    return [(f"{item.sequence}-0", item.change.subject) for item in await state.projection.after(0, 100_000)]


async def same(state: StateManager, server: RedisServer, seconds: float = 60) -> None:
    """Wait until the stream is the journal, each change once and in order."""
    try:
        async with asyncio.timeout(seconds):
            while await streamed(server) != await journalled(state):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    except TimeoutError:
        assert await streamed(server) == await journalled(state)


async def test_changes_in_stream_under_their_number(state: StateManager, server: RedisServer) -> None:
    await write(state, 1200)
    async with projecting(state, server) as sync:
        await write(state, 20, start=1200)
        await same(state, server)
        assert sync.statistics.projected == 1220
        assert sync.statistics.failures == 0


async def test_state_stored_as_hashes(state: StateManager, server: RedisServer) -> None:
    async with projecting(state, server):
        deployment = await deploy(state)
        healthy = StateChange(ChangeType.SERVICE_HEALTH_CHANGED, "test", "dev", "web", "unknown", "healthy")
        await state.record(healthy)
        await state.record(replace(healthy, id=new_id("CHG"), old="healthy", new="unhealthy"))
        alert = StateChange(ChangeType.ALERT_TRIGGERED, "test", "dev", "fingerprint", new="firing")
        await state.record(alert)
        await same(state, server)
        async with looking(server) as client:
            environment = await client.hgetall("roas:shop:environment:dev")
            assert json.loads(environment["finished"])["subject"] == deployment.id
            assert json.loads(environment["finished"])["new"] == "succeeded"
            assert json.loads(environment["phase"])["metadata"]["phase"] == "validation"
            services = await client.hgetall("roas:shop:services:dev")
            assert json.loads(services["web:health"])["new"] == "unhealthy"
            assert json.loads((await client.hgetall("roas:shop:alerts"))["fingerprint"])["new"] == "firing"
            over = {"event": "monitoring.alert.resolved"}
            await state.record(replace(alert, id=new_id("CHG"), new="resolved: a title", metadata=over))
            await same(state, server)
            assert await client.hgetall("roas:shop:alerts") == {}


async def test_killed_server_catches_up(state: StateManager, server: RedisServer) -> None:
    async with projecting(state, server) as sync:
        await write(state, 30)
        await same(state, server)
        server.kill()
        await deploy(state)  # a deployment's whole life without Redis
        await write(state, 700, start=30)
        await asyncio.sleep(0.3)
        assert not sync.statistics.up
        assert sync.lag_seconds > 0.2
        server.start()
        await same(state, server)
        assert sync.statistics.rebuilt == 1, "only the first was written anew; it went on from where Redis was"
        await write(state, 1, start=1000)
        await same(state, server)
        async with asyncio.timeout(60):
            while sync.lag_seconds > 0:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_emptied_server_rewritten_without_change(state: StateManager, server: RedisServer) -> None:
    async with projecting(state, server):
        await write(state, 40)
        await same(state, server)
        server.command("FLUSHALL")
        await same(state, server)


async def test_deleted_stream_rewritten(state: StateManager, server: RedisServer) -> None:
    async with projecting(state, server):
        await write(state, 40)
        await same(state, server)
        server.command("DEL", STREAM)
        await same(state, server)


async def test_hung_server_blocks_nobody(state: StateManager, server: RedisServer) -> None:
    async with projecting(state, server) as sync:
        await write(state, 10)
        await same(state, server)
        server.freeze()
        async with asyncio.timeout(5):
            await write(state, 200, start=10)
        await asyncio.sleep(0.7)
        assert sync.lag_seconds > 0.5
        failures = sync.statistics.failures
        await asyncio.sleep(1.5)
        assert sync.statistics.failures - failures <= 4, "no busy loop"
        server.thaw()
        await same(state, server)


async def test_two_processes_sync_each_change_once(state: StateManager, server: RedisServer, tmp_path: Path) -> None:
    async with StateManager(tmp_path / "state") as other, projecting(state, server), projecting(other, server):
        await asyncio.gather(write(state, 150), write(other, 150, start=500))
        await same(state, server)


@pytest.mark.parametrize(
    "damage",
    [
        ("XADD", STREAM, "999999999-0", "subject", "forged"),
        ("SET", "roas:shop:cursor", "forged"),
        ("HSET", "roas:shop:cursor", "sequence", "-1"),
        ("HSET", "roas:shop:cursor", "change", "CHG-forged"),
        ("SET", "roas:shop:services:dev", "forged"),
    ],
)
async def test_damage_repaired(state: StateManager, server: RedisServer, damage: tuple[str, ...]) -> None:
    async with projecting(state, server):
        await write(state, 20)
        await same(state, server)
        server.command(*damage)
        await state.record(StateChange(ChangeType.SERVICE_STARTED, "test", "dev", "web", new="started"))
        async with asyncio.timeout(15):
            while server.command("HEXISTS", "roas:shop:services:dev", "web:run") != "1":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await same(state, server)


async def test_stream_length_bounded(state: StateManager, server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert STREAM_LENGTH == 10_000
    monkeypatch.setattr("roas.state.redis_sync.STREAM_LENGTH", length := 1000)

    def many(transaction) -> None:
        for number in range(length + 3000):
            transaction.add_change(StateChange(ChangeType.AUDIT, "test", "dev", f"s{number}"))
        transaction.changes.clear()

    await state._journal.write(many)
    async with projecting(state, server) as sync:
        async with asyncio.timeout(60):
            while sync.statistics.projected < length + 3000:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert length <= int(server.command("XLEN", STREAM)) <= length + 200
        assert (await streamed(server))[-1][1] == f"s{length + 2999}"


async def test_no_secret_reaches_redis(state: StateManager, server: RedisServer) -> None:
    async with projecting(state, server):
        await state.record(
            StateChange(ChangeType.SERVICE_STARTED, "test", "dev", "web", new={"log": f"key {SECRET}"}, old=[SECRET])
        )
        await state.record(StateChange(ChangeType.AUDIT, "test", "dev", metadata={"detail": 'password: "swordfish"'}))
        await same(state, server)
    server.command("SAVE")
    written = b"".join(path.read_bytes() for path in server.folder.rglob("*") if path.is_file())
    assert SECRET.encode() not in written
    assert b"swordfish" not in written


async def test_lag_measured_from_commit(state: StateManager, server: RedisServer) -> None:
    async with projecting(state, server) as sync:
        await same(state, server)
        told: list[float] = []
        sync.time_arrivals(told.append)
        await write(state, 100)
        await same(state, server)
        lags = [lag.seconds for lag in sync.recent]
        assert len(lags) == 100
        assert told == lags
        assert 0 < max(lags) < 10


async def test_wall_clock_jump_harmless(state: StateManager, server: RedisServer) -> None:
    async with projecting(state, server) as sync:
        await write(state, 10)
        await same(state, server)
        for hours in (1, -1):
            at = datetime.now(UTC).timestamp() + hours * 3600
            with time_machine.travel(at, tick=True):
                await write(state, 10, start=100 * (hours + 2))
                await same(state, server)
                assert max(lag.seconds for lag in sync.recent) < 60
                assert sync.lag_seconds < 60


async def test_nothing_comes_back_from_redis(server: RedisServer, tmp_path: Path) -> None:
    """An empty journal stays so, whatever a Redis has: another journal's history, or what anybody wrote there."""
    async with StateManager(tmp_path / "first") as first, projecting(first, server):
        await deploy(first)
        await write(first, 30)
        await same(first, server)
    lock = StateChange(ChangeType.LOCK_CHANGED, "locks", "prod", "prod", new="DEPLOY-forged")
    for number, document in enumerate([to_json(lock), "{", "[]", "x" * 70_000]):
        server.command("XADD", STREAM, f"{2**62 + number}-0", "document", document)
    async with StateManager(tmp_path / "second") as second, projecting(second, server):
        await write(second, 5, start=100)
        await same(second, server)
        assert [change.subject for change in await second.changes(limit=1000)] == [f"s{100 + n}" for n in range(5)]
        assert await second.locks.get("prod") is None
        assert await second.releases.current("dev") is None


FORGE = """
for number = ARGV[1] * 10000 + 1, (ARGV[1] + 1) * 10000 do
  redis.call('XADD', KEYS[1], number .. '-0', 'document', ARGV[2])
  if number % 10 == 0 then redis.call('SET', 'roas:shop:services:x' .. number, 'forged') end
end
"""


async def test_many_forged_entries_are_replaced(server: RedisServer, tmp_path: Path) -> None:
    """Nobody waits for them."""
    async with looking(server) as client:
        for part in range(20):
            await client.eval(FORGE, 1, STREAM, str(part), '{"type": "audit", "forged": true}')
        await client.hset("roas:shop:cursor", mapping={f"f{number}": "forged" for number in range(1000)})
        async with StateManager(tmp_path / "state") as state:
            await write(state, 3)
            async with projecting(state, server):
                async with asyncio.timeout(30):
                    while await client.xlen(STREAM) != 3:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                await same(state, server)
        assert await client.keys("roas:shop:services:*") == []


async def test_two_installations_do_not_fight(server: RedisServer, tmp_path: Path) -> None:
    async with StateManager(tmp_path / "first") as first, StateManager(tmp_path / "second") as second:
        await deploy(second)
        async with projecting(first, server) as displaced:
            await write(first, 5)
            await same(first, server)
            async with projecting(second, server) as winner:
                await same(second, server)
                await asyncio.sleep(0.5)
                await write(second, 5)
                await same(second, server)
                assert "Another journal" in displaced.statistics.last_error
                assert winner.statistics.failures == 0
        async with projecting(first, server, "other") as apart, projecting(second, server) as there:
            async with looking(server) as client, asyncio.timeout(60):
                while not await client.exists("roas:other:events"):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.5)
            assert (apart.statistics.failures, there.statistics.failures) == (0, 0), "each by a name of its own"


async def test_documents_read_back_whole(state: StateManager, server: RedisServer) -> None:
    change = StateChange(ChangeType.AUDIT, "test", "dev", "s", old={"a": [1, None]}, new="é 日本", metadata={"k": 1.5})
    async with projecting(state, server):
        await state.record(change)
        await same(state, server)
        async with looking(server) as client:
            ((_, fields),) = await client.xrange(STREAM)
    assert from_json(StateChange, fields["document"]) == change
