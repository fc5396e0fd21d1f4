"""An engine that was upgraded, or is an older one again, is spoken to as it now wants it."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from types import NoneType

import pytest

from roas.errors import EngineUnavailableError
from roas.models.environment import Environment
from roas.stack.docker.engine import EngineClients
from roas.stack.docker.sdk import EngineClient

TOO_NEW = "client version {} is too new. Maximum supported API version is {}"
TOO_OLD = "client version {} is too old. Minimum supported API version is {}, please upgrade your client"


class Exchanged(ThreadingUnixStreamServer):
    """Answer by one version of the API; refuse another one as an engine does."""

    daemon_threads = True
    api = "1.45"
    refusal = ""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Exchanged

    def do_GET(self) -> None:
        asked = self.path.split("/")[1]
        if asked in {"version", f"v{self.server.api}"}:
            self._answer(200, {"ApiVersion": self.server.api} if asked == "version" else [])
        else:
            self._answer(400, {"message": self.server.refusal.format(asked.removeprefix("v"), self.server.api)})

    def _answer(self, status: int, document: object) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def address_string(self) -> str:
        return "a socket"

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Exchanged]:
    with Exchanged(tmp_path / "engine.sock") as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield server
        server.shutdown()
        serving.join()


@pytest.mark.parametrize(("api", "refusal"), [("1.41", TOO_NEW), ("1.52", TOO_OLD)])
async def test_engine_of_another_version_is_asked_anew(
    engine: Exchanged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: str, refusal: str
) -> None:
    """Who asked just then may ask again, as with an engine that is started again; one by ssh has a process to end."""
    closed: list[EngineClient] = []
    monkeypatch.setattr(EngineClient, "close", lambda self: closed.append(self))
    environment = Environment("dev", "p", tmp_path, (), docker_host=f"unix://{tmp_path}/engine.sock")
    clients = EngineClients()

    async def ask() -> None:
        await clients.of(environment).call(lambda client: client.containers())

    await ask()
    first = await clients.of(environment).client()
    engine.api, engine.refusal = api, refusal
    asked = await asyncio.gather(*(ask() for _ in range(3)), return_exceptions=True)
    assert {type(item) for item in asked} <= {EngineUnavailableError, NoneType}
    assert any("of another version than before: client version 1.45" in str(item) for item in asked)
    await ask()
    assert closed == [first]
    await clients.close()
