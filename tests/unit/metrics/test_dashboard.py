"""The dashboard is what the code writes, and asks for nothing that the bot does not have."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from monitoring.dashboard import TARGET, build
from roas.events import EventBus
from roas.metrics.bot_metrics import Metrics
from roas.metrics.integration_monitor import IntegrationMeasurements, IntegrationMonitor
from roas.models.deployment import PhaseStatus
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, StackHealth, Verdict
from roas.models.state_change import ChangeType, StateChange
from roas.state.deployments.figures import DeliveryFigures
from roas.state.manager import StateManager
from roas.state.redis_sync import DataSyncManager
from tests.unit import sample_events
from tests.unit.metrics.test_deployment_figures import GOOD, play

RULES = Path(__file__).parents[3] / "monitoring" / "prometheus" / "rules"
# What Prometheus itself makes.
PROMETHEUS_OWN = {"up"}
NAME = re.compile(r"\b(?:roas_[a-z0-9_]+|up)\b")


@pytest.fixture
async def series(tmp_path: Path) -> dict[str, set[str]]:
    """Return each metric of a bot that has done everything once, with the names of its labels."""
    bus = EventBus()
    metrics = Metrics("1.2.3")
    metrics.attach(bus)
    async with StateManager(tmp_path / "deployments") as state:
        figures = await play(state, GOOD, hours_ago=0.5)
        figures.delivery = (DeliveryFigures("dev", 1, 0.1, 61.0, 0.5, 60.0),)
        metrics.read_deployments(figures)
    sync = DataSyncManager(StateManager(tmp_path), "redis://nowhere", "shop", str)
    metrics.read_integration(IntegrationMonitor(bus, IntegrationMeasurements(bus, sync)))
    metrics.read_projection(sync)
    metrics.count_change(StateChange(ChangeType.AUDIT, "test"))
    running = ContainerState.RUNNING
    container = ContainerSnapshot("c", "web-1", "web", running, HealthStatus.HEALTHY, "i", "web", "h", 0)
    web = ServiceHealth("web", Verdict.HEALTHY, "", (container,), cpu_percent=1.0, memory_bytes=1)
    metrics.observe_stack(StackHealth("dev", Verdict.HEALTHY, (web,), datetime.now(UTC)))
    bus.publish(sample_events.ended(seconds=1.0))
    bus.publish(sample_events.phase(PhaseStatus.SUCCESS, 1.0))
    await bus.drain()
    rendered = metrics.render().decode().splitlines()
    assert 'roas_delivery_lead_seconds{environment="dev"} 61.0' in rendered
    found: dict[str, set[str]] = {name: set() for name in PROMETHEUS_OWN}
    for line in rendered:
        if not line.startswith("#"):
            name, _, labels = re.match(r"(\w+)(\{(.*)\})? ", line).groups()  # type: ignore[union-attr]
            found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels or ""))
    await bus.close()
    return found


def queries() -> Iterator[str]:
    """Yield every query of the dashboard and of the rules."""
    dashboard = json.loads(TARGET.read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    for variable in dashboard["templating"]["list"]:
        yield variable["query"]
    for path in RULES.glob("*.yml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule["expr"] for rule in group["rules"])


def test_committed_dashboard_matches_code() -> None:
    assert TARGET.read_text() == build(), "run `python -m monitoring.dashboard`"


def test_queries_use_existing_metrics(series: dict[str, set[str]]) -> None:
    asked = {query: set(NAME.findall(query)) for query in queries()}
    assert len(asked) > 25
    assert [query for query, names in asked.items() if not names] == []
    assert {name for names in asked.values() for name in names} - set(series) == set()


def test_queries_use_existing_labels(series: dict[str, set[str]]) -> None:
    targets = {"job", "instance"}
    for query in queries():
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", query))
        for grouped in re.findall(r"\bby \(([^)]*)\)", query):
            labels |= {name.strip() for name in grouped.split(",")} - {"le"}
        known = set().union(targets, *(series[name] for name in NAME.findall(query)))
        assert labels <= known, query


def test_metrics_all_shown_or_in_rules(series: dict[str, set[str]]) -> None:
    """A metric that nobody looks at is either missing there or superfluous here."""
    asked = {name for query in queries() for name in NAME.findall(query)}
    families = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in asked}
    unseen = {
        name
        for name in series
        if re.sub(r"_(bucket|sum|count|total|created)$", "", name) not in families and "_process_" not in name
    }
    of_one_process = re.compile(r"roas_(deployment|phase)_duration_seconds_(bucket|sum|count)")
    assert {name for name in unseen if not of_one_process.fullmatch(name)} <= {
        "roas_deployments_total",
        "roas_event_latency_seconds",
        "roas_event_subscriber_failures_total",
        "roas_events_published_total",
        "roas_projection_lag_seconds",
        "roas_projection_rebuilds_total",
        "roas_projection_restored_changes_total",
    } | {name for name in unseen if name.endswith("_created")}


def test_panels_titled_and_query_refs_unique() -> None:
    for panel in json.loads(TARGET.read_text())["panels"]:
        assert panel["title"]
        references = [target["refId"] for target in panel.get("targets", ())]
        assert len(references) == len(set(references))
        assert all(references)
