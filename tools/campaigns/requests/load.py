"""Send requests at a fixed rate, whatever becomes of those before (open loop), and say what became of each.

`tools.campaigns.requests.load --port 8080 --rate 1000 --seconds 60` in a process of its own. Half of the requests
go over kept connections, half over new ones; of each, every fourth is a POST with an id. Nothing is sent a second time:
what fails has failed. Ends early when its standard input is closed, and prints what it saw as JSON.
"""

import argparse
import errno
import json
import os
import select
import socket
import sys
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field

ANSWER_SECONDS = 10.0
# Requests that may be under way at once: who gets no answer for so many has lost them. With more, the engine's own
# proxy for published ports has no file left, and ends.
MOST_OPEN = 400
EVERY_NEW, EVERY_POST = 2, 4
FAILURES_LISTED = 1000
# A request that is sent so long after its time is late: the machine is too busy for the rate.
LATE_SECONDS = 0.05
GOOD, BROKEN = 200, 500
# By which moments answers are counted, where that is asked for, and what is added to a version for those that failed.
MOMENT_SECONDS = 0.1
FAILED = " failed"
# It takes little, and measures nothing where it is late: it comes first, where it may.
FIRST = -20


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
    latencies_of_reads: list[float] = field(default_factory=list)
    gap: float = 0.0
    gap_at: float = 0.0
    last: float = 0.0
    late: float = 0.0
    sent_late: int = 0
    moments: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def at_moment(self, now: float, version: str, *, is_good: bool) -> None:
        """Note what a version answered, with the moment."""
        self.moments[int(now / MOMENT_SECONDS)][version if is_good else f"{version}{FAILED}"] += 1

    def fail(self, why: str, now: float) -> None:
        """Note a request that is lost."""
        self.failures[why] += 1
        self.failed_at.append(now)

    def answer(self, now: float, latency: float, version: str, *, is_read: bool) -> None:
        """Note an answer; one that is only read, a proxy may ask for again."""
        if now - self.last > self.gap:
            self.gap, self.gap_at = now - self.last, self.last
        self.last = now
        self.answered += 1
        self.latencies.append(latency)
        if is_read:
            self.latencies_of_reads.append(latency)
        self.versions[version] += 1

    def end(self, now: float) -> None:
        """Note that nothing is sent any more: what was not answered until then is a gap, too."""
        if now - self.last > self.gap:
            self.gap, self.gap_at = now - self.last, self.last

    def report(self) -> dict[str, object]:
        """Return everything as plain data."""
        return {
            "sent": self.sent,
            "answered": self.answered,
            "failures": dict(self.failures),
            "failed_at": [round(item, 3) for item in self.failed_at[:FAILURES_LISTED]],
            "versions": dict(self.versions),
            "posted": self.posted,
            "longest_gap": round(self.gap, 4),
            "gap_at": round(self.gap_at, 3),
            "late": round(self.late, 4),
            "sent_late": self.sent_late,
            "latency": _milliseconds(self.latencies),
            "latency_of_reads": _milliseconds(self.latencies_of_reads),
        }


def _milliseconds(latencies: list[float]) -> dict[str, float]:
    ordered = sorted(latencies) or [0.0]
    return {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 2)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0))
    }


@dataclass(slots=True)
class Connection:
    """Hold a connection, and the request that is under way on it."""

    socket: socket.socket
    is_new: bool
    request: bytes = b""
    order: str = ""
    planned: float = 0.0
    busy: bool = False
    answer: bytes = b""


