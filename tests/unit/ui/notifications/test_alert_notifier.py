"""The channel is told of every alert from the journal alone: once, calmly, and through the same outbox as all else."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import time_machine

from roas.alerts.alert_service import AlertService
from roas.events import EventBus
from roas.models.actor import Actor, ActorKind
from roas.models.alert import Alert, AlertReport, AlertSource, AlertState, Severity
from roas.state.manager import StateManager
from roas.ui.drawing import Drawing
from roas.ui.embeds.alert import LISTED, draw_open_alerts
from roas.ui.notifications.alert_notifier import AlertNotifier
from roas.ui.notifications.live_messages import PingRoles
from roas.ui.notifications.notifier import Pace
from roas.ui.notifications.ops_channel import ChannelClosedError, DiscordAwayError
from tests.unit.ui.conftest import FakeChannel, Messages
from tests.unit.ui.story import until

STORM = 1000
DORA = Actor(ActorKind.DISCORD, "7", "dora")


def a_report(number: int = 0, **changes: Any) -> AlertReport:
    report = AlertReport(
        f"f{number}", AlertSource.HEALTH, Severity.WARNING, "dev: web is down", environment="dev", service="web"
    )
    return replace(report, **changes)


def open_alert_service(state: StateManager, bus: EventBus) -> AlertService:
    return AlertService(state.alerts, bus, str)


async def all_told(state: StateManager) -> bool:
    return not await state.alerts.pending_notification()


async def the_alert(state: StateManager) -> Alert:
    (alert,) = await state.alerts.all()
    return alert


async def test_burst_becomes_few_edits_with_last_state(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start(between_edits=0.6)
    alert_service = open_alert_service(state, bus)
    await alert_service.take([a_report()])
    await until(lambda: bool(channel.messages))
    for number in range(40):
        await alert_service.note((await the_alert(state)).id, f"tried {number}")
        await asyncio.sleep(0.01)
    await until(lambda: "tried 39" in str(channel.messages[1000].embeds[0].to_dict()))
    assert len(channel.messages) == 1
    times = [moment for _what, _id, moment in channel.log]
    assert all(later - earlier >= 0.59 for earlier, later in pairwise(times))
    await until(lambda: all_told(state))


async def test_storm_makes_few_messages_with_right_counts(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start()
    alert_service = open_alert_service(state, bus)
    for part in range(10):
        numbers = range(part * STORM // 10, (part + 1) * STORM // 10)
        await alert_service.take([a_report(number, severity=Severity.HIGH) for number in numbers])
    await until(lambda: all_told(state), within_seconds=30)
    assert len(channel.messages) <= 10
    assert any(f"{STORM} alerts" in title for title in channel.titles())


def titled(channel: FakeChannel, sign: str) -> list[int]:
    """Return the messages whose title begins with a sign."""
    return [number for number, drawing in channel.messages.items() if (drawing.embeds[0].title or "")[0] == sign]


def pinging(channel: FakeChannel) -> list[int]:
    """Return the messages that called the role when they were posted."""
    return [number for number, drawing in channel.sent if drawing.pings == (42,) and "<@&42>" in drawing.content]


async def test_raised_severity_pings_in_new_message(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start(ping_roles=PingRoles(alert_role=42))
    alert_service = open_alert_service(state, bus)
    await alert_service.take([a_report(title="dev: web was stopped manually")])
    await until(lambda: all_told(state))
    await alert_service.take([a_report(firing=False)])
    await until(lambda: all_told(state))
    assert pinging(channel) == []
    for _flap in range(2):
        await alert_service.take([a_report(severity=Severity.HIGH)])
        await until(lambda: all_told(state))
        await alert_service.take([a_report(severity=Severity.HIGH, firing=False)])
        await until(lambda: all_told(state))
    alert, call = channel.messages
    assert pinging(channel) == [call]
    assert channel.replies[call] == alert
    assert channel.titles() == ["✅ dev: web is down", "🟠 Now urgent: dev: web is down"]


async def test_urgent_alert_that_comes_back_long_after_it_pinged_pings_again(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    """Whoever was told that it is over is told that it is not; while it comes and goes, once in a while."""
    messages.start(ping_roles=PingRoles(alert_role=42))
    alert_service = open_alert_service(state, bus)
    report = a_report(severity=Severity.HIGH)
    await alert_service.take([report])
    await until(lambda: all_told(state))
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=2), tick=True):
        for firing in (False, True, False, True, False):
            await alert_service.take([replace(report, firing=firing)])
            await until(lambda: all_told(state))
    alert, again = channel.messages
    assert pinging(channel) == [alert, again]
    assert channel.replies[again] == alert
    assert channel.titles() == ["✅ dev: web is down", "🟠 It is back: dev: web is down"]


async def test_urgent_alert_pings_once(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    for severity in (Severity.HIGH, Severity.CRITICAL, Severity.HIGH):  # and each bot goes on where the last one ended
        running = messages.start(ping_roles=PingRoles(alert_role=42))
        await open_alert_service(state, bus).take([a_report(severity=severity)])
        await until(lambda: all_told(state))
        await running.close()
        await open_alert_service(state, bus).take([a_report(firing=False)])
    assert len(channel.messages) == 1
    assert len(pinging(channel)) == 1


@pytest.mark.parametrize("told_first", [True, False])
async def test_ping_sent_once_despite_kill(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, told_first: bool
) -> None:
    """The bot is killed before it knows that the message was posted."""
    first = messages.start(ping_roles=PingRoles(alert_role=42))
    alert_service = open_alert_service(state, bus)
    if told_first:
        await alert_service.take([a_report()])
        await until(lambda: all_told(state))
        channel.forbids = lose_answers(channel)
    else:
        channel.lose_answers = 10_000
    await alert_service.take([a_report(severity=Severity.HIGH)])
    await until(lambda: bool(pinging(channel)))
    await first.close()
    channel.lose_answers, channel.forbids = 0, lambda _drawing, _reply_to: False
    for _bot in range(2):
        following = messages.start(ping_roles=PingRoles(alert_role=42))
        await until(lambda: all_told(state))
        await following.close()
    assert len(pinging(channel)) == 1
    assert len(channel.messages) == 1 + told_first


def lose_answers(channel: FakeChannel) -> Callable[[Drawing, int | None], bool]:
    """Let Discord take new messages and say so to nobody."""

    def take(_drawing: Drawing, reply_to: int | None) -> bool:
        channel.lose_answers = 10_000 if reply_to is not None else 0
        return False

    return take


async def test_silenced_alert_pings_when_silence_ends(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start(ping_roles=PingRoles(alert_role=42))
    alert_service = open_alert_service(state, bus)
    await alert_service.take([a_report()])
    await alert_service.silence((await the_alert(state)).id, DORA, timedelta(0))
    await alert_service.take([a_report(severity=Severity.HIGH)])
    await until(lambda: all_told(state))
    assert pinging(channel) == []
    await alert_service.end_silences()
    await until(lambda: all_told(state))
    assert len(pinging(channel)) == 1


async def test_simultaneous_raised_severities_ping_once(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start(ping_roles=PingRoles(alert_role=42))
    alert_service = open_alert_service(state, bus)
    await alert_service.take([a_report(number) for number in range(40)])
    await until(lambda: all_told(state))
    await alert_service.take([a_report(number, severity=Severity.HIGH) for number in range(40)])
    await until(lambda: all_told(state))
    group, call = channel.messages
    assert pinging(channel) == [call]
    assert channel.replies[call] == group
    assert "40 alerts" in channel.titles()[1]


async def test_storm_of_40_escalations_stays_readable(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    """Forty services that stay down escalate in few messages that forget none."""
    messages.start(ping_roles=PingRoles(alert_role=42))
    alert_service = open_alert_service(state, bus)
    names = [f"service-{number:02}" for number in range(40)]
    for number, name in enumerate(names):  # the first few have messages of their own
        await alert_service.take([a_report(number, service=name, severity=Severity.HIGH, title=f"dev: {name} is down")])
        if number < 3:
            await until(lambda: all_told(state))
    await until(lambda: all_told(state))
    for alert in await state.alerts.open():
        await alert_service.note(alert.id, "nothing helped", escalated=True)
    await until(lambda: all_told(state))
    assert len(channel.messages) <= 10
    needed = [channel.messages[number] for number in titled(channel, "🆘")]
    assert sum(told_of(drawing) for drawing in needed) == 40
    assert all(drawing.pings == (42,) for drawing in needed)
    on_status = draw_open_alerts(await state.alerts.open())
    assert on_status is not None
    assert "Open alerts: 40" in str(on_status.title)
    assert {change.subject for change in await state.changes(limit=500)} == {one.id for one in await state.alerts.all()}


def told_of(drawing: Drawing) -> int:
    """Return how many alerts a ping is about: those that it names, and those that it counts."""
    text = drawing.embeds[0].description or ""
    title = drawing.embeds[0].title or ""
    more = re.search(r"… and (\d+) more", text)
    named = len(re.findall(r"service-\d\d is down", text))
    return (named + int(more.group(1)) if more else named) or int("service-" in title)


async def test_simultaneous_escalations_share_message(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alerts with messages of their own share one escalation."""
    monkeypatch.setattr(AlertNotifier, "_remaining", lambda _self: 3)  # as if they had come over a long time
    running = messages.start(ping_roles=PingRoles(alert_role=42))
    alert_service = open_alert_service(state, bus)
    for number in range(12):
        await alert_service.take([a_report(number, severity=Severity.HIGH)])
        await until(lambda: all_told(state))
    assert len(channel.messages) == 12
    await running.close()
    for alert in await state.alerts.open():
        await alert_service.note(alert.id, "nothing helped", escalated=True)
    for _bot in range(2):
        following = messages.start(ping_roles=PingRoles(alert_role=42))
        await until(lambda: all_told(state))
        await following.close()
    (call,) = titled(channel, "🆘")
    assert "12 alerts" in (channel.messages[call].embeds[0].title or "")
    for number in range(12):
        await alert_service.take([a_report(number, firing=False)])
    messages.start(ping_roles=PingRoles(alert_role=42))
    await until(lambda: all_told(state))
    assert len(channel.messages) == 13
    assert channel.text(call).count("✅") == 12


