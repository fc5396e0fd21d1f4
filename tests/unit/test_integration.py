"""Figures of the bot's own become alerts, and only what somebody can act on at once rings a phone."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from roas.alerts.alert_service import AlertService
from roas.app.integration import IntegrationCoordinator
from roas.events import EventBus
from roas.metrics.integration_monitor import LIMITS, SUCCESS_RATE, Limit
from roas.models.alert import Severity
from roas.models.events import (
    EnvironmentValidated,
    Event,
    IntegrationDegraded,
    PreparationStarted,
    RecoveryRequested,
)
from roas.state.manager import StateManager
from tests.unit.sample_events import ORIGIN, alert, ended


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
async def test_figure_beyond_its_limit_becomes_alert(tmp_path: Path, limit: Limit) -> None:
    """Each deployment that failed was told already, to whoever asked for it: their share wakes nobody."""
    bus = EventBus()
    async with StateManager(tmp_path / "state") as state:
        coordinator = IntegrationCoordinator(state, bus, cast("Any", None), AlertService(state.alerts, bus))
        coordinator.start({})
        event = IntegrationDegraded(figure=limit.name, title=limit.title, source="monitor", correlation_id="COR-1")
        bus.publish(event)
        await bus.drain()
        (alert,) = await state.alerts.open()
        assert alert.is_urgent is (limit is not SUCCESS_RATE)
        await coordinator.close()


URGENT = {Severity.CRITICAL, Severity.HIGH}


@pytest.mark.parametrize(
    ("event", "follows", "is_followed"),
    [
        *((alert(severity=item), RecoveryRequested, item in URGENT) for item in Severity),
        (EnvironmentValidated(passed=True, **ORIGIN), PreparationStarted, True),
        (EnvironmentValidated(passed=False, failures=("disk",), **ORIGIN), PreparationStarted, False),
    ],
)
async def test_only_what_is_urgent_or_valid_goes_on(
    tmp_path: Path, event: Event, follows: type[Event], is_followed: bool
) -> None:
    """A warning restarts nothing, and what failed its checks is not prepared."""
    bus = EventBus()
    async with StateManager(tmp_path / "state") as state:
        coordinator = IntegrationCoordinator(state, bus, cast("Any", None), AlertService(state.alerts, bus))
        coordinator.start({})
        bus.publish(event)
        await bus.drain()
        assert any(isinstance(item, follows) for item in bus.history()) is is_followed
        await coordinator.close()


async def test_backup_on_schedule_ends_no_call_for_an_operator(tmp_path: Path) -> None:
    """What nobody could finish is as it was; a deployment that ends is what somebody did about it."""
    bus = EventBus()
    async with StateManager(tmp_path / "state") as state:
        coordinator = IntegrationCoordinator(state, bus, cast("Any", None), AlertService(state.alerts, bus))
        coordinator.start({})
        seen = []
        for id_, abandoned in (("DEPLOY-1", "It was interrupted."), ("SAVE-2", ""), ("DEPLOY-3", "")):
            bus.publish(replace(ended(abandoned=abandoned), deployment_id=id_))
            await bus.drain()
            seen.append([alert.fingerprint for alert in await state.alerts.open()])
        assert seen == [["abandoned:dev"], ["abandoned:dev"], []]
        await coordinator.close()
