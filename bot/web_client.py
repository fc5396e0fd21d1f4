"""Ask forges, registries and issuers over HTTP: bounded in time and size; a redirect is followed where asked."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from roas.version import __version__

REQUEST_SECONDS = 20.0
LARGEST_ANSWER_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what was answered; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Return the body as JSON. Raises ValueError."""
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("the answer is nested too deeply") from error


class WebClient:
    """Hold one session, opened when it is first needed. Every method raises OSError, TimeoutError or ValueError."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(
        self,
        method: str,
        address: str | URL,
        *,
        headers: Mapping[str, str] | None = None,
        document: Any = None,
        redirects: bool = False,
        largest: int = LARGEST_ANSWER_BYTES,
        seconds: float = REQUEST_SECONDS,
    ) -> Answer:
        """Ask once; a status of 400 or more is an answer, too, and so is a redirect, but for `redirects`."""
        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"User-Agent": f"roas-bot/{__version__}"})
        body = None if document is None else json.dumps(document).encode()
        sent = ({"Content-Type": "application/json"} if body is not None else {}) | dict(headers or {})
        try:
            async with (
                asyncio.timeout(seconds),
                self._session.request(method, address, headers=sent, data=body, allow_redirects=redirects) as answer,
            ):
                read = bytearray()
                async for chunk in answer.content.iter_chunked(64 * 1024):
                    read += chunk
                    if len(read) > largest:
                        raise ValueError("the answer is too large")
                found = {name.lower(): value for name, value in answer.headers.items()}
                return Answer(answer.status, found, bytes(read))
        except (aiohttp.InvalidURL, aiohttp.ClientResponseError) as error:
            raise OSError(type(error).__name__) from error  # what else they say shows an address, which may be signed
        except aiohttp.ClientError as error:
            raise OSError(str(error) or type(error).__name__) from error

    async def fetch_json(self, address: str) -> Any:
        """Return the JSON at an address; anything but 200 is a ValueError."""
        answer = await self.ask("GET", address)
        if answer.status != 200:
            raise ValueError(f"{URL(address).host} answered {answer.status}")
        return answer.json()
