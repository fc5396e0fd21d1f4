"""An engine that answers each request, in the order in which they are said, and a command that asks by a gate."""

import asyncio

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SECONDS = 10.0


def request(line: str, body: bytes = b"", *, more: bytes = b"") -> bytes:
    """Return a request; its head says how long the body is, unless `more` of a head does."""
    length = b"Content-Length: %d\r\n" % len(body) if body and not more else b""
    return line.encode() + b" HTTP/1.1\r\n" + length + (more + b"\r\n" if more else b"") + b"\r\n" + body


class HeardEngine:
    """Know all that was heard."""

    def __init__(self) -> None:
        self.heard = b""
        self.left = asyncio.Event()
        self._grown = asyncio.Condition()
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        rest = b""
        while data := await reader.read(1 << 16):
            self.heard += data
            heads = (rest + data).split(b"\r\n\r\n")
            rest = heads.pop()
            writer.write(ANSWER * sum(b" HTTP/1.1" in head for head in heads))
            async with self._grown:
                self._grown.notify_all()
        self.left.set()
        writer.close()

    async def has_heard(self, text: bytes) -> bool:
        async with asyncio.timeout(SECONDS), self._grown:
            return await self._grown.wait_for(lambda: text in self.heard)

    def close(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers.clear()


class Command:
    """Ask by a gate's socket, as Compose does."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def waits(self) -> int:
        """Return how many bytes of what was said nobody has taken yet."""
        return self._writer.transport.get_write_buffer_size()

    def say(self, *parts: bytes) -> None:
        for part in parts:
            self._writer.write(part)

    def say_no_more(self) -> None:
        self._writer.write_eof()

    async def answer(self) -> bytes:
        async with asyncio.timeout(SECONDS):
            return await self._reader.readexactly(len(ANSWER))

    async def ended(self) -> bool:
        async with asyncio.timeout(SECONDS):
            try:
                return not (await self._reader.read()).removeprefix(ANSWER)
            except ConnectionResetError:
                return True

    def close(self) -> None:
        self._writer.close()
