"""A Redis that hangs raises the lag's alert, and clears it."""

import asyncio
from pathlib import Path

from roas.models.state_change import ChangeType, StateChange
from roas.state.manager import StateManager
from roas.state.redis_sync import DataSyncManager
from testbed.redis_server import RedisServer
from tests.unit.metrics.test_integration_monitor import DEGRADED, RECOVERED, Scene, scene

__all__ = ["scene"]


async def test_hung_redis_raises_and_clears_lag(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    with RedisServer(tmp_path / "redis") as server:
        async with StateManager(tmp_path / "state") as state:
            sync = DataSyncManager(state, server.url, "shop", str, poll_seconds=0.1, timeout_seconds=0.5)
            await sync.start()
            async with Scene(sync, sync_lag_seconds=1.0) as scene:
                await state.record(StateChange(ChangeType.AUDIT, "test"))
                await asyncio.sleep(0.5)
                assert scene.told == []
                assert scene.monitor.figures().state_sync_lag_seconds < 0.5
                server.freeze()
                await state.record(StateChange(ChangeType.AUDIT, "test"))
                await scene.until((DEGRADED, "state_sync_lag"))
                server.thaw()
                await scene.until((DEGRADED, "state_sync_lag"), (RECOVERED, "state_sync_lag"))
                server.kill()  # away, and nothing to project: it still tells
                await scene.until(
                    (DEGRADED, "state_sync_lag"),
                    (RECOVERED, "state_sync_lag"),
                    (DEGRADED, "state_sync_lag"),
                )
            await sync.stop()
