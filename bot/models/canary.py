"""Describe a canary: what the compose file asks for, what was counted, and how far one has come."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from roas.models.stored import StoredEnum

# Of a step: that each of its containers gets as many requests as an old one does.
BY_CONTAINERS = 0


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Say which share of failed requests is good, and which is bad; what lies between is neither."""

    good: float = 0.005
    bad: float = 0.05


@dataclass(frozen=True, slots=True)
class QueryCheck:
    """Ask Prometheus for one value, which is well `below` or `above` a limit."""

    query: str
    below: float | None = None
    above: float | None = None

    def is_well(self, value: float) -> bool:
        """Return whether a value is as it should be."""
        return (self.below is None or value < self.below) and (self.above is None or value > self.above)


@dataclass(frozen=True, slots=True)
class TimeCheck:
    """Say by how many `times`, and by how many milliseconds at least, slower answers are too slow."""

    times: float = 2.0
    least_ms: float = 20.0

    def is_well(self, took: "Took") -> bool:
        """Return whether the new version answers as fast as the old one, or nearly so."""
        return took.new_ms <= max(took.old_ms * self.times, took.old_ms + self.least_ms)


@dataclass(frozen=True, slots=True)
class CanaryPolicy:
    """Say how a new version earns its traffic.

    In each step it gets one of the `shares` of the requests, in percent, by at least so many `replicas`, for at least
    `pause_seconds`. Who has had fewer than `least_requests`, or is neither good nor bad by the end of
    `deadline_seconds`, is asked about. Judged are its `errors` and `times` at the proxy, and what the `queries` say.
    Unless it `is_weighed` by the proxy, its containers are as many as have that share among all. Once all that was
    deployed is well, it bakes for `bake_seconds`: it is judged on, alone.
    """

    shares: tuple[int, ...] = (BY_CONTAINERS,)
    replicas: int = 1
    pause_seconds: float = 120.0
    deadline_seconds: float = 600.0
    least_requests: int = 50
    errors: ErrorRates | None = ErrorRates()
    queries: tuple[QueryCheck, ...] = ()
    times: TimeCheck | None = None
    is_weighed: bool = True
    bake_seconds: float = 0.0

    @property
    def tests(self) -> int:
        """Return how often it is judged: each check in each step, and once more where it bakes."""
        return self.checks * (len(self.shares) + bool(self.bake_seconds))

    @property
    def of_bake(self) -> "CanaryPolicy":
        """Return the policy of its bake, which ends with a verdict or undecided."""
        return replace(self, pause_seconds=self.bake_seconds, deadline_seconds=self.bake_seconds)

    @property
    def checks(self) -> int:
        """Return how many checks there are."""
        return len(self.queries) + (self.errors is not None) + (self.times is not None)

    def new_containers(self, step: int, replicas: int) -> int:
        """Return how many new containers a step has beside the old ones of a service."""
        share = self.shares[step]
        needed = -(-replicas * share // (100 if self.is_weighed else 100 - share))
        return min(replicas, max(self.replicas, needed))


@dataclass(frozen=True, slots=True)
class Counts:
    """Count the requests that were answered, and those of them that failed."""

    requests: int = 0
    failed: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.requests + other.requests, self.failed + other.failed)


@dataclass(frozen=True, slots=True)
class Took:
    """Hold how long both versions took to answer in the same time, on average; 0 where nothing is known of that."""

    new_ms: float = 0.0
    old_ms: float = 0.0


# Over so many requests at most HAProxy averages how long answers take: all are alike until then, the last weigh most.
AVERAGED = 512


@dataclass(frozen=True, slots=True)
class ServerCount:
    """Hold what the proxy has counted for a `container`, and how long answers took on average, in milliseconds."""

    container: str
    counts: Counts
    average_ms: float = 0.0

    def since(self, before: "ServerCount") -> tuple[int, float]:
        """Return how many requests there were since an earlier moment, and how long their answers took on average.

        What of the average is still of before is taken out of it.
        """
        number, known = self.counts.requests, before.counts.requests
        if number <= known:
            return 0, 0.0
        kept = self.kept_since(before)
        return number - known, max(0.0, (self.average_ms - before.average_ms * kept) / (1 - kept))

    def kept_since(self, before: "ServerCount") -> float:
        """Return how much of the average is still of an earlier moment, as a share of it."""
        number, known = self.counts.requests, before.counts.requests
        few = min(known, AVERAGED) / min(number, AVERAGED)
        return float(few * (1 - 1 / AVERAGED) ** (max(number, AVERAGED) - max(known, AVERAGED)))


@dataclass(frozen=True, slots=True)
class Period:
    """Hold what both versions were asked in the same time."""

    new: Counts = Counts()
    old: Counts = Counts()

    def __add__(self, other: "Period") -> "Period":
        return Period(self.new + other.new, self.old + other.old)


def total_of(periods: Iterable[Period]) -> Period:
    """Return what both versions were asked in several periods."""
    return sum(periods, start=Period())


class CanaryVerdict(StoredEnum, unknown="open"):
    """What is known of the new version in a step; an unknown one counts as one that is yet to come.

    An `inconclusive` one is for a person to decide.
    """

    OPEN = "open"
    GOOD = "good"
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class CanaryRecord:
    """Record how far a canary has come: in which of its `steps` it is, from 0 on, and what was counted in that.

    The new version has a `share` of the requests, in percent; without one, each container has as many. `seconds` is how
    long the step was observed, without the time in which nobody did. Each time that a person lets it be observed on,
    that is one of the `extensions` of its deadline. Of each query, the `readings` are counted, and those that were not
    well; so are the `times`, of which the last one says how long answers `took`. The `old` containers are known by id,
    and `before` is what the old version was asked in the steps before.

    After the last step it may bake, with a moment that it `bakes_until`. Then no old version is beside it, and what
    that was asked before is what it is compared with.
    """

    step: int = 0
    steps: int = 1
    share: int = BY_CONTAINERS
    seconds: float = 0.0
    periods: tuple[Period, ...] = ()
    verdict: CanaryVerdict = CanaryVerdict.OPEN
    readings: tuple[Counts, ...] = ()
    extensions: int = 0
    old: tuple[str, ...] = ()
    before: Counts = Counts()
    bakes_until: datetime | None = None
    times: Counts = Counts()
    took: Took = Took()

    @property
    def is_over(self) -> bool:
        """Return whether the last step is behind it."""
        return self.step >= self.steps

    @property
    def total(self) -> Period:
        """Return what both versions were asked in this step."""
        return self.total_since(0)

    def total_since(self, begin: int) -> Period:
        """Return what both versions were asked in this step from one of its periods on."""
        found = total_of(self.periods[begin:])
        return found if self.bakes_until is None else found + Period(old=self.before)

    def next_step(self) -> "CanaryRecord":
        """Return the record of the step after this one: it begins with nothing."""
        return self._begun(self.step + 1)

    def baking(self, until: datetime) -> "CanaryRecord":
        """Return the record of its bake, which begins, or goes on, and ends at a moment."""
        if self.bakes_until is not None:
            return replace(self, bakes_until=until)
        return replace(self._begun(self.steps), bakes_until=until)

    def _begun(self, step: int) -> "CanaryRecord":
        """Return the record of another step, which knows of the old version what was counted until now."""
        before = self.before + total_of(self.periods).old
        return CanaryRecord(step, self.steps, old=self.old, before=before, took=replace(self.took, new_ms=0.0))

    def extended(self) -> "CanaryRecord":
        """Return the record of the same step, which is observed for as long again."""
        return replace(self, verdict=CanaryVerdict.OPEN, extensions=self.extensions + 1)
