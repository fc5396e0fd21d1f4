"""A web service with users, for what is told of proxies: it runs in a container, by any Python, with nothing installed.

GET answers with the version, `/slow?SECONDS` after so long, `/events` with server-sent events that do not end. POST
writes the id in its body to `ORDERS`, once for each time that it is carried out. `/ws` is a WebSocket. Where `WARMING`
is set it listens at once, and answers 503 for so many seconds. Where `CRASHES_AFTER` is set it ends with code 1 so many
seconds after its start, where `FAILS_AFTER` is it answers 500 from then on, and to so many percent of the requests
where `FAILS_PERCENT` is, but for those of its health check, `FAILS_FROM` so many seconds after its start. Where
`TAKES_MS` is set, all others are answered so many milliseconds late, and with a `TAKES_SHAPE` so many on average, by a
gamma distribution of that shape: below 1, most are quick and a few take very long. Where `ONLY_FIRST` names a file, all
that is so of the container that makes the file, also when it starts again, and of no other. SIGTERM lets it take no
more connections but those that wait already, answer what it has, tell WebSockets that it goes, and end.
"""

import asyncio
import base64
import contextlib
import hashlib
import os
import random
import signal
import socket
import time
from pathlib import Path

PORT = 8080
VERSION = os.environ.get("VERSION", "v0")
ORDERS = Path(os.environ.get("ORDERS", "/orders/log"))
WEBSOCKET_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
GOING_AWAY = b"\x88\x02\x03\xe9"  # a close frame with 1001


def is_flawed() -> bool:
    """Return whether this container is one of those that are not well."""
    if mark := os.environ.get("ONLY_FIRST"):
        try:
            with Path(mark).open("x") as made:
                made.write(socket.gethostname())
        except FileExistsError:
            return Path(mark).read_text() == socket.gethostname()
    return True


FLAWS = os.environ if is_flawed() else {}
READY_AT = time.monotonic() + float(FLAWS.get("WARMING", "0"))
FAILS_AT = time.monotonic() + float(FLAWS.get("FAILS_AFTER", "inf"))
FAILS_SHARE = float(FLAWS.get("FAILS_PERCENT", "0")) / 100
SOME_FAIL_AT = time.monotonic() + float(FLAWS.get("FAILS_FROM", "0"))
TAKES_SECONDS = float(FLAWS.get("TAKES_MS", "0")) / 1000
TAKES_SHAPE = float(FLAWS.get("TAKES_SHAPE", "0"))
EVENT_SECONDS = 0.2
OPEN: set["Connection"] = set()
IDLE = asyncio.Event()


