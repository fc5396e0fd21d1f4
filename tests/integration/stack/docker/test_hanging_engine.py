"""An engine that takes what is asked and answers nothing holds up nobody who asks another one."""

import asyncio
import json
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import pytest

from roas.concurrency import end_tasks
from roas.models.environment import Environment
from roas.stack.compose.runner import ComposeRunner
from roas.stack.containers.config_hashes import ConfigHashes
from roas.stack.containers.snapshots import take_snapshots
from roas.stack.containers.statistics import StatisticsReader
from roas.stack.docker.engine import ACTING_THREADS, ASKING_THREADS, EngineClients
from roas.stack.docker.sdk import EngineClient

# What is held up waits for the time limit of a request, three times as long.
SECONDS = 10.0
IDS = ("a" * 64, "b" * 64)
STATE = {"Status": "running", "StartedAt": "2026-01-01T00:00:00Z"}


class Engine(ThreadingUnixStreamServer):
    """Play an engine with two containers; from the moment it is to hang it answers nothing that begins so."""

    daemon_threads, request_queue_size = True, 256

    def __init__(self, path: Path) -> None:
        self.hangs_at: tuple[str, ...] = ()
        self.held = threading.Semaphore(0)
        self.ended = threading.Event()
        super().__init__(str(path), Answering)
        self.environment = Environment(path.stem, "p", path.parent, (), docker_host=f"unix://{path}")
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Let all go that waits."""
        self.ended.set()
        self.shutdown()
        self.server_close()


class Answering(BaseHTTPRequestHandler):
    """Answer what is asked about the containers."""

    protocol_version = "HTTP/1.1"
    server: Engine

    def do_GET(self) -> None:
        target = self.path.removeprefix("/v1.45")
        if target.startswith(self.server.hangs_at):
            self.server.held.release()
            self.server.ended.wait()
            return
        content = json.dumps(self._found(target)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _found(self, target: str) -> object:
        if target == "/version":
            return {"ApiVersion": "1.45", "Version": "27.0"}
        if target.startswith("/containers/json"):
            return [{"Id": identifier, "State": "running", "ImageID": "i"} for identifier in IDS]
        if "/stats" in target:
            return {"memory_stats": {"usage": 1}, "cpu_stats": {"cpu_usage": {"total_usage": 1}}}
        return {"Id": IDS[0], "Name": "/web", "State": STATE, "Config": {}, "Image": "i", "HostConfig": {}}

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def hanging(folder: Path) -> Iterator[Engine]:
    engine = Engine(folder / "hanging.sock")
    yield engine
    engine.close()


@pytest.fixture
def well(folder: Path) -> Iterator[Engine]:
    engine = Engine(folder / "well.sock")
    yield engine
    engine.close()


@pytest.fixture
async def clients(hanging: Engine, well: Engine):
    """Ask engines; what still waits at the end is let go."""
    clients = EngineClients()
    yield clients
    hanging.ended.set()
    await clients.close()


@pytest.mark.parametrize("hangs_at", ["/", "/containers/json", "/containers/a"], ids=["opened", "listed", "inspected"])
@pytest.mark.parametrize("hung", [1, 2 * ASKING_THREADS], ids=["one", "many"])
async def test_look_at_another_engine(
    clients: EngineClients, hanging: Engine, well: Engine, hangs_at: str, hung: int
) -> None:
    """With one environment on the engine that hangs, and with more than there are threads."""
    hanging.hangs_at = (hangs_at,)
    looks = [asyncio.ensure_future(take_snapshots(clients.of(hanging.environment))) for _ in range(hung)]
    await _held(hanging, 1 if hangs_at == "/" else min(hung, ASKING_THREADS))
    async with asyncio.timeout(SECONDS):
        assert [take_snapshot.name for take_snapshot in await take_snapshots(clients.of(well.environment))] == [
            "web",
            "web",
        ]
        assert len(await StatisticsReader(clients).read(well.environment, IDS)) == len(IDS)
    await _let_go(hanging, looks)


async def test_act_on_another_engine(clients: EngineClients, hanging: Engine, well: Engine) -> None:
    await take_snapshots(clients.of(hanging.environment))  # it is opened
    hanging.hangs_at = ("/containers",)
    acts = [asyncio.ensure_future(clients.of(hanging.environment).act(_inspect)) for _ in range(2 * ACTING_THREADS)]
    await _held(hanging, ACTING_THREADS)
    async with asyncio.timeout(SECONDS):
        assert (await clients.of(well.environment).act(_inspect))["Name"] == "/web"
    await _let_go(hanging, acts)


async def test_hashes_on_another_engine(
    clients: EngineClients, hanging: Engine, well: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a service that shares with another depend on its containers: the engine is asked for them."""
    of_hanging, of_well = (
        ConfigHashes(clients.of(engine.environment), ComposeRunner("T")) for engine in (hanging, well)
    )
    model = {"name": "p", "services": {"a": {"image": "x"}, "b": {"image": "x", "network_mode": "service:a"}}}
    await of_hanging.of(model)
    hanging.hangs_at = ("/containers",)
    asked = [asyncio.ensure_future(of_hanging.of(model))]
    await _held(hanging, 1)
    async with asyncio.timeout(SECONDS):
        assert (await of_well.of(model)).keys() == {"a", "b"}
    await _let_go(hanging, asked)


def _inspect(client: EngineClient) -> dict[str, Any]:
    return client.inspect_container(IDS[0])


async def _held(engine: Engine, requests: int) -> None:
    """Wait until so many requests wait for an answer."""

    def wait() -> bool:
        return all(engine.held.acquire(timeout=SECONDS) for _ in range(requests))

    assert await asyncio.to_thread(wait)


async def _let_go(engine: Engine, waiting: list["asyncio.Future[object]"]) -> None:
    engine.ended.set()
    await end_tasks(*waiting)
