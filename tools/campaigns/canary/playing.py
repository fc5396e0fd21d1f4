"""Play one canary after the other: users, versions that fail, and three ways to judge them.

A round is a whole canary, with all of its steps and readings. Time is counted in readings of a second; nobody waits.
"""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from itertools import combinations

from roas.models.canary import (
    CanaryPolicy,
    CanaryRecord,
    CanaryVerdict,
    Counts,
    Period,
    ServerCount,
    TimeCheck,
    Took,
)
from roas.stack.updating.canary.judge import judge, with_counted
from roas.stack.updating.canary.service_canary import LEAST_TIMED, QUERY_SECONDS

POLICY = CanaryPolicy(shares=(10, 50), pause_seconds=120.0, deadline_seconds=600.0, times=TimeCheck())
LEAK_AT = 60.0
MEASURED_SECONDS = 30
# A measure of a fixed threshold is well with 99 % of the requests; ranks have failed below this p.
LEAST_WELL, MOST_LIKELY = 0.99, 0.05
# How long the old version takes on average; the deviation of a single answer is twice that: a few take very long.
USUAL_MS, SHAPE = 60.0, 0.25


class Way(StrEnum):
    """How a canary is judged: as here, by a threshold for each measure (Argo), or by ranks of measures (Kayenta)."""

    SEQUENTIAL = "sequential"
    THRESHOLD = "threshold"
    RANKS = "ranks"


class End(StrEnum):
    """What became of a canary."""

    PROMOTED = "promoted"
    TAKEN_BACK = "taken back"
    ASKED = "asked"


@dataclass(frozen=True, slots=True)
class Version:
    """Say which share of its requests a version fails, and how many times as long it takes for an answer.

    One that `leaks` begins to fail after a minute.
    """

    name: str
    rate: float
    leaks: bool = False
    times: float = 1.0

    def rate_at(self, seconds: float) -> float:
        """Return which share it fails by then."""
        return 0.0 if self.leaks and seconds < LEAK_AT else self.rate


VERSIONS = (
    Version("0 %", 0.0),
    Version("0.5 %", 0.005),
    Version("2 %", 0.02),
    Version("5 %", 0.05),
    Version("20 %", 0.2),
    Version("5 % after a minute", 0.05, leaks=True),
    Version("0.5 %, 3 times as slow", 0.005, times=3.0),
)
# How many requests the old version has had before: HAProxy's average is of the last 512 or so.
AVERAGED_BEFORE = 512
TRAFFICS = (0.2, 2.0, 50.0, 500.0)


@dataclass(frozen=True, slots=True)
class Round:
    """Record how a canary ended, after how long, and of all requests until then, what its version got and failed."""

    end: End
    seconds: float
    requests: int
    met: int
    failed: int


@dataclass(slots=True)
class Average:
    """Average how long answers take as HAProxy does, which shows whole milliseconds; `measured` is the plain one."""

    requests: int = 0
    average_ms: float = 0.0
    measured: int = 0
    measured_ms: float = 0.0

    def add(self, luck: random.Random, requests: int, usual_ms: float) -> None:
        """Answer some requests."""
        if not requests:
            return
        took = usual_ms * luck.gammavariate(SHAPE * requests, 1 / (SHAPE * requests))
        shown = ServerCount("", Counts(self.requests + requests))
        kept = shown.kept_since(ServerCount("", Counts(self.requests)))
        self.requests, self.average_ms = self.requests + requests, self.average_ms * kept + took * (1 - kept)
        self.measured += requests
        self.measured_ms += took * requests

    def shown(self) -> ServerCount:
        """Return what the proxy shows."""
        return ServerCount("", Counts(self.requests), float(math.ceil(self.average_ms)))

    def measure(self) -> float:
        """Return the average since the last measure."""
        average = self.measured_ms / max(1, self.measured)
        self.measured, self.measured_ms = 0, 0.0
        return average


@dataclass(slots=True)
class Users:
    """Ask both versions at a rate; the old one fails as often as a `good` one does."""

    rate: float
    version: Version
    luck: random.Random
    old_rate: float = 0.005
    seconds: float = 0.0
    requests: int = 0
    met: int = 0
    failed: int = 0
    new: Average = field(default_factory=Average)
    old: Average = field(default_factory=lambda: Average(AVERAGED_BEFORE, USUAL_MS))
    _left: float = 0.0

    def ask(self, share: int) -> Period:
        """Return what both versions were asked in the next second."""
        number = int(self.rate) + (self.luck.random() < self.rate % 1)
        exactly = number * share / 100 + self._left  # as a proxy does that goes by weights
        to_new = int(exactly)
        self._left = exactly - to_new
        counts = Counts(to_new, _failures(self.luck, to_new, self.version.rate_at(self.seconds)))
        old = Counts(number - to_new, _failures(self.luck, number - to_new, self.old_rate))
        self.new.add(self.luck, to_new, USUAL_MS * self.version.times)
        self.old.add(self.luck, number - to_new, USUAL_MS)
        self.seconds += 1
        self.requests += number
        self.met += to_new
        self.failed += counts.failed
        return Period(counts, old)


def _failures(luck: random.Random, number: int, rate: float) -> int:
    """Return how many of some requests fail: how many are well before the next one that does has a known law."""
    failed = position = 0
    while rate > 0:
        position += int(math.log(1.0 - luck.random()) / math.log1p(-rate)) + 1
        if position > number:
            break
        failed += 1
    return failed


