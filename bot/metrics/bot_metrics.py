"""Count and time what the bot does, for Prometheus."""

import contextlib
import math
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from roas.errors import StateError
from roas.events import EventBus, Subscription
from roas.metrics.integration_monitor import HOUR, LIMITS, DeploymentFigures, IntegrationMonitor, percentile
from roas.models import events
from roas.models.alert import Alert, AlertSource, AlertState, Severity
from roas.models.deployment import DeploymentKind, Outcome, PhaseStatus
from roas.models.health import ContainerState, StackHealth, Verdict
from roas.models.recovery import RecoveryOutcome
from roas.models.state_change import StateChange
from roas.state.deployments.figures import DAYS, DeliveryFigures
from roas.state.redis_sync import DataSyncManager
from roas.state.shared.log import SharedLog


def _delivery(found: Sequence[DeliveryFigures]) -> Iterator[Metric]:
    """Yield the four figures of delivery; what there is nothing to measure of is absent."""
    text = f"Successful deployments and hotfixes a day, over {DAYS} days."
    frequency = GaugeMetricFamily("roas_delivery_deployments_per_day", text, labels=["environment"])
    text = f"Median time from the commit to the end of the deployment that brought it, over {DAYS} days."
    lead = GaugeMetricFamily("roas_delivery_lead_seconds", text, labels=["environment"])
    text = f"Share of changes that failed or were rolled back, over {DAYS} days."
    failed = GaugeMetricFamily("roas_delivery_change_failure_ratio", text, labels=["environment"])
    text = f"Median time from a failed change to the next success, over {DAYS} days."
    restored = GaugeMetricFamily("roas_delivery_restore_seconds", text, labels=["environment"])
    for figures in found:
        values = (figures.per_day, figures.lead_seconds, figures.failure_ratio, figures.restore_seconds)
        for family, value in zip((frequency, lead, failed, restored), values, strict=True):
            if value is not None:
                family.add_metric([figures.environment], value)
    yield from (frequency, lead, failed, restored)


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
        within = Counts(
            (deployment.environment, deployment.request.kind.value, str(deployment.outcome)) for deployment in ended
        )
        text = "Deployments that ended within an hour."
        yield _family(GaugeMetricFamily("roas_deployments_last_hour", text, labels=labels), none, within)
        results = Counts((name, "succeeded" if good else "failed") for name, good in figures.results())
        text = "Deployments of a day by whether they were good; what was cancelled is neither."
        day = GaugeMetricFamily("roas_deployment_results_last_day", text, labels=["environment", "result"])
        yield _family(day, dict.fromkeys(product(figures.environments, ("succeeded", "failed")), 0.0), results)
        yield from _delivery(figures.delivery)
        took: dict[tuple[str, ...], list[float]] = defaultdict(list)
        phases: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for deployment in ended:
            took[deployment.environment, deployment.request.kind.value].append(deployment.duration_seconds or 0.0)
            for phase in deployment.phases:
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
    merged = {tuple(map(str, labels)): value for figures in values for labels, value in figures.items()}
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

    def __init__(self, projection: DataSyncManager) -> None:
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


