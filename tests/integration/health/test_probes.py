"""Probes ask a real Redis, and notice when it goes."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from roas.concurrency import end_tasks
from roas.health.probes import NetworkProber, ProbeHistory, ProbeLoop
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, Verdict
from roas.models.stack import ServiceDefinition, ServiceProbe
from testbed.redis_server import RedisServer
from tests.unit.health.test_probes import DEV, Anywhere


@pytest.mark.parametrize("scheme", ["redis", "tcp"])
async def test_lost_target_noticed_next_round(scheme: str, tmp_path: Path) -> None:
    history, woken = ProbeHistory(), asyncio.Semaphore(0)
    with RedisServer(tmp_path) as server:
        probe = ServiceProbe(f"{scheme}://{server.url.partition('://')[2]}")
        definition = ServiceDefinition("store", "store:v1", "d", probes=(probe,))

        async def definitions() -> Mapping[str, ServiceDefinition]:
            return {"store": definition}

        own = ContainerSnapshot("c1", "store", "store", ContainerState.RUNNING, HealthStatus.NONE, "i", "i", "h")
        seen = ServiceHealth("store", Verdict.UNVERIFIED, "runs", (own,))
        assert history.judge("dev", seen, definition) is seen
        assert await NetworkProber(Anywhere()).probe(DEV, probe.url, 5.0)
        probe_loop = ProbeLoop(DEV, NetworkProber(Anywhere()), history, definitions, woken.release, every_seconds=0.1)
        task = asyncio.create_task(probe_loop.run())
        await asyncio.to_thread(server.kill)
        async with asyncio.timeout(10):
            for _ in range(3):
                await woken.acquire()
        await end_tasks(task)
    assert history.judge("dev", seen, definition).verdict is Verdict.UNHEALTHY


async def test_probe_logs_in_to_redis(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        place = server.url.partition("://")[2]
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b'CONFIG SET requirepass "pw of redis"\r\n')
        assert await reader.readline() == b"+OK\r\n"
        writer.close()
        prober = NetworkProber(Anywhere())
        assert await prober.probe(DEV, f"redis://:pw%20of%20redis@{place}", 2.0) is True
        assert await prober.probe(DEV, f"redis://{place}", 2.0) is False
