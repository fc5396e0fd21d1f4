"""Send requests at a fixed rate, whatever becomes of those before (open loop), and say what became of each.

`python -m campaigns.requests.load --port 8080 --rate 1000 --seconds 60` in a process of its own. Half of the requests
go over kept connections, half over new ones; of each, every fourth is a POST with an id. Nothing is sent a second time:
what fails has failed. Ends early when its standard input is closed, and prints what it saw as JSON.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

ANSWER_SECONDS = 10.0
# Requests that may be under way at once: who gets no answer for so many has lost them.
MOST_OPEN = 4000
EVERY_NEW, EVERY_POST = 2, 4


@dataclass
class Seen:
    """Collect what became of the requests; times are seconds since the first."""

    sent: int = 0
    answered: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    failed_at: list[float] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)
    posted: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    gap: float = 0.0
    gap_at: float = 0.0
    last: float = 0.0
    late: float = 0.0

    def answer(self, now: float, latency: float, version: str) -> None:
        """Note an answer."""
        if now - self.last > self.gap:
            self.gap, self.gap_at = now - self.last, self.last
        self.last = now
        self.answered += 1
        self.latencies.append(latency)
        self.versions[version] += 1

    def report(self) -> dict[str, object]:
        """Return everything as plain data."""
        ordered = sorted(self.latencies) or [0.0]
        return {
            "sent": self.sent,
            "answered": self.answered,
            "failures": dict(self.failures),
            "failed_at": [round(one, 3) for one in self.failed_at[:200]],
            "versions": dict(self.versions),
            "posted": self.posted,
            "longest_gap": round(self.gap, 4),
            "gap_at": round(self.gap_at, 3),
            "late": round(self.late, 4),
            "latency": {
                name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 2)
                for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0))
            },
        }


class Client(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.answer: asyncio.Future[tuple[int, bytes]] | None = None
        self.buffer = b""
        self.is_open = False
        self.closes = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.is_open = transport, True

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the request that waits."""
        self.is_open = False
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(ConnectionResetError(str(error or "closed before its answer")))

    def data_received(self, data: bytes) -> None:
        """Take an answer; bodies have a length."""
        self.buffer += data
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        if not end or self.answer is None or self.answer.done():
            return
        lines = head.lower().split(b"\r\n")
        length = next((int(one[15:]) for one in lines if one.startswith(b"content-length:")), 0)
        if len(rest) >= length:
            self.closes = b"connection: close" in lines
            self.buffer = rest[length:]
            self.answer.set_result((int(head.split(b" ", 2)[1]), rest[:length]))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and wait for its answer."""
        assert self.transport is not None
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.answer


class Load:
    """Send requests at a rate for a time."""

    def __init__(self, port: int, rate: float, seconds: float, name: str) -> None:
        self._port = port
        self._rate = rate
        self._seconds = seconds
        self._name = name
        self._kept: list[Client] = []
        self._open: set[asyncio.Task[None]] = set()
        self._start = 0.0
        self.seen = Seen()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until the time is over or `stop` is set, then wait for the answers."""
        self._start = time.perf_counter()
        number = 0
        while not stop.is_set():
            now = time.perf_counter() - self._start
            due = min(int(now * self._rate), int(self._seconds * self._rate))
            while number < due:
                planned = number / self._rate
                self.seen.late = max(self.seen.late, now - planned)
                if len(self._open) >= MOST_OPEN:
                    self.seen.failures["too many are open"] += 1
                else:
                    task = asyncio.create_task(self._request(number, planned))
                    self._open.add(task)
                    task.add_done_callback(self._open.discard)
                number += 1
            if now >= self._seconds:
                break
            await asyncio.sleep(max(0.0005, (number + 1) / self._rate - (time.perf_counter() - self._start)))
        self.seen.sent = number
        if self._open:
            await asyncio.wait(self._open)
        end = time.perf_counter() - self._start
        if end - self.seen.last > self.seen.gap and self.seen.failures:
            self.seen.gap, self.seen.gap_at = end - self.seen.last, self.seen.last

    async def _request(self, number: int, planned: float) -> None:
        is_new, is_post = number % EVERY_NEW == 0, number // EVERY_NEW % EVERY_POST == 0
        order = f"{self._name}-{number}"
        how = "close" if is_new else "keep-alive"
        body = order.encode() if is_post else b""
        head = f"{'POST' if is_post else 'GET'} / HTTP/1.1\r\nHost: shop\r\nConnection: {how}\r\n"
        request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                client = await self._client(is_new=is_new)
                status, answer = await client.ask(request)
        except TimeoutError:
            self._fail("no answer")
        except OSError as error:
            self._fail(type(error).__name__)
        else:
            if is_new or client.closes or not client.is_open:
                if client.transport is not None:
                    client.transport.close()
            else:
                self._kept.append(client)
            if status != 200:
                self._fail(f"status {status}")
                return
            if is_post:
                self.seen.posted.append(order)
            now = time.perf_counter() - self._start
            self.seen.answer(now, now - planned, answer.decode())

    async def _client(self, *, is_new: bool) -> Client:
        while self._kept and not is_new:
            client = self._kept.pop()
            if client.is_open:  # one that was closed while nothing was sent is no failure
                return client
        _, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", self._port)
        return client

    def _fail(self, why: str) -> None:
        self.seen.failures[why] += 1
        self.seen.failed_at.append(time.perf_counter() - self._start)


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--name", default="order")
    parsed = parser.parse_args()
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), stop.set)
    load = Load(parsed.port, parsed.rate, parsed.seconds, parsed.name)
    await load.run(stop)
    loop.remove_reader(sys.stdin.fileno())
    print(json.dumps(load.seen.report()))


if __name__ == "__main__":
    asyncio.run(_main())
