"""A second bot with this bot's token, or with its state folder, is recognised and named."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roas.alerts import bot_alerts
from roas.alerts.alert_service import AlertService
from roas.alerts.bot_alerts import DuplicateToken, SharedStateFolder
from roas.events import EventBus
from roas.models.alert import AlertState
from roas.models.ownership import Heartbeat
from roas.state.manager import StateManager


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[StateManager]:
    async with StateManager(tmp_path / "state") as manager:
        yield manager


@pytest.fixture
async def alerts(state: StateManager) -> AsyncIterator[AlertService]:
    bus = EventBus()
    yield AlertService(state.alerts, bus)
    await bus.close()


async def shown(state: StateManager) -> list[tuple[str, AlertState]]:
    return [(alert.title, alert.state) for alert in await state.alerts.all()]


async def test_duplicate_named_after_two_meetings(state, alerts, monkeypatch) -> None:
    """One may be the library's own retry, and a new leader tries what the one before it answered."""

    async def holders() -> tuple[str, ...]:
        return ("container old-bot-1 (old)",)

    duplicate = DuplicateToken(alerts, holders)
    duplicate.met(1, leading_seconds=3.0)
    for _ in range(2):
        duplicate.met(2, leading_seconds=60.0)
        await duplicate.check()
    assert await shown(state) == []
    duplicate.met(3, leading_seconds=61.0)
    for _ in range(2):
        await duplicate.check()
    (alert,) = await state.alerts.open()
    assert alert.title == "another bot uses this bot's token"
    assert "used by container old-bot-1 (old)" in alert.summary
    monkeypatch.setattr(bot_alerts, "WINDOW_SECONDS", -1.0)
    await duplicate.check()
    assert await shown(state) == [(alert.title, AlertState.RESOLVED)]


async def test_two_stacks_on_one_folder_named(state, alerts, tmp_path) -> None:
    """Only a bot that lives counts, and only one of another project."""
    sharing = SharedStateFolder(state, alerts)
    await state.ownership.beat(Heartbeat(state.instance_id, "boot", 1.0, project="shop"))
    await state.ownership.beat(Heartbeat("BOT-dead", "boot", 1.0, project="dead"))
    await sharing.check()
    assert await shown(state) == []
    async with StateManager(tmp_path / "state") as other:
        for project in ("shop", "office"):
            await other.ownership.beat(Heartbeat(other.instance_id, "boot", 1.0, project=project))
            await sharing.check()
        (alert,) = await state.alerts.open()
        assert "Bots of office use" in alert.summary
    await sharing.check()
    assert await state.alerts.open() == ()
