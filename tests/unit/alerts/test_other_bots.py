"""What the bot finds of itself: another bot on its token or its folder, and a freeze that is over soon."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from roas.alerts import bot_alerts
from roas.alerts.alert_service import AlertService
from roas.alerts.bot_alerts import DuplicateToken, FreezeReminder, SharedStateFolder
from roas.events import EventBus
from roas.models.actor import Actor, ActorKind
from roas.models.alert import AlertState
from roas.models.deployment import Freeze
from roas.models.leader_lease import Heartbeat
from roas.state.manager import StateManager


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


@pytest.mark.parametrize("restarted", [False, True])
async def test_end_of_a_freeze_is_told_before_and_once(state, alerts, restarted) -> None:
    """A quarter of an hour before, by whichever bot leads then; lifted or over, the alert ends."""
    dora, now = Actor(ActorKind.DISCORD, "1", "dora"), datetime(2026, 6, 1, 12, tzinfo=UTC)
    reminder = FreezeReminder(state, alerts)
    with time_machine.travel(now, tick=False) as clock:
        await state.freezes.put(Freeze("prod", dora, "the fair", now, now + timedelta(hours=1)))
        await state.freezes.put(Freeze("dev", dora, "no end", now))
        await reminder.check()
        assert await shown(state) == []
        clock.move_to(now + timedelta(minutes=46))
        for _ in range(2):
            reminder = FreezeReminder(state, alerts) if restarted else reminder
            await reminder.check()
        (alert,) = await state.alerts.all()
        assert alert.environment == "prod"
        assert alert.summary == "prod is locked by dora until 2026-06-01 13:00 UTC: the fair"
        await state.freezes.lift("prod", dora)
        await reminder.check()
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
