"""Probes ask what can be asked, within their time, and leave the rest alone."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from roas.concurrency import end_tasks
from roas.health.probes import NetworkProber, ProbeHistory, ProbeLoop
from roas.models.environment import Environment
from roas.models.stack import ServiceDefinition, ServiceProbe
from roas.state.redis_sync import RedisUnavailableError, ping
from testbed.ports import free_port
from tests.unit.log_lines import captured_logs

DEV = Environment("dev", "shop-dev", Path(), ())


class Anywhere:
    """Permit every address, and remember what was asked for."""

    async def permitted(
        self, environment: Environment, host: str, port: int, addresses: tuple[str, ...]
    ) -> tuple[str, ...]:
        return addresses


class Nowhere:
    async def permitted(
        self, environment: Environment, host: str, port: int, addresses: tuple[str, ...]
    ) -> tuple[str, ...]:
        return ()


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Listen on a port, say these to whoever connects, and remember what each said first."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            heard.append(await reader.read(4096))
            for answer in answers:
                writer.write(answer)
                await writer.drain()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1]), heard


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:abc", "http://[::1", "tcp://127.0.0.1", "no URL", "tcp://a..b:1"])
async def test_unprobeable_url_is_no_failure(url: str) -> None:
    assert await NetworkProber(Anywhere()).probe(DEV, url, 5.0) is None


async def test_names_that_nobody_resolves_hold_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that is silent is waited for by the system, much longer than a probe takes: it takes threads."""
    resolved = threading.Event()

    def hang(*_: object, **__: object) -> None:
        resolved.wait(10)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    prober = NetworkProber(Anywhere())
    try:
        async with asyncio.timeout(5):
            asked = [prober.probe(DEV, f"tcp://store-{number}:1", 0.01) for number in range(40)]
            assert await asyncio.gather(*asked) == [None] * 40
            await asyncio.to_thread(int)
    finally:
        resolved.set()


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
        task = asyncio.create_task(ProbeLoop(DEV, NetworkProber(Anywhere()), QueueHistory(), definitions, str).run())
        async with asyncio.timeout(5):
            assert await recorded.get() == (closed, False)
        await end_tasks(task)
    assert [log["event"] for log in logs] == ["a probe cannot run from here"]


@pytest.mark.parametrize("scheme", ["http", "redis", "tcp"])
async def test_target_outside_environment_not_asked(scheme: str) -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n") as (port, heard):
        prober = NetworkProber(Nowhere())
        with captured_logs() as logs:
            for _ in range(2):
                assert await prober.probe(DEV, f"{scheme}://127.0.0.1:{port}/admin?delete=all", 2.0) is None
        assert heard == []
        assert await NetworkProber(Anywhere()).probe(DEV, f"{scheme}://127.0.0.1:{port}/", 2.0) is not None, (
            "as allowed"
        )
    assert [(log["event"], log["hint"]) for log in logs] == [
        (
            "a probe leads out of its environment",
            f"Name a service of the stack, or add probe:127.0.0.1:{port} to COMPOSE_POLICY_ALLOW.",
        )
    ]


async def test_name_that_changes_its_address_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was judged is what is connected to: no second look at the name."""
    async with answering(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n") as (port, heard):
        looks = 0

        def look(*_: object, **__: object) -> list[tuple[object, ...]]:
            nonlocal looks
            looks += 1
            return [(2, 1, 6, "", ("127.0.0.1" if looks == 1 else "192.0.2.1", port))]

        monkeypatch.setattr(socket, "getaddrinfo", look)
        assert await NetworkProber(Anywhere()).probe(DEV, f"http://shop.internal:{port}/up", 3.0) is True
        assert looks == 1
    assert b"Host: shop.internal" in heard[0]


async def test_redirect_is_not_followed() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n") as (elsewhere, heard):
        answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/x\r\nContent-Length: 0\r\n\r\n" % elsewhere
        async with answering(answer) as (port, _):
            assert await NetworkProber(Anywhere()).probe(DEV, f"http://127.0.0.1:{port}/", 3.0) is True
    assert heard == []


LIES = [
    b"",
    b"+PONG",
    b"+OK\r\n",
    b"-ERR nothing\r\n",
    b"$2000000000\r\n" + b"x" * 100_000,
    b"*1000000\r\n" + b"*1\r\n" * 50_000,
    b"\xff\xfe\x00" * 1000,
    b"+" + b"P" * 200_000,
    b":1e999\r\n",
    b"%9\r\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
]


@pytest.mark.parametrize("lie", LIES, ids=range(len(LIES)))
async def test_redis_that_lies_fails_the_probe(lie: bytes) -> None:
    """It raises nothing, and nothing large is read."""
    async with answering(lie) as (port, _):
        assert await NetworkProber(Anywhere()).probe(DEV, f"redis://:pw-of-redis@127.0.0.1:{port}", 2.0) is False


@pytest.mark.parametrize("lie", LIES, ids=range(len(LIES)))
async def test_redis_that_lies_is_reported_as_away(lie: bytes) -> None:
    async with answering(lie) as (port, _):
        with pytest.raises(RedisUnavailableError):
            await ping(f"redis://127.0.0.1:{port}", timeout_seconds=1.0)
