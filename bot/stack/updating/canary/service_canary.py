"""Take the new version of one service through the steps of its canary: weigh it, count, and judge."""

import math
import time
from collections.abc import Callable, Collection, Coroutine, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from roas.concurrency import run_concurrently
from roas.errors import CanaryUndecidedError, ProxyError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.canary import CanaryPolicy, CanaryRecord, CanaryVerdict, Counts, Period, ServerCount, Took
from roas.models.rollout import RolloutRecord
from roas.models.stack import ServiceDefinition
from roas.stack.updating.behind_proxy import Front
from roas.stack.updating.canary.judge import PROXY, CanaryJudgement, judge, with_counted

log = get_logger(__name__)

# Return the one value of a query of Prometheus; None where there is none.
ReadFigure = Callable[[str], Coroutine[Any, Any, float | None]]
# HAProxy has no events to wait for: how often its counters are read, and how often what they say is written.
READ_SECONDS = 1.0
# How often Prometheus is asked, which has nothing new until it has scraped again.
QUERY_SECONDS = 15.0
WRITE_SECONDS = 3.0
# Who has told nothing for so long is not known to be well.
SILENT_SECONDS = 60.0
# How many requests of each version an average needs that is compared.
LEAST_TIMED = 50
Places = Mapping[Hashable, ServerCount]


