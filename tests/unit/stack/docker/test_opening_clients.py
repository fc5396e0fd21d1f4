"""An engine that does not answer when its client is opened holds up nobody who asks another one."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest

from roas.errors import EngineUnavailableError
from roas.models.environment import Environment
from roas.stack.docker import engine as engine_client
from roas.stack.docker.engine import Engine, EngineClients, typed_faults
from roas.stack.docker.sdk import EngineClient

SECONDS = 10.0
SILENT, WELL = (Environment(name, name, Path(), (), docker_host=f"unix:///{name}.sock") for name in ("silent", "well"))


class Openings:
    """Open clients; that of one engine takes until the end of the test, and fails."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.ended = threading.Event()

    def open(self, address: str) -> Any:
        self.opened.append(address)
        if address == SILENT.docker_host:
            assert self.ended.wait(SECONDS)
            raise ConnectionError("it never answered")
        return Opened()


class Opened:
    def close(self) -> None:
        """Have nothing to close."""


@pytest.fixture
def openings(monkeypatch: pytest.MonkeyPatch) -> Openings:
    openings = Openings()
    monkeypatch.setattr(engine_client, "EngineClient", openings.open)
    return openings


@pytest.fixture
async def clients(openings: Openings) -> AsyncIterator[EngineClients]:
    clients = EngineClients()
    yield clients
    openings.ended.set()
    await clients.close()


async def test_silent_engine_holds_up_no_other(clients: EngineClients, openings: Openings) -> None:
    asked = [asyncio.ensure_future(clients.of(SILENT).call(id)) for _ in range(3 * engine_client.ASKING_THREADS)]
    async with asyncio.timeout(SECONDS / 2):
        assert await clients.of(WELL).call(type) is Opened
    openings.ended.set()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(item, EngineUnavailableError) for item in found)
    assert openings.opened.count(str(SILENT.docker_host)) == 1, "all learn how that one ended"
    with pytest.raises(EngineUnavailableError):
        await clients.of(SILENT).client()  # whoever comes later tries again
    assert await clients.of(WELL).client() is await clients.of(WELL).client()
    assert len(openings.opened) == 3


async def test_who_leaves_does_not_end_an_opening(clients: EngineClients, openings: Openings) -> None:
    first, second = (asyncio.ensure_future(clients.of(SILENT).call(id)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    openings.ended.set()
    with pytest.raises(EngineUnavailableError):
        await second
    assert len(openings.opened) == 1


@pytest.mark.usefixtures("openings")
async def test_acts_of_one_environment_hold_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever changes a stack says how long its containers may take to stop."""
    clients, held = EngineClients(), threading.Event()
    monkeypatch.setattr(Engine, "_opened", AsyncMock(return_value=clients))
    waiting = [
        asyncio.ensure_future(clients.of(SILENT).act(lambda _client: held.wait()))
        for _ in range(2 * engine_client.ACTING_THREADS)
    ]
    async with asyncio.timeout(10):
        assert await clients.of(replace(SILENT, name="other")).act(lambda client: client is clients)
    held.set()
    await asyncio.gather(*waiting)
    await clients.close()


@pytest.mark.parametrize("lets_start", [0, 1, 20, engine_client.ASKING_THREADS + 3])
async def test_what_failed_for_want_of_threads_is_never_done(
    clients: EngineClients, monkeypatch: pytest.MonkeyPatch, lets_start: int
) -> None:
    """A pool that begins a thread when it gets work keeps the work when it cannot, and does it later."""
    start, started, done = threading.Thread.start, [0], []
    before = set(threading.enumerate())

    def refuse(thread: threading.Thread) -> None:
        started[0] += 1
        if started[0] > lets_start:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    # With threads to ask, one asks, and does not act.
    well = clients.of(WELL)
    for act in (well.act, well.call) if lets_start < engine_client.ASKING_THREADS else (well.act,):
        with pytest.raises(EngineUnavailableError, match="can't start new thread") as refused:
            await act(done.append)
        assert refused.value.transient
    monkeypatch.setattr(threading.Thread, "start", start)
    assert await clients.of(WELL).act(type) is Opened, "with threads again, it is asked"
    monkeypatch.setattr(threading.Thread, "start", refuse)
    for _ in range(3 * engine_client.ACTING_THREADS):
        assert await clients.of(WELL).act(type) is Opened, "those that it needs run already"
    assert done == []
    left = [thread for thread in threading.enumerate() if thread.name.startswith("engine") and thread not in before]
    assert len(left) <= engine_client.ASKING_THREADS + engine_client.ACTING_THREADS, "none of the failed ones are left"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("tcp://10.0.0.5", "port is required"),
        ("10.0.0.5", "port is required"),
        ("npipe:////./pipe/docker", "only supported on Windows"),
    ],
)
def test_address_that_is_none_says_what_is_wrong_with_it(address: str, reason: str) -> None:
    """The name of an exception tells nobody what to correct."""
    with pytest.raises(EngineUnavailableError) as raised, typed_faults(address):
        EngineClient(address)
    assert reason in raised.value.message
    assert "Error while" not in raised.value.message


def test_folder_in_the_place_of_a_socket_named(tmp_path: Path) -> None:
    """Docker makes a folder where a bind's path is missing on the host: to start Docker is of no use then."""
    with pytest.raises(EngineUnavailableError) as raised, typed_faults(f"unix://{tmp_path}"):
        EngineClient(f"unix://{tmp_path}")
    assert "(Is a directory)" in raised.value.message
    assert "DOCKER_SOCKET" in raised.value.hint