class SharedStateMetrics(Collector):
    """Read what the Swarm was given of the state when Prometheus asks."""

    def __init__(self, shared: SharedLog) -> None:
        self._shared = shared

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the state in the Swarm."""
        objects = self._shared.objects
        yield GaugeMetricFamily("roas_swarm_state_leads", "Whether this bot leads.", value=float(self._shared.leads))
        yield CounterMetricFamily("roas_swarm_state_writes", "Objects written to the Swarm.", value=objects.writes)
        yield CounterMetricFamily(
            "roas_swarm_state_write_seconds", "Time that the Swarm took for them.", value=objects.seconds
        )


DURATION_BUCKETS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200)
# The limits that the bot watches itself by, 1 s and 0.5 s, are among them: a share beyond those is exact.
LATENCY_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
ENDED = frozenset({PhaseStatus.SUCCESS, PhaseStatus.FAILED, PhaseStatus.CANCELLED})


class Metrics:
    """Hold the bot's own registry. Labels are bounded: names of environments and services, and fixed words."""

    def __init__(self, version: str, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._series: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._make_deployment_metrics()
        self._make_service_metrics()
        self._make_alert_metrics()
        self._gateway = Gauge(
            "roas_gateway_latency_seconds", "Time from a heartbeat to Discord's answer.", registry=self.registry
        )
        self._changes = Counter(
            "roas_journal_changes_total", "Changes written to the journal.", ["type"], registry=self.registry
        )
        self._handlings = Histogram(
            "roas_event_handling_seconds",
            "Time from publishing an event to its end at a subscriber.",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        build = Gauge("roas_build_info", "The version that runs; always 1.", ["version"], registry=self.registry)
        build.labels(version).set(1)
        ProcessCollector(namespace="roas", registry=self.registry)

    def _make_deployment_metrics(self) -> None:
        self._deployments: DeploymentFigures | None = None
        self._deployment_seconds = Histogram(
            "roas_deployment_duration_seconds",
            "Time that deployments took.",
            ["environment", "kind"],
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self._phase_seconds = Histogram(
            "roas_phase_duration_seconds",
            "Time that phases took.",
            ["phase", "status"],
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self._releases = Counter("roas_releases_total", "Releases made.", ["environment"], registry=self.registry)

    def _make_service_metrics(self) -> None:
        labels = ["environment", "service"]
        self._health = Gauge(
            "roas_service_health",
            "The verdict on a service: 1 for the one that holds, 0 for the others.",
            [*labels, "verdict"],
            registry=self.registry,
        )
        self._stack_health = Gauge(
            "roas_stack_health",
            "The verdict on a whole stack: 1 for the one that holds, 0 for the others.",
            ["environment", "verdict"],
            registry=self.registry,
        )
        self._health_changes = Counter(
            "roas_service_health_changes_total",
            "Changes of the verdict on a service, by what it became.",
            [*labels, "verdict"],
            registry=self.registry,
        )
        self._restarts = Gauge(
            "roas_service_restarts",
            "Restarts of the containers that a service has now.",
            labels,
            registry=self.registry,
        )
        self._cpu = Gauge(
            "roas_service_cpu_ratio",
            "CPU usage of a service in cores.",
            labels,
            registry=self.registry,
        )
        self._memory = Gauge(
            "roas_service_memory_bytes", "Memory that a service uses, without caches.", labels, registry=self.registry
        )

    def _make_alert_metrics(self) -> None:
        self._open_alerts: dict[str, str] = {}
        self._alerts = Counter(
            "roas_alerts_total", "Alerts that were raised.", ["source", "severity"], registry=self.registry
        )
        self._alerts_open = Gauge(
            "roas_alerts_open", "Alerts that are not resolved.", ["severity"], registry=self.registry
        )
        self._recoveries = Counter(
            "roas_recoveries_total", "Recoveries that ended.", ["outcome"], registry=self.registry
        )
        # What has not happened yet is 0, not absent: a rate begins with its first.
        for severity in Severity:
            self._alerts_open.labels(severity.value)
            for source in AlertSource:
                self._alerts.labels(source.value, severity.value)
        for outcome in RecoveryOutcome:
            self._recoveries.labels(outcome.value)

    def load_open_alerts(self, alerts: Iterable[Alert]) -> None:
        """Count the alerts that were open before this process began."""
        self._open_alerts = {alert.id: alert.severity.value for alert in alerts}
        self._show_open_alerts()

    def read_deployments(self, figures: DeploymentFigures) -> None:
        """Read how deployments ended from the journal whenever the metrics are read."""
        self._deployments = figures
        self.registry.register(DeploymentMetrics(figures))

    async def refresh(self) -> None:
        """Read the journal; while it cannot be read, what it said last is shown."""
        if self._deployments is not None:
            with contextlib.suppress(StateError):
                await self._deployments.refresh()

    def read_integration(self, monitor: IntegrationMonitor) -> None:
        """Read the figures of the integration whenever the metrics are read."""
        self.registry.register(IntegrationMetrics(monitor))

    def read_projection(self, projection: DataSyncManager) -> None:
        """Time what arrives in Redis, and read the state of the projection whenever the metrics are read."""
        delay = Histogram(
            "roas_projection_delay_seconds",
            "Time from a change's commit to Redis.",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        projection.time_arrivals(delay.observe)
        self.registry.register(ProjectionMetrics(projection))

    def read_shared_state(self, shared: SharedLog) -> None:
        """Read what the Swarm was given of the state whenever the metrics are read."""
        self.registry.register(SharedStateMetrics(shared))

    def attach(self, bus: EventBus) -> tuple[Subscription, ...]:
        """Count the events on the bus, and read its statistics whenever the metrics are read."""
        self.registry.register(_BusStatistics(bus))
        bus.time_handlings(self._handlings.observe)
        return (
            bus.subscribe(events.DeploymentEnded, self._deployment_completed, name="metrics deployments"),
            bus.subscribe(events.PhaseChanged, self._phase_changed, name="metrics phases"),
            bus.subscribe(events.ReleaseCreated, self._release_created, name="metrics releases"),
            bus.subscribe(events.ServiceHealthChanged, self._health_changed, name="metrics health"),
            bus.subscribe(events.StackHealthChanged, self._stack_health_changed, name="metrics stacks"),
            bus.subscribe(events.AlertEvent, self._alert_changed, name="metrics alerts"),
            bus.subscribe(events.RecoveryCompleted, self._recovery_ended, name="metrics recoveries"),
        )

    def read_gateway_latency(self, latency: Callable[[], float]) -> None:
        """Read the gateway's latency (seconds; NaN where there is none) whenever the metrics are read."""
        self._gateway.set_function(latency)

    def count_change(self, change: StateChange) -> None:
        """Count a change that the journal has taken in."""
        self._changes.labels(change.type.value).inc()

    def observe_stack(self, stack: StackHealth) -> None:
        """Show how a stack is, in place of how it was; what runs and was not measured keeps its figures."""
        services = {service.service: service for service in stack.services}
        for name, health in services.items():
            self._show_verdict(stack.environment, name, health.verdict)
            labels = (stack.environment, name)
            if health.verdict is Verdict.UNKNOWN and not health.containers:
                self._forget_figures(*labels)
                continue
            self._restarts.labels(*labels).set(health.restart_count)
            cpu_percent, memory_bytes = health.whole_usage
            # A part of what a service uses, or what it used on another node, would pass for all of it.
            if health.unmeasured or ContainerState.RUNNING not in {item.state for item in health.containers}:
                _remove(self._cpu, *labels)
                _remove(self._memory, *labels)
            if cpu_percent is not None:
                self._cpu.labels(*labels).set(cpu_percent / 100)
            if memory_bytes is not None:
                self._memory.labels(*labels).set(memory_bytes)
        for labels in self._series[stack.environment] - {(stack.environment, name) for name in services}:
            self._forget(*labels)
        self._series[stack.environment] = {(stack.environment, name) for name in services}

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    async def _deployment_completed(self, event: events.DeploymentEnded) -> None:
        if event.duration_seconds is not None:
            self._deployment_seconds.labels(event.environment, event.kind).observe(event.duration_seconds)

    async def _phase_changed(self, event: events.PhaseChanged) -> None:
        if event.status in ENDED and event.duration_seconds is not None:
            self._phase_seconds.labels(event.phase, event.status).observe(event.duration_seconds)

    async def _release_created(self, event: events.ReleaseCreated) -> None:
        self._releases.labels(event.environment).inc()

    async def _health_changed(self, event: events.ServiceHealthChanged) -> None:
        environment, service, verdict = event.environment, event.service, event.new
        if verdict is Verdict.UNKNOWN and (environment, service) not in self._series[environment]:
            return  # it left the stack, and its series have gone already
        self._series[environment].add((environment, service))
        self._show_verdict(environment, service, verdict)
        self._health_changes.labels(environment, service, verdict).inc()

    async def _stack_health_changed(self, event: events.StackHealthChanged) -> None:
        for item in Verdict:
            self._stack_health.labels(event.environment, item.value).set(item is event.new)

    async def _alert_changed(self, event: events.AlertEvent) -> None:
        if isinstance(event, events.AlertTriggered):
            self._alerts.labels(event.alert_source, event.severity).inc()
        if event.state is AlertState.RESOLVED:
            self._open_alerts.pop(event.alert_id, None)
        else:
            self._open_alerts[event.alert_id] = event.severity
        self._show_open_alerts()

    async def _recovery_ended(self, event: events.RecoveryCompleted) -> None:
        self._recoveries.labels(event.outcome).inc()

    def _show_open_alerts(self) -> None:
        counted = Counts(self._open_alerts.values())
        for severity in Severity:
            self._alerts_open.labels(severity.value).set(counted[severity.value])

    def _show_verdict(self, environment: str, service: str, verdict: str) -> None:
        for item in Verdict:
            self._health.labels(environment, service, item.value).set(item.value == verdict)

    def _forget(self, environment: str, service: str) -> None:
        for verdict in Verdict:
            _remove(self._health, environment, service, verdict.value)
            _remove(self._health_changes, environment, service, verdict.value)
        self._forget_figures(environment, service)

    def _forget_figures(self, environment: str, service: str) -> None:
        """Show no figures of a service of which nothing is known: old ones would look like today's."""
        for gauge in (self._restarts, self._cpu, self._memory):
            _remove(gauge, environment, service)


class _BusStatistics:
    """Read the event bus when Prometheus asks; subscribers of one name count together."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus

    def collect(self) -> Iterator[Metric]:
        """Yield what the bus has counted."""
        yield CounterMetricFamily("roas_events_published", "Events published on the bus.", value=self._bus.published)
        subscribers = self._bus.subscriptions
        for name, documentation, attribute in (
            ("failures", "Events that a subscriber failed on, or took too long for.", ("failed", "timed_out")),
            ("dropped", "Events that a subscriber was too slow to take.", ("dropped",)),
            ("handled", "Events that a subscriber has handled.", ("handled",)),
        ):
            yield _counted(f"roas_event_subscriber_{name}", documentation, subscribers, attribute)
        latency = GaugeMetricFamily(
            "roas_event_latency_seconds", "Time from publishing the last event to its end.", labels=["subscriber"]
        )
        slowest: dict[str, float] = defaultdict(float)
        for subscriber in subscribers:
            slowest[subscriber.name] = max(slowest[subscriber.name], subscriber.statistics.last_latency_seconds)
        for name, seconds in slowest.items():
            latency.add_metric([name], seconds)
        yield latency


def _counted(name: str, documentation: str, subscribers: Iterable[Subscription], attributes: Iterable[str]) -> Metric:
    totals: dict[str, int] = defaultdict(int)
    for subscription in subscribers:
        totals[subscription.name] += sum(getattr(subscription.statistics, attribute) for attribute in attributes)
    family = CounterMetricFamily(name, documentation, labels=["subscriber"])
    for subscriber, total in totals.items():
        family.add_metric([subscriber], total)
    return family


def _remove(metric: Gauge | Counter, *labels: str) -> None:
    with contextlib.suppress(KeyError):
        metric.remove(*labels)
