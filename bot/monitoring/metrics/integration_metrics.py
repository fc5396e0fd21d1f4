"""Show to Prometheus how deployments ended, how well the parts work together, and how far the copy in Redis is."""

import math
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any, Protocol, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from roas.models.deployment import DeploymentKind, Outcome
from roas.monitoring.metrics.deployment_figures import HOUR, DeploymentFigures
from roas.monitoring.metrics.integration_figures import percentile
from roas.monitoring.metrics.integration_monitor import LIMITS, IntegrationMonitor


class ProjectionStatistics(Protocol):
    """Count what a projection did."""

    up: bool
    projected: int
    failures: int
    rebuilt: int


class CountedProjection(Protocol):
    """Describe a projection whose work is counted."""

    @property
    def statistics(self) -> ProjectionStatistics:
        """Return what was counted."""
        ...

    def time_arrivals(self, listener: Callable[[float], None]) -> None:
        """Call a listener with the seconds from commit to arrival, for each change."""
        ...

    @property
    def lag_seconds(self) -> float:
        """Return how long the copy has been lagging."""
        ...

    @property
    def pending(self) -> int:
        """Return how many changes are not there yet."""
        ...


class DeploymentMetrics(Collector):
    """Show how deployments ended. What has not happened yet is 0, not absent: a rate begins with its first."""

    def __init__(self, figures: DeploymentFigures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yield what the journal said last."""
        figures, labels = self._figures, ["environment", "kind", "outcome"]
        text = "Deployments that ended, as far as the journal keeps them."
        none = dict.fromkeys(product(figures.environments, DeploymentKind, Outcome), 0.0)
        yield _family(CounterMetricFamily("roas_deployments_total", text, labels=labels), none, figures.counts)
        ended = figures.ended_within(HOUR)
        within = Counts((one.environment, one.request.kind.value, str(one.outcome)) for one in ended)
        text = "Deployments that ended within an hour."
        yield _family(GaugeMetricFamily("roas_deployments_last_hour", text, labels=labels), none, within)
        results = Counts((name, "succeeded" if good else "failed") for name, good in figures.results())
        text = "Deployments of a day by whether they were good; what was cancelled is neither."
        day = GaugeMetricFamily("roas_deployment_results_last_day", text, labels=["environment", "result"])
        yield _family(day, dict.fromkeys(product(figures.environments, ("succeeded", "failed")), 0.0), results)
        took: dict[tuple[str, ...], list[float]] = defaultdict(list)
        phases: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for one in ended:
            took[one.environment, one.request.kind.value].append(one.duration_seconds or 0.0)
            for phase in one.phases:
                if phase.duration_seconds is not None:
                    phases[phase.name.value,].append(phase.duration_seconds)
        text = "95th percentile of the time that deployments of an hour took."
        slowest = GaugeMetricFamily("roas_deployment_last_hour_seconds", text, labels=["environment", "kind"])
        yield _family(slowest, {names: percentile(seconds) or 0.0 for names, seconds in took.items()})
        text = "Average time that a phase took within an hour."
        average = GaugeMetricFamily("roas_phase_last_hour_seconds", text, labels=["phase"])
        yield _family(average, {names: sum(seconds) / len(seconds) for names, seconds in phases.items()})


Family = TypeVar("Family", CounterMetricFamily, GaugeMetricFamily)


def _family(family: Family, *values: Mapping[Any, float]) -> Family:
    """Fill a family by the values of its labels; later ones count."""
    merged = {tuple(map(str, labels)): value for found in values for labels, value in found.items()}
    for labels, value in merged.items():
        family.add_metric(labels, value)
    return family


class IntegrationMetrics(Collector):
    """Read the IntegrationMonitor when Prometheus asks. A figure that nothing was measured for is NaN."""

    def __init__(self, monitor: IntegrationMonitor) -> None:
        self._monitor = monitor

    def collect(self) -> Iterator[Metric]:
        """Yield the figures and the alerts."""
        figures = self._monitor.figures()
        for name, text, value in (
            (
                "event_latency_seconds",
                "Event latency: 95th percentile of the time from publishing to handled, at the slowest subscriber.",
                figures.event_latency_seconds,
            ),
            (
                "state_sync_lag_seconds",
                "Redis sync lag: time that Redis is behind the journal.",
                figures.state_sync_lag_seconds,
            ),
            (
                "dependency_resolution_seconds",
                "Dependency resolution time: 95th percentile of the time that services waited for their dependencies.",
                figures.dependency_resolution_seconds,
            ),
            (
                "error_ratio",
                "Integration error rate: share of events on which a subscriber failed.",
                figures.error_ratio,
            ),
            (
                "coordination_success_ratio",
                "Deployment success rate: share of deployments that succeeded.",
                figures.success_ratio,
            ),
        ):
            yield GaugeMetricFamily(f"roas_integration_{name}", text, value=math.nan if value is None else value)
        firing = GaugeMetricFamily(
            "roas_integration_alert_firing", "Whether an integration alert is firing.", labels=["alert"]
        )
        for limit in LIMITS:
            firing.add_metric([limit.name], float(limit.name in self._monitor.firing))
        yield firing


class ProjectionMetrics(Collector):
    """Read the DataSyncManager when Prometheus asks."""

    def __init__(self, projection: CountedProjection) -> None:
        self._projection = projection

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the projection."""
        counted = self._projection.statistics
        yield GaugeMetricFamily(
            "roas_projection_up", "Whether Redis accepts the synced state.", value=float(counted.up)
        )
        yield GaugeMetricFamily(
            "roas_projection_lag_seconds",
            "Age of the oldest change that is not yet in Redis.",
            value=self._projection.lag_seconds,
        )
        yield GaugeMetricFamily(
            "roas_projection_pending_changes", "Changes that are not yet in Redis.", value=self._projection.pending
        )
        for name, text, value in (
            ("changes", "Changes written to Redis.", counted.projected),
            ("failures", "Attempts to write to Redis that failed.", counted.failures),
            ("rebuilds", "Full rebuilds of the state in Redis.", counted.rebuilt),
            ("restored_changes", "Always 0: nothing is taken from Redis.", 0),
        ):
            yield CounterMetricFamily(f"roas_projection_{name}", text, value=value)
