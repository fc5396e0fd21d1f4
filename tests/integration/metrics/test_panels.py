"""Each panel of the dashboard shows, in a real Prometheus, what happened in a day in which the bot replaced itself."""

import json
import math
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from monitoring.dashboard import TARGET
from roas.events import EventBus
from roas.metrics.bot_metrics import Metrics
from roas.metrics.integration_monitor import DeploymentFigures, IntegrationFigures
from roas.models.actor import RECOVERY, Actor, ActorKind
from roas.models.alert import AlertSource, AlertState, Severity
from roas.models.candidate import Candidate, CandidateState
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    DeploymentRequest,
    Outcome,
    PhaseResult,
    PhaseStatus,
)
from roas.models.events import AlertChanged, AlertResolved, AlertTriggered, RecoveryCompleted
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, StackHealth, Verdict
from roas.models.phases import PhaseName
from roas.models.recovery import RecoveryOutcome
from roas.models.state_change import ChangeType, StateChange
from roas.models.stored import new_id
from roas.state.manager import StateManager
from testbed.prometheus_server import PrometheusServer
from tests.unit.sample_events import alert

DORA, AUTOMATIC = Actor(ActorKind.DISCORD, "1", "dora"), Actor(ActorKind.SYSTEM, RECOVERY, "automatic recovery")
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
SUCCEEDED, ROLLED_BACK, CANCELLED = Outcome.SUCCEEDED, Outcome.ROLLED_BACK, Outcome.CANCELLED
DEPLOY, ROLLBACK = DeploymentKind.DEPLOY, DeploymentKind.ROLLBACK
# Hours before the end, kind, outcome, seconds, who asked, and the releases before and after. All replace the bot.
DAY = [
    (23.0, DEPLOY, SUCCEEDED, 20.0, DORA, None, 1),
    (20.0, DEPLOY, ROLLED_BACK, 30.0, DORA, 1, 2),
    (16.0, DEPLOY, SUCCEEDED, 20.0, DORA, 1, 3),
    (15.9, ROLLBACK, SUCCEEDED, 10.0, AUTOMATIC, 3, 1),
    (12.0, DEPLOY, CANCELLED, 5.0, DORA, 1, 4),
    (6.0, DEPLOY, SUCCEEDED, 20.0, DORA, 1, 5),
    (0.8, DEPLOY, ROLLED_BACK, 40.0, DORA, 5, 6),
    (0.5, DEPLOY, SUCCEEDED, 60.0, DORA, 5, 7),
    (0.4, ROLLBACK, SUCCEEDED, 12.0, DORA, 7, 5),
]
GOOD, COUNTED = 3, 6  # what recovery took back is none, what was cancelled or asked back is not counted
FIGURES = IntegrationFigures(0.25, "x", 0.125, 1.5, 0.5, "web", 0.02, "", 0.5)
PANELS: dict[str, dict[str, float | None]] = {
    "At a glance: Bots up": {"": 1},
    "At a glance: Unhealthy services": {"": 1},
    "At a glance: Open alerts": {"": 2},
    "At a glance: Deployment success rate, last day": {"": GOOD / COUNTED},
    "Deployments: Deployments of the last hour, by outcome": {
        "succeeded": 2,
        "rolled_back": 1,
        "cancelled": 0,
        "failed": 0,
    },
    "Deployments: Deployment duration of the last hour, 95th percentile": {"DEPLOY": 60, "ROLLBACK": 12},
    "Deployments: Average phase duration, last hour": {"execution": 14},  # a quarter of each
    "Delivery, last 30 days: Deployments a day": {"prod": 4 / 30},
    "Delivery, last 30 days: Lead time from the commit": {"prod": 320},  # of three times 320, and 360 s
    "Delivery, last 30 days: Change failure rate": {"prod": 4 / 6},
    "Delivery, last 30 days: Time to restore": {"prod": 176},  # of 30, 40, 312 and 350 s
    "Services: Services by verdict": {"healthy": 1, "unhealthy": 1, "degraded": 0, "unknown": 0, "unverified": 0},
    "Services: CPU": {"prod web": 0.5},
    "Services: Memory": {"prod web": 4096},
    "Services: Restarts": {"prod web": 3, "prod db": 0},
    "Alerts and recovery: Open alerts": {"critical": 1, "high": 1, "warning": 0, "info": 0},
    "Alerts and recovery: Alerts per hour": {"health": 3},
    "Alerts and recovery: Recoveries per hour": {"recovered": 1, "escalated": 1},
    "Integration: Event latency": {"slowest subscriber": 0.25},
    "Integration: Event latency, 99th percentile": {"event to handled": None, "change to Redis": 0.4985},
    "Integration: Redis sync lag": {"lag": 0.125},
    "Integration: Integration error rate": {"failed": 0.02},
    "Integration: Deployment success rate": {"succeeded": 0.5},
    "Integration: Dependency resolution time": {"slowest": 1.5},
    "Integration: Integration alerts": {"integration_error_rate": 1, "event_latency": 0},
    "Journal and Redis sync: Changes a minute": {"audit": 12, "written to Redis": 6},
    "Journal and Redis sync: Changes not yet in Redis": {"pending": 7},
    "Journal and Redis sync: Redis unreachable": {"away": 0, "failures a second": 0},
    "The bot itself: Discord's gateway": {"bot": 0.042},
    "The bot itself: Memory": {"bot": None},  # what a process uses, nobody can say beforehand
    "The bot itself: CPU": {"bot": None},
    "The bot itself: Events a second, by who handles them": {"metrics alerts": 1 / 15},
    "The bot itself: Versions": {"2.0": 1},
}