@dataclass(slots=True)
class ServiceCanary:
    """Follow the canary of one service, which has so many `replicas`.

    | verdict | then |
    |---|---|
    | open | both versions serve, and are counted |
    | good | the next step; after the last one, the rest of the replicas is replaced |
    | worse | the proxy sends everything to the old version, and the release goes back |
    | inconclusive | a person is asked: the next step, the same one for as long again, or back |
    """

    policy: CanaryPolicy
    front: Front
    replicas: int
    record: CanaryRecord
    read_figure: ReadFigure
    _asked_at: float | None = None
    _read: Places = field(default_factory=dict)
    _timed: Places = field(default_factory=dict)
    _timed_at: float | None = None
    _read_at: float | None = None
    _written_at: float = float("-inf")
    _heard: dict[str, float] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Return whether the last step is behind it."""
        return self.record.step >= len(self.policy.shares)

    @property
    def is_undecided(self) -> bool:
        """Return whether the time is over that its step has for a verdict, and there is none."""
        is_over = self.record.seconds >= self.policy.deadline_seconds * (1 + self.record.extensions)
        return is_over and self.record.verdict is CanaryVerdict.INCONCLUSIVE

    @property
    def new_containers(self) -> int:
        """Return how many new containers there are in this step; the old ones all stay."""
        return self.policy.new_containers(self.record.step, self.replicas)

    async def weigh(self, old: Collection[str]) -> None:
        """Let the proxy send the new version its share, also what is yet to start. Raises ProxyError."""
        share = self.policy.shares[self.record.step]
        self.record = replace(self.record, steps=len(self.policy.shares), share=share, old=tuple(sorted(old)))
        await self.front.weigh(old, self.new_containers, share)

    def forget_counts(self) -> None:
        """Count from the next reading on: what came before was not the doing of the two versions."""
        self._read, self._read_at = {}, None
        self._timed, self._timed_at = {}, None

    async def observe(self, old: Collection[str], new: Collection[str]) -> CanaryJudgement:
        """Weigh both versions, count what they were asked since the last reading, and judge the step."""
        try:
            await self.weigh(old)  # a proxy that was started again may have forgotten it
        except ProxyError as error:
            log.warning("the canary is not weighed", error=error.message)
        return await self.judge(old, new)

    async def judge(self, old: Collection[str], new: Collection[str]) -> CanaryJudgement:
        """Count what both versions were asked since the last reading, and judge by that; nothing is weighed."""
        for source in (PROXY, *(check.query for check in self.policy.queries)):
            self._heard.setdefault(source, time.monotonic())
        counted, now = await self._count(old, new), time.monotonic()
        passed = 0.0 if self._read_at is None else now - self._read_at
        self._read_at = now
        self.record = replace(self.record, seconds=self.record.seconds + passed)
        self.record = replace(self.record, periods=with_counted(self.policy, self.record, counted))
        if self._asked_at is None or now - self._asked_at >= QUERY_SECONDS:
            self._asked_at = now
            self.record = replace(self.record, readings=await self._read_figures())
        if self.policy.times is not None:
            self._time(old, new, now)
        stale = {source for source, heard in self._heard.items() if now - heard > SILENT_SECONDS}
        judgement = judge(self.policy, self.record, stale)
        self.record = replace(self.record, verdict=judgement.verdict)
        return judgement

    async def _count(self, old: Collection[str], new: Collection[str]) -> Period:
        """Count since the last reading; a counter that is new, began again, or is of another container only begins."""
        known, seen_now = self._read, await self.front.counts()
        if seen_now is not None:
            self._heard[PROXY] = time.monotonic()
        self._read = seen_now or {}
        found = {True: Counts(), False: Counts()}
        for place, seen in self._read.items():
            before, counts = known.get(place), seen.counts
            if seen.container not in {*old, *new} or before is None or before.container != seen.container:
                continue
            if before.counts.requests > counts.requests:
                continue
            since = Counts(counts.requests - before.counts.requests, max(0, counts.failed - before.counts.failed))
            found[seen.container in new] += since
        return Period(new=found[True], old=found[False])

    def _time(self, old: Collection[str], new: Collection[str], now: float) -> None:
        """Compare how long answers took since the last reading, once enough of both versions are known.

        Where no old version is left, what it took before stands for it. A counter that is new begins to count.
        """
        self._timed = {place: self._first(place, seen) for place, seen in self._read.items()}
        check, known = self.policy.times, self.record.took.old_ms
        self._timed_at = now if self._timed_at is None else self._timed_at
        if check is None or now - self._timed_at < QUERY_SECONDS:
            return
        (asked, new_ms), (asked_before, old_ms) = self._took(new), self._took(old)
        if asked < LEAST_TIMED or not (asked_before >= LEAST_TIMED or (known and not old)):
            return
        took = Took(new_ms, known if not old else old_ms)
        times = self.record.times + Counts(1, int(not check.is_well(took)))
        self.record = replace(self.record, times=times, took=took)
        self._timed, self._timed_at = self._read, now

    def _first(self, place: Hashable, seen: ServerCount) -> ServerCount:
        """Return what was counted at a place when the reading began; of one that began again, what it has now."""
        known = self._timed.get(place)
        began_again = known is None or known.container != seen.container
        return seen if known is None or began_again or known.counts.requests > seen.counts.requests else known

    def _took(self, containers: Collection[str]) -> tuple[int, float]:
        """Return how many requests some containers answered since the last reading, and in how many milliseconds."""
        there = ((place, seen) for place, seen in self._read.items() if seen.container in containers)
        found = [seen.since(self._timed[place]) for place, seen in there]
        number = sum(requests for requests, _ in found)
        return number, sum(requests * average for requests, average in found) / max(1, number)

    async def _read_figures(self) -> tuple[Counts, ...]:
        """Count one more reading of each query; where there is no value, that is none."""
        known = [*self.record.readings, *[Counts()] * (len(self.policy.queries) - len(self.record.readings))]
        values = await run_concurrently(self.read_figure(check.query) for check in self.policy.queries)
        for number, (check, value) in enumerate(zip(self.policy.queries, values, strict=True)):
            if value is not None and math.isfinite(value):
                self._heard[check.query] = time.monotonic()
                known[number] += Counts(1, int(not check.is_well(value)))
        return tuple(known)

    async def end(self) -> None:
        """Let each container get as many requests as any other: the last step is over, whoever said so."""
        try:
            await self.front.weigh((), 0, 0)
        except ProxyError as error:  # the rollout's end sets them again
            log.warning("the weights of the canary stay for now", error=error.message)

    def is_due(self, verdict: CanaryVerdict) -> bool:
        """Return whether what was counted is to be written now: a verdict is always, the rest now and then."""
        now = time.monotonic()
        if verdict is CanaryVerdict.OPEN and now - self._written_at < WRITE_SECONDS:
            return False
        self._written_at = now
        return True


async def no_figure(_query: str) -> float | None:
    """Have no value."""
    return None


def canary_of(
    definition: ServiceDefinition, front: Front, record: RolloutRecord, read_figure: ReadFigure = no_figure
) -> ServiceCanary | None:
    """Return the canary of a service as far as it has come; None where it has none."""
    if definition.canary is None:
        return None
    return ServiceCanary(definition.canary, front, definition.replicas, record.canary or CanaryRecord(), read_figure)


def canary_undecided(service: str, canary: ServiceCanary, reason: str) -> CanaryUndecidedError:
    """Return the error by which a canary asks a person."""
    return CanaryUndecidedError(
        said(
            "The canary of {service} is inconclusive in step {step} of {steps}: {reason}.",
            service=service,
            step=canary.record.step + 1,
            steps=len(canary.policy.shares),
            reason=reason,
        ),
        hint=said("Look at {service}, then resume the deployment or roll it back.", service=service),
        service=service,
    )
