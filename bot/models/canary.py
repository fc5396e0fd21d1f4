"""Describe a canary: what the compose file asks for, what was counted, and how far one has come."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from roas.models.change import StoredEnum

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
class CanaryPolicy:
    """Say how a new version earns its traffic.

    In each step it gets one of the `shares` of the requests, in percent, by at least so many `replicas`, for at least
    `pause_seconds`. Who has had fewer than `least_requests`, or is neither good nor bad by the end of
    `deadline_seconds`, is asked about. Judged are its `errors` at the proxy, and what the `queries` say. Unless it
    `is_weighed` by the proxy, its containers are as many as have that share among all. Once all that was deployed is
    well, it bakes for `bake_seconds`: it is judged on, alone.
    """

    shares: tuple[int, ...] = (BY_CONTAINERS,)
    replicas: int = 1
    pause_seconds: float = 120.0
    deadline_seconds: float = 600.0
    least_requests: int = 50
    errors: ErrorRates | None = ErrorRates()
    queries: tuple[QueryCheck, ...] = ()
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
        return len(self.queries) + (self.errors is not None)

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
    well. The `old` containers are known by id, and `before` is what the old version was asked in the steps before.

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
        return CanaryRecord(self.step + 1, self.steps, old=self.old, before=self.before + total_of(self.periods).old)

    def baking(self, until: datetime) -> "CanaryRecord":
        """Return the record of its bake, which begins, or goes on, and ends at a moment."""
        if self.bakes_until is not None:
            return replace(self, bakes_until=until)
        before = self.before + total_of(self.periods).old
        return CanaryRecord(self.steps, self.steps, old=self.old, before=before, bakes_until=until)

    def extended(self) -> "CanaryRecord":
        """Return the record of the same step, which is observed for as long again."""
        return replace(self, verdict=CanaryVerdict.OPEN, extensions=self.extensions + 1)
