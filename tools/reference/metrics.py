"""Write the page of the metrics: from the registry that `/metrics` reads."""

import asyncio
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase

from roas.events import EventBus
from roas.metrics.bot_metrics import Metrics
from roas.metrics.integration_monitor import DeploymentFigures, IntegrationMeasurements, IntegrationMonitor
from roas.state.manager import StateManager
from roas.state.redis_sync import DataSyncManager
from tools.reference.markdown import code, plain, table

HEAD = """# Metrics

`GET /metrics` has these, in Prometheus' text format. A histogram also has `_bucket`, `_sum` and `_count`.
Labels are bounded: names of environments and services, and words of the bot's own.
"""


async def page() -> str:
    """Return the page."""
    bus = EventBus()
    try:
        return "\n".join([HEAD, table(("metric", "kind", "labels", "what it is"), _rows(bus))])
    finally:
        await bus.close()
        await asyncio.sleep(0)


def _rows(bus: EventBus) -> list[tuple[str, ...]]:
    metrics = Metrics("reference")
    metrics.attach(bus)
    metrics.read_integration(IntegrationMonitor(bus, IntegrationMeasurements(bus)))
    state = StateManager(Path())  # nothing is opened: the names are what is wanted
    metrics.read_projection(DataSyncManager(state, "redis://localhost", "reference", str))
    metrics.read_deployments(DeploymentFigures(state))
    labels = _labels(metrics)
    found: dict[str, Metric] = {metric.name: metric for metric in metrics.registry.collect()}
    return [
        (
            code(f"{name}_total" if metric.type == "counter" else name),
            metric.type,
            " ".join(code(label) for label in labels.get(name, _labels_of_samples(metric))),
            plain(metric.documentation),
        )
        for name, metric in sorted(found.items())
    ]


def _labels(metrics: Metrics) -> dict[str, tuple[str, ...]]:
    """Return the labels of the metrics that have no sample yet."""
    collectors = set(metrics.registry._collector_to_names)
    return {
        collector._name: tuple(collector._labelnames)
        for collector in collectors
        if isinstance(collector, MetricWrapperBase)
    }


def _labels_of_samples(metric: Metric) -> tuple[str, ...]:
    if named := getattr(metric, "_labelnames", ()):
        return tuple(named)
    return tuple(dict.fromkeys(label for sample in metric.samples for label in sample.labels))
