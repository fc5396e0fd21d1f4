"""On a Swarm recovery is Swarm's: the bot waits for it, says what it did, and calls people where that does not help."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from roas.alerts.alert_service import AlertService
from roas.events import EventBus
from roas.models.alert import AlertReport, AlertSource, RecoveryStatus, Severity
from roas.models.environment import EngineKind, Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.recovery import RecoveryAction, RecoveryOutcome, RecoveryReport
from roas.recovery import swarm_recovery
from roas.recovery.coordinator import fault_of
from roas.recovery.handler import ErrorHandler, RecoveryParts
from roas.state.manager import StateManager
from tests.unit.one_stack import OneStack
from tests.unit.recovery.played_checks import played_checks

DEV = Environment("dev", "shop-dev", Path(), (), engine=EngineKind.SWARM)
RUNS = ContainerSnapshot("t1", "w.1.t1", "web", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "i", "h", node="n1")
WEB_DOWN = AlertReport("web", AlertSource.HEALTH, Severity.HIGH, "web is down", environment="dev", service="web")
DEED = "web.1 ended on node1; Swarm started another on node2"


class Scene(OneStack):
    """Be an engine whose tasks a test sets."""

    def __init__(self, state: StateManager, bus: EventBus) -> None:
        self.replaces_by_itself = True
        self.tasks: tuple[ContainerSnapshot, ...] = (RUNS,)
        self.alerts, self.state = AlertService(state.alerts, bus), state
        self.manually = False

        checks = played_checks(manually=lambda: self.manually)
        engine: Any = self
        nobody_deploys: Any = None
        self.handler = ErrorHandler(RecoveryParts(engine, nobody_deploys, state, self.alerts, checks, nobody_deploys))

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        return self.tasks

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[Any]]:
        async def none() -> AsyncIterator[Any]:
            await asyncio.Event().wait()
            yield

        yield none()

    async def replacements(self, service: str, since: datetime) -> tuple[str, ...]:
        return (DEED,)

    async def handle(self) -> RecoveryReport:
        (taken,) = await self.alerts.take([WEB_DOWN])
        return await self.handler.handle(fault_of(taken.alert), DEV)


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(swarm_recovery, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(swarm_recovery, "SETTLE_SECONDS", 0.05)
    bus = EventBus()
    async with StateManager(tmp_path / "state") as state:
        yield Scene(state, bus)
    await bus.close()


async def test_what_swarm_did_is_noted(scene: Scene) -> None:
    report = await scene.handle()
    assert (report.outcome, report.text) == (RecoveryOutcome.RECOVERED, DEED)
    (alert,) = await scene.state.alerts.open()
    assert (alert.healing, alert.actions) == (RecoveryStatus.UNDER_WAY, (DEED,))


async def test_people_are_called_where_no_task_stays(scene: Scene) -> None:
    scene.tasks = (replace(RUNS, state=ContainerState.RESTARTING),)
    report = await scene.handle()
    assert report.outcome is RecoveryOutcome.ESCALATED
    assert "within 0.3 s none stayed" in report.text
    assert DEED in report.text


async def test_policy_that_starts_nothing_again_calls_people_at_once(scene: Scene) -> None:
    scene.tasks = (replace(RUNS, state=ContainerState.EXITED, restart_policy="no"),)
    report = await scene.handle()
    assert (report.outcome, "restart policy" in report.text) == (RecoveryOutcome.ESCALATED, True)


async def test_manual_stop_is_left_alone(scene: Scene) -> None:
    scene.manually = True
    assert (await scene.handle()).outcome is RecoveryOutcome.NOT_OURS


async def test_what_swarm_does_counts_against_no_budget(scene: Scene) -> None:
    report = await scene.handle()
    assert report.outcome is RecoveryOutcome.RECOVERED
    assert not any([await scene.state.recoveries.of("dev", "web", action) for action in RecoveryAction])
