"""The bot says over a real socket whether it lives and whether it is ready."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from roas.errors import EngineUnavailableError, SettingsError
from roas.http import server as http
from roas.http.server import HttpServer, JournalStanding
from roas.metrics.bot_metrics import Metrics
from roas.shortages import SHORT_OF


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    started = HttpServer("127.0.0.1", 0, Metrics("1"))
    await started.start()
    yield started
    await started.stop()


async def fetch(server: HttpServer, path: str) -> tuple[int, aiohttp.ClientResponse, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{server.port}{path}") as response:
        return response.status, response, await response.text()


async def well() -> None:
    return None


async def engine_away() -> None:
    raise EngineUnavailableError("The engine at unix:///x does not answer.")


async def test_live_process_answers_health(server: HttpServer) -> None:
    status, response, _ = await fetch(server, "/health")
    assert status == 200
    assert (await response.json())["status"] == "alive"


async def test_health_tells_the_journal_and_fails_without() -> None:
    """Others learn from it whether this bot is on their journal, and Docker that it acts no more."""
    standing = JournalStanding("JOURNAL-1")
    server = HttpServer("127.0.0.1", 0, Metrics("1"), journal=lambda: standing)
    await server.start()
    try:
        status, response, _ = await fetch(server, "/health")
        assert (status, (await response.json())["journal"]) == (200, "JOURNAL-1")
        standing = JournalStanding("JOURNAL-1", "journal.sqlite3 was deleted under this bot.")
        status, response, _ = await fetch(server, "/health")
        said = await response.json()
        assert (status, said["status"], said["reason"]) == (503, "journal lost", standing.lost)
        assert "journal" not in said
    finally:
        await server.stop()


async def test_leader_is_told_to_proxies() -> None:
    """One that leads answers 200, one on standby 503."""
    leads = [True]
    server = HttpServer("127.0.0.1", 0, Metrics("1"), leads=lambda: leads[0])
    await server.start()
    try:
        assert (await fetch(server, "/leader"))[0] == 200
        leads[0] = False
        assert (await fetch(server, "/leader"))[0] == 503
    finally:
        await server.stop()


async def test_ready_lists_parts_and_answers_503(server: HttpServer) -> None:
    """It answers 503 when one part is not ready."""
    server.watch("journal", well)
    assert (await fetch(server, "/ready"))[0] == 200
    server.watch("engine", engine_away)
    status, response, _ = await fetch(server, "/ready")
    assert status == 503
    assert await response.json() == {
        "ready": False,
        "parts": {
            "journal": {"ready": True},
            "engine": {"ready": False, "reason": "The engine at unix:///x does not answer."},
        },
    }


async def test_hung_or_broken_part_not_ready(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PROBE_SECONDS", 0.05)

    async def hangs() -> None:
        await asyncio.Event().wait()

    async def breaks() -> None:
        raise ValueError("hunter2")

    async def runs_out() -> None:
        raise RuntimeError("can't start new thread")

    server.watch("a", hangs)
    server.watch("b", breaks)
    server.watch("c", runs_out)
    status, response, text = await fetch(server, "/ready")
    parts = (await response.json())["parts"]
    assert status == 503
    assert "no answer within" in parts["a"]["reason"]
    assert parts["b"]["reason"] == "ValueError"
    assert "Out of processes or threads" in parts["c"]["reason"]
    assert "hunter2" not in text


async def test_metrics_served_in_prometheus_format(server: HttpServer) -> None:
    status, response, text = await fetch(server, "/metrics")
    assert status == 200
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'roas_build_info{version="1"} 1.0' in text


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENOSPC])
async def test_shortage_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse() -> JournalStanding:
        raise OSError(number, os.strerror(number))

    async def refresh() -> None:
        refuse()

    metrics = Metrics("1")
    monkeypatch.setattr(metrics, "refresh", refresh)
    server = HttpServer("127.0.0.1", 0, metrics, journal=refuse)
    await server.start()
    try:
        for path in ("/health", "/metrics"):
            status, response, _ = await fetch(server, path)
            told = (await response.json())["error"]
            assert (status, f"Out of {SHORT_OF[number]} for the moment" in told, "raise the limit" in told) == (
                503,
                True,
                True,
            )
    finally:
        await server.stop()


async def test_unknown_paths_not_found(server: HttpServer) -> None:
    assert (await fetch(server, "/alerts"))[0] == 404


async def test_occupied_port_says_what_to_do(server: HttpServer) -> None:
    with pytest.raises(SettingsError, match="cannot listen on") as caught:
        await HttpServer("127.0.0.1", server.port, Metrics("1")).start()
    assert "HTTP_PORT" in caught.value.hint
    other = HttpServer("127.0.0.1", 0, Metrics("1"))
    await other.start()
    await other.stop()


async def test_foreign_address_reported(server: HttpServer) -> None:
    with pytest.raises(SettingsError) as caught:
        await HttpServer("192.0.2.1", 0, Metrics("1")).start()
    assert "HTTP_HOST to an address of this machine, such as 127.0.0.1" in caught.value.hint
    other = HttpServer("127.0.0.1", 0, Metrics("1"))
    await other.start()
    await other.stop()


async def test_stop_frees_port() -> None:
    stopped = HttpServer("127.0.0.1", 0, Metrics("1"))
    await stopped.start()
    port = stopped.port
    await stopped.stop()
    assert stopped.port == 0
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        attempt.bind(("127.0.0.1", port))
