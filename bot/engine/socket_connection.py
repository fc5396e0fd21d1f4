"""Speak HTTP with an engine on a socket of this machine."""

import http.client
import json
import socket
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from typing import Any

# The second is a header, or a path, that cannot be said.
HTTP_FAULTS = (http.client.HTTPException, ValueError)


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what an engine answered."""

    status: int
    reason: str
    content: bytes


class LineStream:
    """Yield what each line of an answer says; another thread may close it."""

    def __init__(self, connection: "_Connection", taken: socket.socket, answer: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._socket = taken
        self._answer = answer

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with closing(self._connection), suppress(OSError, http.client.HTTPException):
            while line := self._answer.readline():
                yield json.loads(line)

    def close(self) -> None:
        """End it for the thread that waits for the next line, which closes the connection."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


class SocketConnections:
    """Read by connections that are kept, as many as threads have asked at the same time; act by one of its own each."""

    def __init__(self, path: str, timeout_seconds: float, headers: Mapping[str, str]) -> None:
        self._path = path
        self._timeout_seconds = timeout_seconds
        self._headers = headers
        self._idle: deque[_Connection] = deque()

    def ask(self, target: str) -> Answer:
        """Return the answer, whatever it says. Raises OSError."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            with suppress(ConnectionError, http.client.HTTPException):  # such as of an engine that was started again
                return self._ask(connection, target)
        try:
            return self._ask(_Connection(self._path, self._timeout_seconds), target)
        except HTTP_FAULTS as error:
            raise ConnectionError(repr(error)) from error

    def send(self, method: str, target: str, timeout_seconds: float | None = None) -> Answer:
        """Ask for something to be done, once: what broke a connection does not say whether it was. Raises OSError."""
        with closing(_Connection(self._path, timeout_seconds or self._timeout_seconds)) as connection:
            try:
                connection.request(method, target, headers=self._headers)
                return _read(connection.getresponse())
            except HTTP_FAULTS as error:
                raise ConnectionError(repr(error)) from error

    def stream(self, target: str) -> LineStream | Answer:
        """Begin to read JSON line by line, without a time limit; the answer where it is refused. Raises OSError."""
        with ExitStack() as opened:
            connection = opened.enter_context(closing(_Connection(self._path, None)))
            try:
                connection.request("GET", target, headers=self._headers)
                taken = connection.sock
                answer = connection.getresponse()
                if answer.status != http.client.OK:
                    return _read(answer)
            except HTTP_FAULTS as error:
                raise ConnectionError(repr(error)) from error
            opened.pop_all()
            return LineStream(connection, taken, answer)

    def close(self) -> None:
        """Close what is kept."""
        while self._idle:
            self._idle.pop().close()

    def _ask(self, connection: "_Connection", target: str) -> Answer:
        try:
            connection.request("GET", target, headers=self._headers)
            found = _read(connection.getresponse())
        except (OSError, *HTTP_FAULTS):
            connection.close()
            raise
        self._idle.append(connection)
        return found


def _read(answer: http.client.HTTPResponse) -> Answer:
    return Answer(answer.status, answer.reason, answer.read())


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_seconds: float | None) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
