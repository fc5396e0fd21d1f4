"""A way to an engine on which images cannot be removed for a while: refused, or never answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

REFUSAL = b'{"message":"the disk of the images is read-only"}'
ANSWER = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


class RefusingEngine:
    """Pass a unix socket on under another name; `mode` says what becomes of a request to remove an image."""

    def __init__(self, target: str, path: Path) -> None:
        self.docker_host = f"unix://{path}"
        self.mode = "pass"
        self.met = 0
        self._target = target.removeprefix("unix://")
        self._path = path

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["RefusingEngine"]:
        """Listen for as long as the block lasts."""
        server = await asyncio.start_unix_server(self._accept, self._path)
        try:
            yield self
        finally:
            server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self._target)
        with suppress(ConnectionError):
            await asyncio.gather(self._ask(reader, writer, far_writer), self._answer(far_reader, writer))

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, far_writer: asyncio.StreamWriter
    ) -> None:
        """The SDK writes a request without a body at once, so that one read has all of it."""
        while data := await reader.read(65536):
            line = data.partition(b"\r\n")[0]
            if self.mode == "pass" or not (line.startswith(b"DELETE ") and b"/images/" in line):
                far_writer.write(data)
                await far_writer.drain()
                continue
            self.met += 1
            if self.mode == "refuse":
                writer.write(ANSWER % (len(REFUSAL), REFUSAL))
                await writer.drain()
        far_writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
