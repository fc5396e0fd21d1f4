"""See who leads, from outside: the lease as the managers have it, again and again, and which bot did what when."""

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from testbed.bot_service import BotService
from tools.campaigns.swarm.gate import Report

LOOK_SECONDS = 0.3
# A report comes when the act is over.
DOUBT_SECONDS = 2.0


@dataclass(frozen=True)
class Seen:
    """Hold who led when that was first seen, and when the look before began, which saw something else."""

    since: float
    at: float
    node: str
    instance_id: str
    token: int


@dataclass
class LeaseWatch:
    """Look at the lease for the time of a `with` block, and know which container is on which node."""

    bots: BotService
    seen: list[Seen] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look no more."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def led_after(self, moment: float, node: str) -> float | None:
        """Return when a bot on another node was first seen to lead after a moment."""
        return next((seen.at for seen in self.seen if seen.at >= moment and seen.node != node), None)

    def _look(self) -> None:
        before = 0.0
        while not self._over.wait(LOOK_SECONDS):
            began, lease = time.monotonic(), self.bots.lease()
            if lease is not None:
                known = self.seen[-1] if self.seen else None
                if known is None or (known.instance_id, known.token) != (lease.instance_id, lease.token):
                    at, node = time.monotonic(), lease.node.hostname
                    self.seen.append(Seen(before, at, node, lease.instance_id, lease.token))
                before = began
            for task in self.bots.tasks():
                self.places[task.host_name] = task.node.hostname


def acts_of_others(watch: LeaseWatch, reports: Sequence[Report]) -> Iterator[str]:
    """Name what a bot wrote, to the journal or to the Swarm, while one on another node was seen to lead."""
    for report in reports:
        node = watch.places.get(report.container)
        if report.when != "after" or node is None:
            continue
        leads = {seen.node for seen in _about(watch.seen, report.at)}
        if leads and node not in leads:
            yield f"the bot on {node} did “{report.step}” while that on {', '.join(leads)} led"


def tokens_taken_twice(seen: Sequence[Seen]) -> Iterator[str]:
    """Name leaders whose token is not higher than that of the one before: it would fence nobody."""
    for before, after in itertools.pairwise(seen):
        if after.token <= before.token:
            yield f"{after.instance_id} on {after.node} led by token {after.token} after {before.token}"


def _about(seen: Sequence[Seen], moment: float) -> Iterator[Seen]:
    """Yield who may have led at a moment, as far as it was looked at."""
    for at, lease in enumerate(seen):
        until = seen[at + 1].at if at + 1 < len(seen) else float("inf")
        if lease.since - DOUBT_SECONDS <= moment <= until + DOUBT_SECONDS:
            yield lease