class Connection(asyncio.Protocol):
    """Answer the requests of one connection, one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read."""
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer, self.busy = transport, b"", False
        self.is_websocket = self.is_stream = False
        self.is_owed = True  # whoever connects is about to ask
        OPEN.add(self)
        IDLE.clear()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it."""
        OPEN.discard(self)
        self.settle()

    def settle(self) -> None:
        """Owe it nothing."""
        self.is_owed = False
        if not any(item.is_owed for item in OPEN):
            IDLE.set()

    def data_received(self, data: bytes) -> None:
        """Take what came; a request that is whole is answered."""
        self.buffer += data
        self.answer_next()

    def answer_next(self) -> None:
        """Answer the next request that is whole."""
        while not (self.busy or self.is_websocket or self.is_stream) and b"\r\n\r\n" in self.buffer:
            head, _, rest = self.buffer.partition(b"\r\n\r\n")
            first, *lines = head.split(b"\r\n")
            fields = {
                name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)
            }
            length = int(fields.get(b"content-length", b"0"))
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            method, path, _ = first.split(b" ", 2)
            self.handle(method, path, fields, rest[:length])

    def handle(self, method: bytes, path: bytes, fields: dict[bytes, bytes], body: bytes) -> None:
        """Carry out one request."""
        closes = fields.get(b"connection", b"").lower() == b"close"
        may_fail = FAILS_SHARE > 0 and path != b"/health" and time.monotonic() >= SOME_FAIL_AT
        is_unlucky = may_fail and random.random() < FAILS_SHARE  # noqa: S311 - luck
        if is_unlucky or time.monotonic() >= FAILS_AT:
            self.answer(b"500 Internal Server Error", VERSION.encode(), closes=closes)
        elif time.monotonic() < READY_AT:
            self.answer(b"503 Service Unavailable", b"warming up", closes=closes)
        elif path == b"/ws":
            key = base64.b64encode(
                hashlib.sha1(fields[b"sec-websocket-key"] + WEBSOCKET_MAGIC, usedforsecurity=False).digest()
            )
            self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
            said = VERSION.encode()
            self.transport.write(b"Sec-WebSocket-Accept: %s\r\n\r\n\x81%c%s" % (key, len(said), said))
            self.is_websocket = True
            self.settle()
        elif path == b"/events":
            self.is_stream = True
            self.settle()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
            self.send_event()
        elif path.startswith(b"/slow?"):
            self.begin_slow(float(path.partition(b"?")[2]), closes)
        else:
            if method == b"POST":
                write_order(body)
            if TAKES_SECONDS and path != b"/health":
                self.begin_slow(taken(), closes)
            else:
                self.answer(b"200 OK", VERSION.encode(), closes=closes)

    def send_event(self) -> None:
        """Send the next event of a stream, for as long as somebody reads it."""
        if not self.transport.is_closing():
            self.transport.write(b"data: %s\n\n" % VERSION.encode())
            asyncio.get_running_loop().call_later(EVENT_SECONDS, self.send_event)

    def begin_slow(self, seconds: float, closes: bool) -> None:
        """Take so long to answer."""
        self.busy = self.is_owed = True
        IDLE.clear()
        asyncio.get_running_loop().call_later(seconds, self.end_slow, closes)

    def end_slow(self, closes: bool) -> None:
        """Answer what took its time."""
        self.busy = False
        self.answer(b"200 OK", VERSION.encode(), closes=closes)
        self.answer_next()

    def answer(self, status: bytes, body: bytes, *, closes: bool) -> None:
        """Write one answer."""
        how = b"close" if closes else b"keep-alive"
        head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n" % (status, len(body), how)
        self.transport.write(head + body)
        self.settle()
        if closes:
            self.transport.close()


def taken() -> float:
    """Return how many seconds the next answer takes."""
    return random.gammavariate(TAKES_SHAPE, TAKES_SECONDS / TAKES_SHAPE) if TAKES_SHAPE else TAKES_SECONDS


def write_order(body: bytes) -> None:
    """Write down that an order was carried out: one line, by one write."""
    with ORDERS.open("ab", buffering=0) as log:
        log.write(body + b"\n")


async def serve() -> None:
    """Serve until SIGTERM, then finish what has begun."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    IDLE.set()
    if crashes_after := FLAWS.get("CRASHES_AFTER"):
        loop.call_later(float(crashes_after), os._exit, 1)
    server = await loop.create_server(Connection, "0.0.0.0", PORT, backlog=1024)  # noqa: S104 - in its container
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await told.wait()
    # Once closed, the kernel refuses who waits to be taken: so those are taken by a copy of the socket first.
    waiting = [socket.socket(fileno=os.dup(item.fileno())) for item in server.sockets]
    server.close()
    for listening in waiting:
        listening.setblocking(False)
        with listening, contextlib.suppress(BlockingIOError):
            while True:
                await loop.connect_accepted_socket(Connection, listening.accept()[0])
    for item in [connection for connection in OPEN if connection.is_websocket]:
        item.transport.write(GOING_AWAY)
        item.transport.close()
    for connection in [entry for entry in OPEN if entry.is_stream]:
        connection.transport.close()
    await IDLE.wait()


if __name__ == "__main__":
    asyncio.run(serve())
