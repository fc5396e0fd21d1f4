"""Find the limits that a soak broke."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from campaigns.soak.figures import Footprint, Held, Metrics
from campaigns.soak.load import Work

MOST_EVENT_SECONDS = 1.0
MOST_LAG_SECONDS = 0.5
MOST_ERRORS = 0.05
LEAST_SUCCESS = 0.95
MOST_SERIES = 500
# Memory is flat when the last fifth of the deployments has no more of it than this beyond the second fifth.
MOST_GROWTH = 0.05
# The first fifth of so many fills what is kept of the latest: events, handlings, patterns, pages of the journal.
LEAST_DEPLOYMENTS_FOR_MEMORY = 100
MOST_MORE_FILES = 20


@dataclass
class Evidence:
    """Hold everything that a soak saw."""

    minutes: float
    work: Work
    counted: Metrics
    memory: Sequence[Held]
    footprints: Sequence[Footprint]
    most_series: int
    services: frozenset[str]
    alerts_about_itself: Mapping[str, float]
    pending: int
    missing_in_redis: int
    violations: Sequence[str] = field(default_factory=list)

    @property
    def event_seconds(self) -> float | None:
        """Return the 99th percentile of event latency; the bound of a bucket."""
        return self.counted.quantile(0.99, "roas_event_handling_seconds")

    @property
    def lag_seconds(self) -> float | None:
        """Return the 99th percentile of sync lag to Redis; the bound of a bucket."""
        return self.counted.quantile(0.99, "roas_projection_delay_seconds")

    @property
    def errors(self) -> float:
        """Return the share of events on which a part failed."""
        failed = self.counted.total("roas_event_subscriber_failures_total")
        return failed / max(1.0, failed + self.counted.total("roas_event_subscriber_handled_total"))

    @property
    def success(self) -> float:
        """Return the share of deployments that succeeded, without cancelled ones."""
        total = self.counted.total("roas_deployments_total")
        cancelled = self.counted.total("roas_deployments_total", outcome="cancelled")
        succeeded = self.counted.total("roas_deployments_total", outcome="succeeded")
        return succeeded / (total - cancelled) if total > cancelled else 0.0

    @property
    def growth(self) -> float | None:
        """Return by which share memory grew from the second fifth of the work to the last; None of too little work.

        Of each fifth the least counts: a picture that is being drawn takes 18 MiB for a moment.
        """
        done = max((one.deployments for one in self.memory), default=0.0)
        if done < LEAST_DEPLOYMENTS_FOR_MEMORY:
            return None
        early = min(one.memory for one in self.memory if done / 5 <= one.deployments < 2 * done / 5)
        late = min(one.memory for one in self.memory if one.deployments >= 4 * done / 5)
        return late / early - 1


def breaches(seen: Evidence) -> list[str]:
    """Name every limit that was broken, with the measured value."""
    return [*_measured(seen), *_lost(seen), *_grown(seen)]


def _measured(seen: Evidence) -> Iterator[str]:
    for name, value, most in (
        ("event latency p99", seen.event_seconds, MOST_EVENT_SECONDS),
        ("sync lag p99", seen.lag_seconds, MOST_LAG_SECONDS),
    ):
        if value is None:
            yield f"{name}: nothing was measured"
        elif value > most:
            yield f"{name}: up to {value:g} s, at most {most:g} s is allowed"
    if seen.errors > MOST_ERRORS:
        yield f"errors: {seen.errors:.2%}, at most {MOST_ERRORS:.0%} is allowed"
    if seen.success < LEAST_SUCCESS:
        wrong = [text.splitlines()[0] for text in seen.work.outcomes if text != "succeeded"]
        yield f"success: {seen.success:.1%}, at least {LEAST_SUCCESS:.0%} is wanted; {wrong[:3]}"
    if seen.most_series > MOST_SERIES:
        yield f"series: {seen.most_series}, at most {MOST_SERIES} are allowed"


def _lost(seen: Evidence) -> Iterator[str]:
    if dropped := seen.counted.total("roas_event_subscriber_dropped_total"):
        yield f"events dropped: {dropped:g}"
    recovered = seen.counted.total("roas_recoveries_total", outcome="recovered")
    if recovered < seen.work.kills:
        yield f"killed services: {seen.work.kills}, recovered: {recovered:.0f}"
    if seen.pending:
        yield f"alerts that were not posted to the channel: {seen.pending}"
    if seen.missing_in_redis:
        yield f"changes that Redis does not have as the journal has them: {seen.missing_in_redis}"
    if seen.work.refused:
        yield f"alerts refused: {len(seen.work.refused)}, first {seen.work.refused[0][:200]}"
    if seen.violations:
        yield f"requests that Discord would refuse: {len(seen.violations)}, first {seen.violations[0][:300]}"
    strange = seen.counted.labels("service") - seen.services
    if strange:
        yield f"series for services that are not of the stack: {sorted(strange)[:5]}"


def _grown(seen: Evidence) -> Iterator[str]:
    if seen.growth is not None and seen.growth > MOST_GROWTH:
        yield f"memory: grew by {seen.growth:.1%}, at most {MOST_GROWTH:.0%} is flat"
    first, last = seen.footprints[0], seen.footprints[-1]
    for name, before, after in (("open files", first.files, last.files), ("threads", first.threads, last.threads)):
        if after - before > MOST_MORE_FILES:
            yield f"{name}: {before} became {after}"
    if last.containers != first.containers:
        yield f"containers: {first.containers} became {last.containers}"
