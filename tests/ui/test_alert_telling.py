"""The channel is told of every alert from the journal alone: once, calmly, and through the same outbox as all else."""

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from bot.events import EventBus
from bot.models.alert import Alert, AlertReport, AlertSource, AlertState, Severity
from bot.monitoring.alert_desk import AlertDesk
from bot.state.manager import StateManager
from bot.ui.live_messages import Calls
from bot.ui.ops_channel import ChannelClosedError, DiscordAwayError
from tests.ui.conftest import FakeChannel, Messages
from tests.ui.story import until

STORM = 1000


def a_report(number: int = 0, **changes: Any) -> AlertReport:
    report = AlertReport(
        f"f{number}", AlertSource.HEALTH, Severity.WARNING, "dev: web is down", environment="dev", service="web"
    )
    return replace(report, **changes)


def open_desk(state: StateManager, bus: EventBus) -> AlertDesk:
    return AlertDesk(state.alerts, bus, str)


async def all_told(state: StateManager) -> bool:
    return not await state.alerts.untold()


async def the_alert(state: StateManager) -> Alert:
    (alert,) = await state.alerts.all()
    return alert


async def test_a_burst_of_changes_becomes_few_edits_and_the_last_state_is_shown(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start(between_edits=0.6)
    desk = open_desk(state, bus)
    await desk.take([a_report()])
    await until(lambda: bool(channel.messages))
    for number in range(40):
        await desk.note((await the_alert(state)).id, f"tried {number}")
        await asyncio.sleep(0.01)
    await until(lambda: "tried 39" in str(channel.messages[1000].embeds[0].to_dict()))
    assert len(channel.messages) == 1
    times = [moment for _what, _id, moment in channel.log]
    assert all(later - earlier >= 0.59 for earlier, later in pairwise(times))
    await until(lambda: all_told(state))


async def test_a_storm_makes_few_messages_whose_numbers_are_right_in_the_end(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start()
    desk = open_desk(state, bus)
    for part in range(10):
        numbers = range(part * STORM // 10, (part + 1) * STORM // 10)
        await desk.take([a_report(number, severity=Severity.HIGH) for number in numbers])
    await until(lambda: all_told(state), within_seconds=30)
    assert len(channel.messages) <= 10
    assert any(f"{STORM} alerts at once" in title for title in channel.titles())


async def test_a_call_for_help_that_did_not_go_out_before_the_bot_was_killed_is_made_once_by_the_next(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    first = messages.start(calls=Calls(alert_role=42))
    desk = open_desk(state, bus)
    await desk.take([a_report(severity=Severity.HIGH)])
    await until(lambda: all_told(state))
    channel.faults = [DiscordAwayError("503")] * 10_000
    await desk.note((await the_alert(state)).id, "nothing helped", escalated=True)
    attempts = channel.attempts
    await until(lambda: channel.attempts > attempts)
    await first.close()
    assert len(channel.messages) == 1
    channel.faults = []

    for _bot in range(2):
        following = messages.start(calls=Calls(alert_role=42))
        await until(lambda: all_told(state))
        await following.close()
    assert [title.partition(" ")[0] for title in channel.titles()] == ["🟠", "🆘"]
    alert, call = channel.messages
    assert channel.replies[call] == alert
    assert channel.messages[call].pings == (42,)


async def test_a_call_for_help_goes_out_although_discord_was_away_just_after_the_alert_was_edited(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start()
    desk = open_desk(state, bus)
    await desk.take([a_report(severity=Severity.HIGH)])
    await until(lambda: all_told(state))

    def forbids_the_first_call(drawing: Any, reply_to: int | None) -> bool:
        if reply_to is None:
            return False
        channel.forbids = lambda _drawing, _reply_to: False
        raise DiscordAwayError("503")

    channel.forbids = forbids_the_first_call
    await desk.note((await the_alert(state)).id, "nothing helped", escalated=True)
    await until(lambda: len(channel.messages) == 2)


async def test_an_alert_that_cannot_be_drawn_does_not_silence_the_others(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.ui import alert_telling

    draw = alert_telling.draw_alert

    def draw_or_break(alert: Alert, role: int | None) -> Any:
        if alert.title == "broken":
            raise ZeroDivisionError
        return draw(alert, role)

    monkeypatch.setattr(alert_telling, "draw_alert", draw_or_break)
    messages.start()
    await open_desk(state, bus).take([a_report(1, title="broken"), a_report(2)])
    await until(lambda: channel.titles() == ["🟡 dev: web is down"])


async def test_a_channel_that_is_closed_to_an_alert_is_told_once_and_on_status(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, capsys: pytest.CaptureFixture[str]
) -> None:
    channel.faults = [ChannelClosedError("Unknown Channel")] * 5
    running = messages.start()
    await open_desk(state, bus).take([a_report()])
    await until(lambda: "Unknown Channel" in running.trouble)
    await until(lambda: bool(channel.messages))
    assert running.trouble == ""
    assert capsys.readouterr().out.count("the ops channel is closed to the bot") == 1


async def test_an_alert_whose_message_was_deleted_is_told_again_with_its_next_change(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start()
    desk = open_desk(state, bus)
    await desk.take([a_report()])
    await until(lambda: all_told(state))
    channel.messages.clear()
    await desk.take([a_report(firing=False)])
    await until(lambda: channel.titles() == ["✅ dev: web is down"])
    assert (await the_alert(state)).state is AlertState.RESOLVED