class Load:
    """Send requests at a rate for a time: one loop around the kernel's, since Python's own takes a core for this."""

    def __init__(
        self, port: int, rate: float, seconds: float, name: str, *, host: str = "127.0.0.1", by_moment: bool = False
    ) -> None:
        """Send to a port; where it is `by_moment`, the report has what was answered in each tenth of a second."""
        self._place = host, port
        self._by_moment = by_moment
        self._rate = rate
        self._seconds = seconds
        self._name = name
        self._poll = select.epoll()
        self._all: dict[int, Connection] = {}
        self._kept: list[Connection] = []
        self._open = 0
        self._start = 0.0
        self._swept = 0.0
        self._sending_ended = 0.0
        self._began = 0.0
        self.seen = Seen()

    def run(self, stop: int) -> None:
        """Send until the time is over or the file `stop` ends, then wait for the answers."""
        self._poll.register(stop, select.EPOLLIN)
        self._start = time.perf_counter()
        self._began = time.monotonic()
        number, stopped = 0, False
        while not stopped or self._open:
            now = self._now()
            if not stopped:
                stopped, self._sending_ended = now >= self._seconds, now
            while not stopped and number < now * self._rate:
                self._send(number, number / self._rate)
                number += 1
            wait = self._swept + 0.5 - now if stopped else number / self._rate - self._now()
            for descriptor, _ in self._poll.poll(max(0.0, wait)):
                if descriptor == stop:
                    stopped = True
                    self._poll.unregister(stop)
                else:
                    self._on_event(self._all[descriptor])
            if now - self._swept >= 0.5:
                self._swept = now
                self._sweep(now)
        self.seen.sent = number
        self.seen.end(self._sending_ended)

    def report(self) -> dict[str, object]:
        """Return what was seen as plain data; `began` is of the monotonic clock."""
        if not self._by_moment:
            return self.seen.report()
        moments = {str(moment): dict(seen) for moment, seen in self.seen.moments.items()}
        return self.seen.report() | {"began": self._began, "moments": moments}

    def _now(self) -> float:
        return time.perf_counter() - self._start

    def _send(self, number: int, planned: float) -> None:
        now = self._now()
        self.seen.late = max(self.seen.late, now - planned)
        self.seen.sent_late += now - planned > LATE_SECONDS
        if self._open >= MOST_OPEN:
            self.seen.fail("too many are open", now)
            return
        is_new, is_post = number % EVERY_NEW == 0, number // EVERY_NEW % EVERY_POST == 0
        order = f"{self._name}-{number}" if is_post else ""
        how = "close" if is_new else "keep-alive"
        head = f"{'POST' if is_post else 'GET'} / HTTP/1.1\r\nHost: shop\r\nConnection: {how}\r\n"
        connection = self._connection(is_new=is_new)
        connection.order, connection.planned, connection.busy = order, planned, True
        connection.request = f"{head}Content-Length: {len(order)}\r\n\r\n{order}".encode()
        self._open += 1
        self._write(connection)

    def _connection(self, *, is_new: bool) -> Connection:
        if self._kept and not is_new:
            return self._kept.pop()
        made = socket.socket()
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.connect_ex(self._place)
        connection = self._all[made.fileno()] = Connection(made, is_new)
        self._poll.register(made, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
        return connection

    def _write(self, connection: Connection) -> None:
        try:
            connection.socket.send(connection.request)
            connection.request = b""
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.ENOTCONN}:
                self._lose(connection, errno.errorcode.get(error.errno or 0, "?"))

    def _on_event(self, connection: Connection) -> None:
        if connection.request:
            self._write(connection)
            if connection.request or not connection.busy:
                return
        try:
            data = connection.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(connection, errno.errorcode.get(error.errno or 0, "?"))
            return
        if not data:
            self._lose(connection, "closed before its answer")
            return
        connection.answer += data
        head, end, body = connection.answer.partition(b"\r\n\r\n")
        if end:
            self._take(connection, head.lower(), body)

    def _take(self, connection: Connection, head: bytes, body: bytes) -> None:
        lines = head.split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if len(body) < length:
            return
        now, status = self._now(), int(head[9:12])
        self._open -= 1
        connection.busy, connection.answer = False, b""
        if connection.is_new or b"connection: close" in lines:
            self._drop(connection)
        else:
            self._kept.append(connection)
        if self._by_moment and status in {GOOD, BROKEN}:
            self.seen.at_moment(now, body.decode(), is_good=status == GOOD)
        if status != GOOD:
            self.seen.fail(f"status {status}", now)
            return
        if connection.order:
            self.seen.posted.append(connection.order)
        self.seen.answer(now, now - connection.planned, body.decode(), is_read=not connection.order)

    def _lose(self, connection: Connection, why: str) -> None:
        """End a connection; while nothing is under way on it, that is no failure."""
        if connection.busy:
            self._open -= 1
            self.seen.fail(why, self._now())
        elif connection in self._kept:
            self._kept.remove(connection)
        self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        del self._all[connection.socket.fileno()]
        connection.socket.close()

    def _sweep(self, now: float) -> None:
        """Give up what has had no answer for long."""
        for connection in list(self._all.values()):
            if connection.busy and now - connection.planned > ANSWER_SECONDS:
                self._lose(connection, "no answer")


def main() -> None:
    """Read the command line, send, and print what was seen."""
    parser = argparse.ArgumentParser(prog="python -m tools.campaigns.requests.load", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--name", default="order")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--by-moment", action="store_true", help="report what was answered in each tenth of a second")
    parsed = parser.parse_args()
    with suppress(PermissionError):
        os.nice(FIRST)
    load = Load(parsed.port, parsed.rate, parsed.seconds, parsed.name, host=parsed.host, by_moment=parsed.by_moment)
    load.run(os.dup(sys.stdin.fileno()))
    print(json.dumps(load.report()))


if __name__ == "__main__":
    main()