async def test_reposted_resolved_alert_pings_nobody(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start(ping_roles=PingRoles(alert_role=42))
    alert_service = open_alert_service(state, bus)
    await alert_service.take([a_report(severity=Severity.HIGH)])
    await until(lambda: all_told(state))
    assert len(pinging(channel)) == 1
    channel.messages.clear()
    await alert_service.take([a_report(firing=False)])
    await until(lambda: channel.titles() == ["✅ dev: web is down"])
    assert len(pinging(channel)) == 1


async def test_resolved_before_post_pings_once(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    """An alert that ended while Discord was away is posted once and pings once."""
    alert_service = open_alert_service(state, bus)
    await alert_service.take([a_report(severity=Severity.HIGH), a_report(severity=Severity.HIGH, firing=False)])
    messages.start(ping_roles=PingRoles(alert_role=42))
    await until(lambda: all_told(state))
    assert channel.titles() == ["✅ dev: web is down"]
    assert len(pinging(channel)) == 1


async def test_only_listed_alerts_redacted(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    searched: list[str] = []

    def redact(text: str) -> str:
        searched.append(text)
        return text.replace("hunter2", "[redacted]")

    await state.alerts.take([a_report(number, title=f"hunter2 {number}") for number in range(STORM)])
    messages.start(redact=redact)
    await until(lambda: all_told(state))
    assert len([text for text in searched if "hunter2" in text]) <= 3 * LISTED
    (drawing,) = channel.messages.values()
    assert "[redacted] 1" in str(drawing.embeds[0].to_dict())
    assert "hunter2" not in str(drawing.embeds[0].to_dict())


async def test_escalation_sent_once_by_next_bot(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    """It had not gone out before the bot was killed."""
    first = messages.start(ping_roles=PingRoles(alert_role=42))
    alert_service = open_alert_service(state, bus)
    await alert_service.take([a_report(severity=Severity.HIGH)])
    await until(lambda: all_told(state))
    channel.faults = [DiscordAwayError("503")] * 10_000
    await alert_service.note((await the_alert(state)).id, "nothing helped", escalated=True)
    attempts = channel.attempts
    await until(lambda: channel.attempts > attempts)
    await first.close()
    assert len(channel.messages) == 1
    channel.faults = []

    for _bot in range(2):
        following = messages.start(ping_roles=PingRoles(alert_role=42))
        await until(lambda: all_told(state))
        await following.close()
    assert [title.partition(" ")[0] for title in channel.titles()] == ["🟠", "🆘"]
    alert, call = channel.messages
    assert channel.replies[call] == alert
    assert channel.messages[call].pings == (42,)


async def test_escalation_sent_despite_outage(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    """Discord was away just after the alert was edited."""
    messages.start()
    alert_service = open_alert_service(state, bus)
    await alert_service.take([a_report(severity=Severity.HIGH)])
    await until(lambda: all_told(state))

    def forbids_the_first_call(drawing: Any, reply_to: int | None) -> bool:
        if reply_to is None:
            return False
        channel.forbids = lambda _drawing, _reply_to: False
        raise DiscordAwayError("503")

    channel.forbids = forbids_the_first_call
    await alert_service.note((await the_alert(state)).id, "nothing helped", escalated=True)
    await until(lambda: len(channel.messages) == 2)


async def test_undrawable_alert_does_not_block_others(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    from roas.ui.notifications import alert_notifier

    draw = alert_notifier.draw_alert

    def draw_or_break(alert: Alert, role: int | None) -> Any:
        if alert.title == "broken":
            raise ZeroDivisionError
        return draw(alert, role)

    monkeypatch.setattr(alert_notifier, "draw_alert", draw_or_break)
    messages.start()
    await open_alert_service(state, bus).take([a_report(1, title="broken"), a_report(2)])
    await until(lambda: channel.titles() == ["🟡 dev: web is down"])


async def test_closed_channel_reported_once(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in the log once, and on the status."""
    channel.faults = [ChannelClosedError("Unknown Channel")] * 5
    running = messages.start()
    await open_alert_service(state, bus).take([a_report()])
    await until(lambda: "Unknown Channel" in running.trouble(""))
    await until(lambda: bool(channel.messages))
    assert running.trouble("") == ""
    assert caplog.text.count("ops channel is not accessible") == 1


async def test_deleted_alert_message_reposted_on_change(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start()
    alert_service = open_alert_service(state, bus)
    await alert_service.take([a_report()])
    await until(lambda: all_told(state))
    channel.messages.clear()
    await alert_service.take([a_report(firing=False)])
    await until(lambda: channel.titles() == ["✅ dev: web is down"])
    assert (await the_alert(state)).state is AlertState.RESOLVED


@pytest.mark.parametrize("hides_messages", [False, True])
async def test_what_became_urgent_after_a_lost_answer_pings(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, hides_messages: bool
) -> None:
    """The message is there, without a ping; neither an edit nor a second attempt pings anybody."""
    channel.lose_answers, channel.hides_messages = 1, hides_messages
    messages.start(Pace(poll=60, first_retry=0.2, longest_retry=0.2), ping_roles=PingRoles(alert_role=42))
    alert_service = open_alert_service(state, bus)
    await alert_service.take([a_report()])
    await until(lambda: channel.lose_answers == 0)
    await alert_service.take([a_report(severity=Severity.HIGH)])
    await until(lambda: all_told(state))
    assert channel.titles() == ["🟠 dev: web is down", "🟠 Now urgent: dev: web is down"]
    assert len(pinging(channel)) == 1
