"""An emptied Redis gets what is kept of the journal's history."""

from pathlib import Path

from roas.state.manager import StateManager
from testbed.redis_server import RedisServer
from tests.integration.state.test_redis_sync import looking, projecting, same
from tests.unit.conftest import state
from tests.unit.state.deployments.test_pruning import BOUNDS, fill
from tests.unit.state.journal.journal_work import write

__all__ = ["state"]


async def test_emptied_redis_gets_what_is_kept(state: StateManager, tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    with RedisServer(folder) as server:
        await fill(state, 600, days_old=91)
        await write(state, 1100)
        async with projecting(state, server):
            await same(state, server)
            await state.history.prune(BOUNDS)
            async with looking(server) as client:
                await client.flushall()
            await write(state, 1, start=1100)
            await same(state, server)
            async with looking(server) as client:
                assert (await client.xrange("roas:shop:events", count=1))[0][0] == "601-0"


async def test_cursor_before_kept_rows_rebuilds(state: StateManager, tmp_path: Path) -> None:
    """Redis was away for longer than changes are kept."""
    folder = tmp_path / "redis"
    folder.mkdir()
    with RedisServer(folder) as server:
        await fill(state, 10, days_old=92)
        async with projecting(state, server):
            await same(state, server)
        await fill(state, 600, days_old=91)
        await write(state, 1000)
        await state.history.prune(BOUNDS)
        async with projecting(state, server) as sync:
            await same(state, server)
            assert sync.statistics.rebuilt == 1
