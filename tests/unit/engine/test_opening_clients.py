"""An engine that does not answer when its client is opened holds up nobody who asks another one."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from roas.engine import client as engine_client
from roas.engine import local_client
from roas.engine.client import EngineClients, open_client, typed_faults
from roas.errors import EngineUnavailableError

SECONDS = 10.0
SILENT, WELL = "unix:///silent.sock", "unix:///well.sock"


class Openings:
    """Open clients; that of one engine takes until the end of the test."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.began = threading.Event()
        self.ended = threading.Event()

    def open(self, address: str) -> Any:
        self.opened.append(address)
        if address == SILENT:
            self.began.set()
            assert self.ended.wait(SECONDS)
            raise ConnectionError("it never answered")
        return f"client of {address}"


@pytest.fixture
def openings(monkeypatch: pytest.MonkeyPatch) -> Openings:
    openings = Openings()
    monkeypatch.setattr(engine_client, "open_client", openings.open)
    monkeypatch.setattr(engine_client.RegistryLogins, "refresh", lambda *_: None)
    return openings


def test_silent_engine_holds_up_no_other(openings: Openings) -> None:
    clients = EngineClients()
    with ThreadPoolExecutor() as threads:
        silent = threads.submit(clients.client, SILENT)
        assert openings.began.wait(SECONDS)
        try:
            well = threads.submit(clients.client, WELL)
            assert well.result(SECONDS / 2) == f"client of {WELL}"
        finally:
            openings.ended.set()
        assert isinstance(silent.exception(SECONDS), ConnectionError)


def test_all_who_wait_learn_of_one_failure(openings: Openings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them trying for itself, one after the other, takes a thread for many times the limit."""
    waiting = threading.Semaphore(0)

    class Noted(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            waiting.release()
            return super().result(timeout)

    monkeypatch.setattr(engine_client, "Future", Noted)
    clients = EngineClients()
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(clients.client, SILENT) for _ in range(4)]
        try:
            assert openings.began.wait(SECONDS)
            assert all(waiting.acquire(timeout=SECONDS) for _ in range(3)), "they do not wait for the first one"
        finally:
            openings.ended.set()
        assert all(isinstance(one.exception(SECONDS), ConnectionError) for one in asked)
    assert openings.opened == [SILENT]
    with pytest.raises(ConnectionError):
        clients.client(SILENT)  # whoever comes later tries again
    assert openings.opened == [SILENT, SILENT]
    assert clients.client(WELL) == clients.client(WELL)
    assert openings.opened == [SILENT, SILENT, WELL]


def test_who_has_no_home_asks_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user may be a mere number, and be told of no HOME."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert local_client._headers() == {}


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
        open_client(address)
    assert reason in raised.value.message
    assert "Error while" not in raised.value.message


def test_folder_in_the_place_of_a_socket_named(tmp_path: Path) -> None:
    """Docker makes a folder where a bind's path is missing on the host: to start Docker is of no use then."""
    with pytest.raises(EngineUnavailableError) as raised, typed_faults(f"unix://{tmp_path}"):
        open_client(f"unix://{tmp_path}").api.version()
    assert "that is a folder" in raised.value.message
    assert "DOCKER_SOCKET" in raised.value.hint