@dataclass
class Process:
    """A bot's process, as Prometheus sees it: with a registry of its own, that begins at nothing."""

    bus: EventBus
    metrics: Metrics
    instance: str
    projection: Any


class Day:
    """Play what happens, and write down what Prometheus would have scraped meanwhile."""

    def __init__(self, state: StateManager, end: datetime) -> None:
        self.state, self.end = state, end
        self.now = end - timedelta(hours=25)
        self.figures = DeploymentFigures(state, ["prod"], now=lambda: self.now)
        self.lines: list[str] = []
        self.number = 0
        self.living: list[Process] = [self.process()]

    def process(self) -> Process:
        self.number += 1
        bus, metrics = EventBus(), Metrics("2.0")
        metrics.attach(bus)
        metrics.read_deployments(self.figures)
        monitor = SimpleNamespace(figures=lambda: FIGURES, firing=frozenset({"integration_error_rate"}))
        metrics.read_integration(cast("Any", monitor))
        arrivals: list[Any] = []
        statistics = SimpleNamespace(up=True, projected=0, failures=0, rebuilt=0, restored=0)
        projection = SimpleNamespace(
            statistics=statistics, time_arrivals=arrivals.append, lag_seconds=0.0, pending=7, arrivals=arrivals
        )
        metrics.read_projection(cast("Any", projection))
        metrics.read_gateway_latency(lambda: 0.042)
        self.observe(metrics)
        return Process(bus, metrics, f"10.0.0.{self.number}:8000", projection)

    def observe(self, metrics: Metrics) -> None:
        metrics.load_open_alerts([])
        running = ContainerState.RUNNING
        container = ContainerSnapshot("c", "web-1", "web", running, HealthStatus.HEALTHY, "i", "web", "h", 3)
        web = ServiceHealth("web", Verdict.HEALTHY, "", (container,), cpu_percent=50.0, memory_bytes=4096)
        gone = replace(container, service="db", restart_count=0, state=ContainerState.EXITED)
        db = ServiceHealth("db", Verdict.UNHEALTHY, "", (gone,))
        metrics.observe_stack(StackHealth("prod", Verdict.UNHEALTHY, (web, db), self.now))

    async def until(self, moment: datetime, step: timedelta) -> None:
        while self.now < moment:
            self.now = min(self.now + step, moment)
            await self.scrape()

    async def scrape(self) -> None:
        for process in self.living:
            await process.metrics.refresh()
            own = f'job="roas-bot",instance="{process.instance}"'
            time = f"{self.now.timestamp():.3f}"
            self.lines.append(f"up{{{own}}} 1 {time}")
            for line in process.metrics.render().decode().splitlines():
                if not line.startswith("#"):
                    name, labels, value = SAMPLE.fullmatch(line).groups()  # type: ignore[union-attr]
                    self.lines.append(f"{name}{{{own}{',' + labels if labels else ''}}} {value} {time}")

    async def deploy(self, kind: Any, outcome: Outcome, seconds: float, by: Actor, before: Any, after: int) -> None:
        """Begin in one process, hand over, and end in the next one, which was there for less than one scrape."""
        deployment = Deployment(
            id=new_id(kind.value),
            request=DeploymentRequest("prod", kind, by, version="v"),
            coordination="standard",
            correlation_id="",
            created_at=self.now,
            phases=(PhaseResult(PhaseName.EXECUTION),),
            from_release=before,
            to_release=after,
        )
        fence = await self.state.deployments.create(deployment, "test")
        if kind is DEPLOY:  # five minutes after a source had offered it
            offered = self.now - timedelta(minutes=5)
            candidate = Candidate(new_id("CAND"), "ci", "prod", f"v{after}", offered, deployment_id=deployment.id)
            await self.state.candidates.add(replace(candidate, state=CandidateState.STARTED))
        self.living.append(self.process())
        self.now += timedelta(seconds=seconds)
        phase = PhaseResult(PhaseName.EXECUTION, PhaseStatus.SUCCESS, 1, duration_seconds=seconds * 3 / 8)
        await self.state.deployments.save_phases(deployment, (phase,), fence)
        ended = replace(deployment, outcome=outcome, ended_at=self.now, duration_seconds=seconds)
        await self.state.deployments.finish(ended, fence)
        await self.living.pop(0).bus.close()

    async def trouble(self) -> None:
        """Raise three alerts of which two stay open, and end two recoveries; the counters have been scraped before."""
        [process] = self.living
        for number, severity in enumerate((Severity.CRITICAL, Severity.HIGH, Severity.HIGH)):
            process.bus.publish(alert(AlertTriggered, alert_id=f"ALR-{number}", severity=severity))
        over = alert(AlertResolved, alert_id="ALR-2", state=AlertState.RESOLVED, source=AlertSource.HEALTH)
        process.bus.publish(over)
        for outcome in (RecoveryOutcome.RECOVERED, RecoveryOutcome.ESCALATED):
            what = {"alert_id": "ALR-0", "environment": "prod", "service": "db", "succeeded": False, "source": "test"}
            process.bus.publish(RecoveryCompleted(outcome=outcome, **what))
        await process.bus.drain()

    async def last_minutes(self) -> None:
        """Write to the journal twelve times a minute, of which Redis gets six, each after less than half a second."""
        [process] = self.living
        while self.now < self.end:
            for _ in range(3):
                process.metrics.count_change(StateChange(ChangeType.AUDIT, "test"))
            process.projection.statistics.projected += 1.5
            process.projection.arrivals[0](0.4)
            process.bus.publish(alert(AlertChanged, alert_id="ALR-1"))
            await process.bus.drain()
            self.now += timedelta(seconds=15)
            await self.scrape()


