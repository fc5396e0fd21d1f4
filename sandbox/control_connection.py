"""Speak with the control API of a sandbox: one session, and questions that are asked again at every change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from sandbox.errors import ControlError

BURST_SECONDS = 0.05
_POLL_SECONDS = 25.0

T = TypeVar("T")


class ControlConnection:
    """Ask and order over the control API, for the length of a block."""

    def __init__(self, control_url: str, control_token: str) -> None:
        self._url = control_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {control_token}"}
        self._session: aiohttp.ClientSession | None = None
        # Whoever measures how long an answer takes asks at each change.
        self.burst_seconds = BURST_SECONDS

    async def __aenter__(self) -> Self:
        """Nothing is opened before the first call."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections to the sandbox."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def wait(
        self,
        path: str,
        query: dict[str, str],
        done: Callable[[T], bool],
        what: str,
        deadline_seconds: float,
        shorten: Callable[[T], Any] = lambda data: data,
    ) -> T:
        """Ask again at every change until `done`; the deadline is monotonic."""
        deadline = time.monotonic() + deadline_seconds
        version = -1
        while True:
            left = max(0.0, deadline - time.monotonic())
            poll = {**query, "since": str(version), "wait": f"{min(left, _POLL_SECONDS):.3f}"}
            version, data = await self.get(path, poll)
            if done(data):
                return data  # type: ignore[no-any-return]
            if time.monotonic() >= deadline:
                raise TimeoutError(f"waited {deadline_seconds} s for {what}; last seen: {shorten(data)}")
            # Changes come in bursts, and each answer is all that there is: a burst is read once.
            await asyncio.sleep(self.burst_seconds)

    async def data(self, path: str) -> list[dict[str, Any]]:
        """Return a list as it is now."""
        _, data = await self.get(path, {})
        return list(data)

    async def get(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        """Return what there is, and the number of the change that it is of."""
        async with self._open().get(f"{self._url}/{path}", params=query, headers=self._headers) as response:
            content = await _content(response)
            return content["version"], content["data"]

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """Order something and return what became of it. Raises ControlError."""
        async with self._open().post(f"{self._url}/{path}", json=body, headers=self._headers) as response:
            return (await _content(response))["data"]

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_POLL_SECONDS + 10))
        return self._session


async def _content(response: aiohttp.ClientResponse) -> dict[str, Any]:
    if response.content_type != "application/json":
        raise ControlError(f"{response.status}: {await response.text()}", response.status)
    content: dict[str, Any] = await response.json()
    if "error" in content:
        raise ControlError(content["error"], response.status)
    return content
