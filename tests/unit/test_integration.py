"""Figures of the bot's own become alerts, and only what somebody can act on at once rings a phone."""

from pathlib import Path
from typing import Any, cast

import pytest

from roas.events import EventBus
from roas.integration import IntegrationCoordinator
from roas.models.events import IntegrationDegraded
from roas.monitoring.alerts.alert_service import AlertService
from roas.monitoring.metrics.integration_monitor import LIMITS, SUCCESS_RATE, Limit
from roas.state.manager import StateManager


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
