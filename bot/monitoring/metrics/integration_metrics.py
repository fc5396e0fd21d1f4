"""Show to Prometheus how well the parts work together, and how far the projection to Redis is."""

import math
from collections.abc import Callable, Iterator
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

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
