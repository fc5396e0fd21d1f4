"""Every fault is handled once, by whichever bot is there, and its end is told."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from roas.alerts.alert_service import AlertService
from roas.errors import StateError
from roas.events import EventBus
from roas.models.alert import AlertReport, AlertSource, RecoveryStatus, Severity
from roas.models.environment import Environment
from roas.models.events import RecoveryCompleted
from roas.models.recovery import Fault, RecoveryOutcome, RecoveryReport
from roas.recovery.coordinator import ErrorCoordinator
from roas.state.manager import StateManager

DEV = Environment("dev", "shop-dev", Path(), ())
WEB_DOWN = AlertReport("web", AlertSource.HEALTH, Severity.HIGH, "web is down", environment="dev", service="web")


class Scene:
    """Let a coordinator hand faults to a handler that waits until the test lets it go on."""

    def __init__(self, state: StateManager) -> None:
        self.state, self.bus = state, EventBus()
        self.alert_service = AlertService(state.alerts, self.bus)
        self.coordinator = ErrorCoordinator(self, state, self.alert_service, self.bus, {"dev": DEV})
        self.handled: list[Fault] = []
        self.outcome, self.breaks = RecoveryOutcome.RECOVERED, False
        self.go_on, self.begun = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    async def handle(self, fault: Fault, environment: Environment) -> RecoveryReport:
        self.handled.append(fault)
        self.begun.set()
        await self.go_on.wait()
        if self.breaks:
            raise StateError("no room")
        return RecoveryReport(fault, self.outcome, "restart: it has recovered")

    async def alert(self, report: AlertReport = WEB_DOWN) -> str:
        (taken,) = await self.alert_service.take([report])
        return taken.alert.id

    async def settled(self) -> None:
        async with asyncio.timeout(5):
            while tasks := [task for task in asyncio.all_tasks() if task.get_name().startswith("recover ")]:
                await asyncio.wait(tasks)
        await self.bus.drain()

    def completed(self) -> int:
        return sum(isinstance(event, RecoveryCompleted) for event in self.bus.history())


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with StateManager(tmp_path / "state") as state:
        scene = Scene(state)
        yield scene
        await scene.coordinator.close()
        await scene.bus.close()


async def test_leftover_recoveries_resumed_once(scene: Scene) -> None:
    """What a dead bot was recovering, or had not begun to recover, is resumed once."""
    begun = await scene.alert()
    await scene.alert_service.note(begun, healing=RecoveryStatus.UNDER_WAY)
    owed = await scene.alert(AlertReport("store", AlertSource.HEALTH, Severity.HIGH, "x", "", "dev", "store"))
    for _ in range(3):
        await scene.coordinator.resume()
        await scene.settled()
    assert sorted(fault.alert_id for fault in scene.handled) == sorted([begun, owed])
    assert scene.completed() == 2


async def test_running_recovery_not_resumed_again(scene: Scene) -> None:
    scene.coordinator.start()
    scene.go_on.clear()
    await scene.alert()
    await scene.coordinator.resume()
    await scene.begun.wait()
    await scene.coordinator.resume()
    scene.go_on.set()
    await scene.settled()
    assert (len(scene.handled), scene.completed()) == (1, 1)


async def test_minor_or_foreign_alerts_not_resumed(scene: Scene) -> None:
    """A warning, an alert from outside and what is not ours start no recovery."""
    scene.outcome = RecoveryOutcome.NOT_OURS
    await scene.alert()
    await scene.coordinator.resume()
    await scene.settled()
    await scene.alert(AlertReport("w", AlertSource.HEALTH, Severity.WARNING, "x", "", "dev", "store"))
    await scene.alert(AlertReport("o", AlertSource.ALERTMANAGER, Severity.HIGH, "x", "", "dev", "store"))
    await scene.coordinator.resume()
    await scene.settled()
    assert len(scene.handled) == 1


async def test_left_alone_whatever_is_noted_later(scene: Scene) -> None:
    """That recovery leaves an alert as it is does not hang on the last note; it ends when the alert comes back."""
    scene.outcome = RecoveryOutcome.NOT_OURS
    alert_id = await scene.alert()
    await scene.coordinator.resume()
    await scene.settled()
    noted = await scene.state.alerts.get(alert_id)
    assert noted is not None
    assert noted.actions[-1].startswith("not ours: "), "by this the release before knows"
    await scene.alert_service.note(alert_id, "somebody looked at it")
    await scene.coordinator.resume()
    await scene.settled()
    assert len(scene.handled) == 1
    await scene.alert(replace(WEB_DOWN, firing=False))
    await scene.alert()
    await scene.coordinator.resume()
    await scene.settled()
    assert len(scene.handled) == 2


async def test_recovery_resumed_after_journal_failure(scene: Scene) -> None:
    alert_id = await scene.alert()
    scene.breaks = True
    await scene.coordinator.resume()
    await scene.settled()
    assert scene.completed() == 0
    scene.breaks = False
    await scene.coordinator.resume()
    await scene.settled()
    alert = await scene.state.alerts.get(alert_id)
    assert alert is not None
    assert alert.healing is RecoveryStatus.SUCCEEDED
    assert scene.completed() == 1
