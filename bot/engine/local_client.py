"""A client of an engine on this machine's socket: to read costs a fifth of what it does by the SDK.

A stack of hundreds of services is asked about container by container, and a deployment asks some thirty times what
there is. Of the 0.6 ms of processor time that such a question takes by the SDK, nearly all is that of requests and
urllib3, which on a socket do nothing that is needed.
"""

import http.client
import json
import socket
from collections import deque
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

import docker
import requests
from docker.transport import UnixHTTPAdapter

from roas.dataclass import dataclass

ADAPTED = "http+docker://"  # what the SDK calls any socket
STARTING = "/start"


class LocalClient(docker.DockerClient):
    """Ask an engine by a socket of this machine."""

    def __init__(self, path: str, *, timeout: int, connections: int) -> None:
        """Ask for the API's version; blocks."""
        self.api = LocalApi(path, timeout, connections)


class LocalApi(docker.APIClient):
    """Read by connections of its own what is read whole, and do everything else as the SDK does."""

    def __init__(self, path: str, timeout: int, connections: int) -> None:
        self._reader = SocketReader(path, timeout)  # already the version is asked by it
        super().__init__(base_url=f"unix://{path}", version="auto", timeout=timeout, max_pool_size=connections)
        self.mount(ADAPTED, SocketAdapter(f"http+unix://{path}", timeout, max_pool_size=connections))
        self.trust_env = False  # no proxy and no netrc has a part in a socket; looking for them takes a third

    def inspect_container(self, container: Any) -> Any:
        """Return what the engine says of a container. Raises APIError."""
        return self._read(container, "json") or super().inspect_container(container)

    def stats(
        self, container: Any, decode: bool | None = None, stream: bool = True, one_shot: bool | None = None
    ) -> Any:
        """Return what a container uses. Raises APIError."""
        found = None if stream or not one_shot else self._read(container, "stats?stream=false&one-shot=true")
        return found or super().stats(container, decode, stream, one_shot)

    def close(self) -> None:
        """Close all connections."""
        self._reader.close()
        super().close()

    def _get(self, url: str, **named: Any) -> requests.Response:
        """Ask as the SDK does, by a connection that is kept; what is read bit by bit, or with headers, it asks."""
        answer = None
        if named.keys() <= {"params"} and not self._general_configs.get("HttpHeaders"):  # type: ignore[attr-defined]
            answer = self._reader.ask(_target(url.removeprefix(self.base_url), named.get("params") or {}))
        if answer is None:
            found: requests.Response = super()._get(url, **named)  # type: ignore[misc]
            return found
        return _as_response(url, answer)

    def _post(self, url: str, **named: Any) -> requests.Response:
        """Start a container by a connection of its own, without what makes it three times as much work."""
        plain = named.keys() == {"timeout"} and not self._general_configs.get("HttpHeaders")  # type: ignore[attr-defined]
        if plain and url.endswith(STARTING):
            return _as_response(url, self._reader.post(url.removeprefix(self.base_url), named["timeout"]))
        found: requests.Response = super()._post(url, **named)  # type: ignore[misc]
        return found

    def _read(self, container: object, what: str) -> dict[str, Any] | None:
        """Ask for something of a container by its id; None where the SDK has to ask."""
        if not isinstance(container, str) or not container.isalnum():
            return None
        return self._reader.read(f"/v{self.api_version}/containers/{container}/{what}")


class SocketAdapter(UnixHTTPAdapter):
    """Keep connections open from call to call: the SDK's own has a pool for each URL, and so connects each time."""

    def get_connection(self, url: str | bytes, proxies: Mapping[str, str] | None = None) -> Any:
        """Return the one pool, whatever the URL."""
        return super().get_connection(ADAPTED, proxies)


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what an engine answered."""

    status: int
    reason: str
    content: bytes


def _target(path: str, params: Mapping[str, object]) -> str:
    """Return what is asked for, with the parameters that say something."""
    query = urlencode({name: value for name, value in params.items() if value is not None}, doseq=True)
    return f"{path}?{query}" if query else path


def _as_response(url: str, answer: Answer) -> requests.Response:
    """Return an answer as the SDK takes it, so that it raises by itself what a refusal means."""
    response = requests.Response()
    response.url, response.status_code, response.reason = url, answer.status, answer.reason
    response.encoding = "utf-8"
    response._content = answer.content
    return response


class SocketReader:
    """Read JSON from a socket by connections that are kept: as many as threads have asked at the same time."""

    def __init__(self, path: str, timeout_seconds: float) -> None:
        self._path = path
        self._timeout_seconds = timeout_seconds
        self._idle: deque[http.client.HTTPConnection] = deque()

    def read(self, target: str) -> dict[str, Any] | None:
        """Return what is answered; None where that is not plain success: asked again by the SDK, it says why.

        Raises TimeoutError.
        """
        answer = self.ask(target)
        if answer is None or answer.status != http.client.OK:
            return None
        try:
            found = json.loads(answer.content)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def ask(self, target: str) -> "Answer | None":
        """Return the answer, whatever it says; None where there was none. Raises TimeoutError."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = _SocketConnection(self._path, self._timeout_seconds)
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            found = Answer(answer.status, answer.reason, answer.read())
        except TimeoutError:
            connection.close()
            raise
        except (OSError, http.client.HTTPException):  # such as of an engine that was started again since
            connection.close()
            return None
        self._idle.append(connection)
        return found

    def post(self, target: str, timeout_seconds: float) -> Answer:
        """Ask for something to be done, once: what broke a connection does not say whether it was. Raises OSError."""
        with closing(_SocketConnection(self._path, timeout_seconds)) as connection:
            try:
                connection.request("POST", target)
                answer = connection.getresponse()
                return Answer(answer.status, answer.reason, answer.read())
            except http.client.HTTPException as error:
                raise ConnectionError(repr(error)) from error

    def close(self) -> None:
        """Close what is kept."""
        while self._idle:
            self._idle.pop().close()


class _SocketConnection(http.client.HTTPConnection):
    """Speak HTTP over a socket of this machine."""

    def __init__(self, path: str, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
