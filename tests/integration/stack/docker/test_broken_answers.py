"""What an engine answers badly is told as what it is: nothing is taken for done, and nothing is asked twice."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from roas.errors import EngineUnavailableError
from roas.stack.docker.api_errors import ApiError
from roas.stack.docker.engine import typed_faults
from roas.stack.docker.sdk import EngineClient

VERSION = b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"ApiVersion":"1.44"}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SECONDS = 10.0


class BrokenEngine:
    """Answer each request after the first with the same bytes, and hang up; note the first line of each."""

    def __init__(self, path: Path) -> None:
        self.address = f"unix://{path}"
        self.answer, self.version = b"", VERSION
        self.asked: list[str] = []
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(str(path))
        self._listening.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while request := connection.recv(1 << 16):
                self.asked.append(request.split(b" HTTP")[0].decode())
                if not self.asked[-1].endswith("/version"):
                    connection.sendall(self.answer)
                    break
                connection.sendall(self.version)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[BrokenEngine]:
    engine = BrokenEngine(tmp_path / "socket")
    yield engine
    engine.close()


@pytest.fixture
def api(broken: BrokenEngine) -> Iterator[Any]:
    client = EngineClient(broken.address)
    yield client
    client.close()


@pytest.mark.parametrize(
    "answer", [b"", CHUNKED, CHUNKED + b"f\r\n[{", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n["]
)
def test_answer_that_is_cut_is_none(broken: BrokenEngine, api: Any, answer: bytes) -> None:
    broken.answer = answer
    with pytest.raises(EngineUnavailableError), typed_faults(broken.address):
        api.containers()


@pytest.mark.parametrize(
    "answer", [b"", CHUNKED, CHUNKED + b"f\r\n{", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]
)
@pytest.mark.parametrize("act", ["start", "stop", "remove_container", "wait"])
def test_what_is_done_is_asked_for_once(broken: BrokenEngine, api: Any, act: str, answer: bytes) -> None:
    broken.answer = answer
    named: dict[str, dict[str, object]] = {
        "start": {"timeout": SECONDS},
        "stop": {"timeout": 1},
        "remove_container": {"force": True},
        "wait": {"timeout": SECONDS, "condition": "removed"},
    }
    with pytest.raises(EngineUnavailableError), typed_faults(broken.address):
        getattr(api, act)("x", **named[act])
    assert len(broken.asked) == 2


def test_wait_that_an_engine_breaks_off_is_not_over(broken: BrokenEngine, api: Any) -> None:
    """One that is stopped meanwhile has begun with its answer, and ends it without a word."""
    broken.answer = CHUNKED + b"0\r\n\r\n"
    with pytest.raises(EngineUnavailableError), typed_faults(broken.address):
        api.wait("x", timeout=SECONDS, condition="removed")
    broken.answer = CHUNKED + b'10\r\n{"StatusCode":0}\r\n0\r\n\r\n'
    with closing(EngineClient(broken.address)) as another:  # the first one's connection may be closing still
        assert another.wait("x", timeout=SECONDS, condition="removed") == {"StatusCode": 0}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.1 409 Conflict\r\nContent-Length: 20\r\n\r\none line\nanother one", "one line\nanother one"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "Forbidden"),
        (b'HTTP/1.1 400 Bad\r\nContent-Length: 22\r\n\r\n{"message":"a\\nb\\n"}  \n', "a\nb"),
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 4\r\n\r\nnull", "null"),
    ],
)
def test_refusal_is_said_in_the_engines_words(broken: BrokenEngine, api: Any, answer: bytes, text: str) -> None:
    broken.answer = answer
    with pytest.raises(ApiError) as refused:
        api.inspect_image("x")
    assert refused.value.explanation == text
    with pytest.raises(ApiError):
        api.start("x", timeout=SECONDS)


def test_events_end_where_the_engine_breaks_off(broken: BrokenEngine, api: Any) -> None:
    broken.answer = CHUNKED + b'b\r\n{"at": "1"}\r\n1\r\n\n\r\n9\r\n{"at": "2'
    found = list(api.events(filters={}, decode=True))
    assert found == [{"at": "1"}]


def test_header_that_http_does_not_take_is_a_fault_of_the_engines_address(
    broken: BrokenEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what stands in Docker's configuration; it may be a secret, and is not quoted."""
    (tmp_path / "config.json").write_text('{"HttpHeaders": {"X-Gate": "a\\nb"}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(EngineUnavailableError, match="InvalidHeader") as told, typed_faults(broken.address):
        EngineClient(broken.address)
    assert "a\\nb" not in str(told.value)
    assert not broken.asked


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'"1.44"', b"<html>"])
def test_what_is_no_engine_is_told_as_one_that_does_not_answer(broken: BrokenEngine, body: bytes) -> None:
    """Such as what else listens where DOCKER_HOST leads by mistake."""
    broken.version = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with pytest.raises(EngineUnavailableError) as told, typed_faults(broken.address):
        EngineClient(broken.address)
    assert "DOCKER_HOST" in str(told.value.hint)


@pytest.mark.parametrize("body", [b"null", b'"x"', b"7", b"<html>", b""])
@pytest.mark.parametrize(
    ("ask", "arguments"),
    [
        ("version", ()),
        ("info", ()),
        ("containers", ()),
        ("inspect_container", ("x",)),
        ("stats", ("x", None, False)),
        ("images", ()),
        ("inspect_image", ("x",)),
        ("networks", ()),
        ("volumes", ()),
    ],
)
def test_answer_of_another_kind_is_told_as_that(
    broken: BrokenEngine, api: Any, ask: str, arguments: tuple[Any, ...], body: bytes
) -> None:
    """Of a proxy, for example: it is no incident of ours, and no empty list, by which nothing would be there."""
    broken.answer = broken.version = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with pytest.raises(EngineUnavailableError, match="it answers is no Docker API's"), typed_faults(broken.address):
        getattr(api, ask)(*arguments)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FileNotFoundError(2, "No such file or directory"), "no such file or directory"),
        (PermissionError(13, "Permission denied"), "permission denied"),
        (ConnectionRefusedError(111, "Connection refused"), "connection refused"),
    ],
)
def test_socket_that_cannot_be_used_is_told_with_the_kernels_reason(
    broken: BrokenEngine, monkeypatch: pytest.MonkeyPatch, error: OSError, text: str
) -> None:
    """Root, who runs the tests, is refused nothing."""

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(EngineUnavailableError, match=text) as told, typed_faults(broken.address):
        EngineClient(broken.address)
    assert "DOCKER_HOST" in str(told.value.hint)
