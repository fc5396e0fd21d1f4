"""Count what is asked of Compose, the engine and the journal: a loaded machine adds what is asked at intervals."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from roas.stack.compose import jail, runner
from roas.state.journal.journal import Journal

CONTAINER = re.compile(r"/containers/[0-9a-f]{64}/(\w+)")
OF_A_SWARM = re.compile(r"/(distribution|services|tasks|nodes)\b(/\w)?")


class Counts:
    """Count what is asked for, by what it is; `order` is of the requests to the engine."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.order: list[str] = []
        self._since = time.monotonic()

    @property
    def seconds(self) -> int:
        """Return how long it has been counted: polls and beats come with time, of which a loaded machine takes more."""
        return int(time.monotonic() - self._since)

    @contextmanager
    def of_one(self) -> Iterator[Counter[str]]:
        """Count within the block only."""
        self.asked.clear()
        self.order.clear()
        self._since = time.monotonic()
        yield self.asked

    def note(self, what: str) -> None:
        """Count a request to the engine."""
        self.asked[what] += 1
        self.order.append(what)


def counted(monkeypatch: pytest.MonkeyPatch) -> Counts:
    """Count programs that are started, requests to the engine, and commits."""
    counts = Counts()
    start, request, transact = runner.start_process, requests.Session.request, Journal._transact_all

    async def started(command: Any, *others: Any) -> Any:
        verb = next(word for word in reversed(command) if word in {"up", "config", "version"})
        counts.asked[f"jailed {verb}" if str(jail.HELPER) in command else f"compose {verb}"] += 1
        return await start(command, *others)

    def requested(self: requests.Session, method: str, url: str, **named: Any) -> Any:
        counts.note(f"{method} {_kind(url)}")
        return request(self, method, url, **named)

    def committed(self: Journal, writes: list[Any]) -> Any:
        counts.asked["commits"] += 1
        return transact(self, writes)

    monkeypatch.setattr(runner, "start_process", started)
    monkeypatch.setattr(requests.Session, "request", requested)
    monkeypatch.setattr(Journal, "_transact_all", committed)
    return counts


def _kind(url: str) -> str:
    """Return what a request is about: one thing of a Swarm is `service`, all of them are `services`."""
    if (found := CONTAINER.search(url)) is not None:
        return found[1]
    if url.endswith("/info"):
        return "info"
    found = OF_A_SWARM.search(url)
    if found is None:
        return "other"
    return found[1].removesuffix("s") if found[2] else found[1]
