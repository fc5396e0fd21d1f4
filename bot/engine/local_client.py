"""A client of an engine on this machine's socket: single containers are asked about at a fifth of the SDK's cost.

A stack of hundreds of services is asked about container by container. Of the 0.6 ms of processor time that such a
question takes by the SDK, nearly all is that of requests and urllib3, which on a socket do nothing that is needed.
"""

import http.client
import json
import socket
from collections import deque
from collections.abc import Mapping
from typing import Any

import docker
from docker.transport import UnixHTTPAdapter

ADAPTED = "http+docker://"  # what the SDK calls any socket


class LocalClient(docker.DockerClient):
    """Ask an engine by a socket of this machine."""

    def __init__(self, path: str, *, timeout: int, connections: int) -> None:
        """Ask for the API's version; blocks."""
        self.api = LocalApi(path, timeout, connections)


class LocalApi(docker.APIClient):
    """Ask about single containers by connections of its own, and everything else as the SDK does."""

    def __init__(self, path: str, timeout: int, connections: int) -> None:
        super().__init__(base_url=f"unix://{path}", version="auto", timeout=timeout, max_pool_size=connections)
        self.mount(ADAPTED, SocketAdapter(f"http+unix://{path}", timeout, max_pool_size=connections))
        self.trust_env = False  # no proxy and no netrc has a part in a socket; looking for them takes a third
        self._reader = SocketReader(path, timeout)

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
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = _SocketConnection(self._path, self._timeout_seconds)
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            found = json.loads(answer.read()) if answer.status == http.client.OK else answer.read()
        except TimeoutError:
            connection.close()
            raise
        except (OSError, http.client.HTTPException, ValueError):  # such as of an engine that was started again since
            connection.close()
            return None
        self._idle.append(connection)
        return found if isinstance(found, dict) else None

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
