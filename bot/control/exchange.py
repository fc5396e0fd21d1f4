"""Ask over a unix socket by HTTP/1.0, whose answers end with their connection.

That is all the command line needs, and a library for HTTP takes longer to load than everything else that it does.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress

END_OF_LINE = b"\r\n"


class BrokenAnswerError(OSError):
    """What came is no answer, or not all of it."""


class Answer:
    """Hold the status of an answer, whose body is read from the connection."""

    def __init__(self, status: int, length: int | None, reader: asyncio.StreamReader) -> None:
        self.status = status
        self._length = length
        self._reader = reader

    async def text(self) -> str:
        """Return the whole body. Raises OSError where the connection ends before it does."""
        body = await self._reader.read() if self._length is None else await _exactly(self._reader, self._length)
        return body.decode()

    async def lines(self) -> AsyncGenerator[str, None]:
        """Yield each line as it comes, until the connection ends. Raises OSError, ValueError."""
        async for line in self._reader:
            yield line.decode()


@asynccontextmanager
async def ask(path: str, method: str, target: str, body: str | None, *, line_limit: int) -> AsyncIterator[Answer]:
    """Connect, ask, and provide the answer for the length of the block. Raises OSError, ValueError."""
    reader, writer = await asyncio.open_unix_connection(path, limit=line_limit)
    try:
        writer.write(_question(method, target, body))
        await writer.drain()
        yield await _begin(reader)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _question(method: str, target: str, body: str | None) -> bytes:
    content = b"" if body is None else body.encode()
    head = (f"{method} {target} HTTP/1.0", "Host: bot", f"Content-Length: {len(content)}", "", "")
    return END_OF_LINE.join(line.encode("ascii") for line in head) + content


async def _begin(reader: asyncio.StreamReader) -> Answer:
    """Read up to the body."""
    version, _, status = (await reader.readline()).partition(b" ")
    if not version.startswith(b"HTTP/1.") or not status[:3].isdigit():
        raise BrokenAnswerError("what answers is no bot")
    length: int | None = None
    while (line := await reader.readline()) not in {END_OF_LINE, b""}:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    return Answer(int(status[:3]), length, reader)


async def _exactly(reader: asyncio.StreamReader, length: int) -> bytes:
    try:
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        raise BrokenAnswerError("the connection ended before the answer did") from error
