"""Probes ask what can be asked, within their time, and leave the rest alone."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, Verdict
from roas.models.stack import ServiceDefinition, ServiceProbe
from roas.monitoring.probe_history import ProbeHistory
from roas.monitoring.probe_loop import ProbeLoop
from roas.monitoring.probes import NetworkProber
from testbed.redis_server import RedisServer, free_port
from tests.log_lines import captured_logs

DEV = Environment("dev", "shop-dev", Path(), ())


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:abc", "http://[::1", "tcp://127.0.0.1", "no URL", "tcp://a..b:1"])
async def test_unprobeable_url_is_no_failure(url: str) -> None:
    assert await NetworkProber().probe(DEV, url, 5.0) is None


async def test_slow_name_resolution_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hangs)
    async with asyncio.timeout(5):
        assert await NetworkProber().probe(DEV, "tcp://store:1", 0.01) is None


async def test_unprobeable_url_does_not_block_others() -> None:
    closed = f"tcp://127.0.0.1:{free_port()}"
    probes = tuple(ServiceProbe(url) for url in ("http://[::1", closed))
    recorded: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()

    class QueueHistory(ProbeHistory):
        def record(self, environment: str, service: str, url: str, *, answered: bool) -> bool:
            recorded.put_nowait((url, answered))
            return False

    async def definitions() -> Mapping[str, ServiceDefinition]:
        return {"web": ServiceDefinition("web", "web:v1", "d", probes=probes)}

    with captured_logs() as logs:
        task = asyncio.create_task(ProbeLoop(DEV, NetworkProber(), QueueHistory(), definitions, str).run())
        async with asyncio.timeout(5):
            assert await recorded.get() == (closed, False)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [one["event"] for one in logs] == ["a probe cannot run from here"]


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
        assert await NetworkProber().probe(DEV, probe.url, 5.0)
        probe_loop = ProbeLoop(DEV, NetworkProber(), history, definitions, woken.release, every_seconds=0.1)
        task = asyncio.create_task(probe_loop.run())
        await asyncio.to_thread(server.kill)
        async with asyncio.timeout(10):
            for _ in range(3):
                await woken.acquire()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert history.judge("dev", seen, definition).verdict is Verdict.UNHEALTHY