def play(way: Way, users: Users, policy: CanaryPolicy = POLICY) -> Round:
    """Play one canary to its end."""
    plays: dict[Way, Callable[[Users, CanaryPolicy], End]] = {
        Way.SEQUENTIAL: _by_judge,
        Way.THRESHOLD: _by_threshold,
        Way.RANKS: _by_ranks,
    }
    end = plays[way](users, policy)
    return Round(end, users.seconds, users.requests, users.met, users.failed)


def _by_judge(users: Users, policy: CanaryPolicy) -> End:
    record, clock = CanaryRecord(), Timing(users)
    while record.step < len(policy.shares):
        period = users.ask(policy.shares[record.step])
        record = replace(record, seconds=record.seconds + 1)
        is_news = bool(period.new.requests or period.old.failed)
        if policy.times is not None and (timed := clock.read(policy.times, record)) is not record:
            record, is_news = timed, True
        if is_news or period.old.requests:
            record = replace(record, periods=with_counted(policy, record, period))
        # Before the pause is over only a failure can lead to something, and later what is new, or the deadline.
        may_be_worse = bool(period.new.failed) or clock.has_just_read
        counts = is_news if record.seconds >= policy.pause_seconds else may_be_worse
        if not counts and record.seconds < policy.deadline_seconds:
            continue
        match judge(policy, record).verdict:
            case CanaryVerdict.WORSE:
                return End.TAKEN_BACK
            case CanaryVerdict.INCONCLUSIVE:
                return End.ASKED
            case CanaryVerdict.GOOD:
                record = record.next_step()
    return End.PROMOTED


@dataclass(slots=True)
class Timing:
    """Compare averages as `ServiceCanary` does: now and then, once both versions have answered enough."""

    users: Users
    has_just_read: bool = False
    _at: float = 0.0
    _new: ServerCount = field(init=False)
    _old: ServerCount = field(init=False)

    def __post_init__(self) -> None:
        self._new, self._old = self.users.new.shown(), self.users.old.shown()

    def read(self, check: TimeCheck, record: CanaryRecord) -> CanaryRecord:
        """Return a record with one more reading, or the same one."""
        self.has_just_read, users = False, self.users
        is_enough = users.new.requests - self._new.counts.requests >= LEAST_TIMED
        if users.seconds - self._at < QUERY_SECONDS or not is_enough:
            return record
        new, old = users.new.shown(), users.old.shown()
        took = Took(new.since(self._new)[1], old.since(self._old)[1])
        self._at, self._new, self._old, self.has_just_read = users.seconds, new, old, True
        return replace(record, took=took, times=record.times + Counts(1, int(not check.is_well(took))))


def _measures(users: Users, policy: CanaryPolicy, share: int) -> Iterator[tuple[Period, Took]]:
    for _ in range(int(policy.pause_seconds / MEASURED_SECONDS)):
        measured = Period()
        for _ in range(MEASURED_SECONDS):
            measured += users.ask(share)
        yield measured, Took(users.new.measure(), users.old.measure())


def _by_threshold(users: Users, policy: CanaryPolicy) -> End:
    """One measure below the threshold is one too many; one without requests says nothing."""
    for share in policy.shares:
        for measured, took in _measures(users, policy, share):
            is_slow = policy.times is not None and not policy.times.is_well(took)
            if is_slow or measured.new.failed > (1 - LEAST_WELL) * measured.new.requests:
                return End.TAKEN_BACK
    return End.PROMOTED


def _by_ranks(users: Users, policy: CanaryPolicy) -> End:
    """The measures of a step are compared at its end."""
    for share in policy.shares:
        measured = list(_measures(users, policy, share))
        failed = [_rate(period.new) for period, _ in measured], [_rate(period.old) for period, _ in measured]
        took = [took.new_ms for _, took in measured], [took.old_ms for _, took in measured]
        if any(chance_of_ranks(*sides) < MOST_LIKELY for sides in (failed, took)):
            return End.TAKEN_BACK
    return End.PROMOTED


def _rate(counts: Counts) -> float:
    return counts.failed / counts.requests if counts.requests else 0.0


def chance_of_ranks(new: list[float], old: list[float]) -> float:
    """Return how likely ranks as high as those of the new version are by chance: the exact test of Mann and Whitney."""
    return _chance(len(new), len(old), sum((a > b) + 0.5 * (a == b) for a in new for b in old))


@lru_cache(maxsize=1024)
def _chance(new: int, old: int, seen: float) -> float:
    places = range(new + old)
    sums = [
        sum(sum(place > other for other in places if other not in taken) for place in taken)
        for taken in combinations(places, new)
    ]
    return sum(value >= seen for value in sums) / len(sums)


def upper_bound(times: int, rounds: int) -> float:
    """Return the share that a true one exceeds with a chance of 5 % only, where something was seen so many times."""
    if times >= rounds:
        return 1.0
    low, high = times / rounds, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        below = sum(
            math.exp(
                math.lgamma(rounds + 1)
                - math.lgamma(number + 1)
                - math.lgamma(rounds - number + 1)
                + number * math.log(middle)
                + (rounds - number) * math.log1p(-middle)
            )
            for number in range(times + 1)
        )
        low, high = (middle, high) if below > 0.05 else (low, middle)
    return high