@pytest.fixture(scope="module")
def end() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)


async def test_panels_show_the_day(tmp_path: Path, end: datetime) -> None:
    async with StateManager(tmp_path / "state") as state:
        day = Day(state, end)
        for hours, *deployment in DAY:
            await day.until(end - timedelta(hours=hours), timedelta(minutes=4))
            await day.deploy(*deployment)
        await day.until(end - timedelta(minutes=20), timedelta(minutes=2))
        await day.trouble()
        await day.until(end - timedelta(minutes=6), timedelta(minutes=1))
        await day.last_minutes()
        await day.living[0].bus.close()
    samples = tmp_path / "samples"
    samples.write_text("\n".join([*day.lines, "# EOF", ""]))
    server = PrometheusServer(tmp_path / "prometheus", "127.0.0.1:1", {"record": "x", "expr": "vector(1)"})
    blocks = ["promtool", "tsdb", "create-blocks-from", "openmetrics", samples, server.folder / "data"]
    subprocess.run(blocks, check=True, capture_output=True, timeout=60)
    with server:
        shown = {title: dict(values) for title, values in panels(server.url, end)}
    assert shown.keys() == PANELS.keys()
    for title, expected in PANELS.items():
        for legend, value in expected.items():
            if value is None:
                assert shown[title][legend] > 0, title
            else:
                assert shown[title].get(legend) == pytest.approx(value, rel=0.13, abs=0.001), (title, shown[title])


def panels(url: str, at: datetime) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield what each panel shows, by its legend."""
    row = ""
    for panel in json.loads(TARGET.read_text())["panels"]:
        row = panel["title"] if panel["type"] == "row" else row
        found: dict[str, float] = {}
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$environment", ".*").replace("$service", ".*")
            asked = urllib.parse.urlencode({"query": query, "time": at.timestamp()})
            with urllib.request.urlopen(f"{url}/api/v1/query?{asked}", timeout=20) as answer:  # noqa: S310
                result = json.load(answer)["data"]["result"]
            for item in result:
                legend = target.get("legendFormat", "")
                for name, value in {**item["metric"], "instance": "bot"}.items():
                    legend = legend.replace(f"{{{{{name}}}}}", value)
                found[legend] = float(item["value"][1])
        if panel.get("targets"):
            assert not any(map(math.isnan, found.values())), (panel["title"], found)
            yield f"{row}: {panel['title']}", found
