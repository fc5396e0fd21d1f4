"""Alerts are kept once for each occurrence, however often they are reported."""

from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
import time_machine

from roas.errors import InvalidRequestError, StateError
from roas.models.actor import Actor, ActorKind
from roas.models.alert import AlertReport, AlertSource, AlertState, RecoveryStatus, Severity
from roas.models.post import Post
from roas.models.recovery import RecoveryAction, RecoveryStep
from roas.models.stored import new_id
from roas.state.living_processes import boot_seconds
from roas.state.manager import StateManager
from roas.state.transaction import Transaction

REPORT = AlertReport("f1", AlertSource.HEALTH, Severity.HIGH, "web is down", environment="dev", service="web")
DORA = Actor(ActorKind.DISCORD, "7", "dora")
HOUR = timedelta(hours=1)


def later(duration: timedelta) -> AbstractContextManager[object]:
    """Let the machine have been up so much longer."""
    seconds = boot_seconds() + duration.total_seconds()
    return mock.patch("roas.state.living_processes.boot_seconds", return_value=seconds)


def booted_anew() -> AbstractContextManager[object]:
    return mock.patch("roas.state.living_processes.boot_id", return_value=new_id("BOOT"))


async def test_repeated_report_counted_not_raised(state: StateManager) -> None:
    (first,) = await state.alerts.take([REPORT])
    (second,) = await state.alerts.take([REPORT])
    assert first.triggered
    assert not second.triggered
    assert second.alert.id == first.alert.id
    assert second.alert.count == 2


async def test_quick_relapse_reopens_alert(state: StateManager) -> None:
    (first,) = await state.alerts.take([REPORT])
    (ended,) = await state.alerts.take([replace(REPORT, firing=False)])
    (again,) = await state.alerts.take([REPORT])
    assert ended.resolved
    assert again.triggered
    assert again.alert.id == first.alert.id
    assert again.alert.is_open


async def test_reopened_alert_unacknowledged_and_unsilenced(state: StateManager) -> None:
    """It ends again like a new one."""
    (first,) = await state.alerts.take([REPORT])
    await state.alerts.acknowledge(first.alert.id, DORA)
    await state.alerts.silence(first.alert.id, DORA, HOUR)
    (ended,) = await state.alerts.take([replace(REPORT, firing=False)])
    assert (ended.alert.state, ended.alert.silenced_until) == (AlertState.RESOLVED, None)
    (again,) = await state.alerts.take([replace(REPORT, title="web is down again", correlation_id="COR-2")])
    alert = again.alert
    assert (alert.state, alert.acknowledged_by, alert.silenced_by) == (AlertState.FIRING, None, None)
    assert (alert.title, alert.correlation_id, alert.resolved_at) == ("web is down again", "COR-2", None)
    (over,) = await state.alerts.take([replace(REPORT, firing=False)])
    assert (over.alert.id, over.resolved, over.alert.count) == (first.alert.id, True, 2)
    events = [change.metadata.get("event", "").rpartition(".")[2] for change in await state.changes()]
    assert [event for event in events if event] == ["triggered", "resolved"] * 2


async def test_redelivery_after_end_changes_nothing(state: StateManager) -> None:
    report = replace(REPORT, occurrence="2026-01-01T00:00:00Z")
    await state.alerts.take([report, report])
    await state.alerts.take([replace(report, firing=False)])
    assert await state.alerts.take([report]) == ()
    assert await state.alerts.open() == ()


async def test_unknown_resolution_changes_nothing(state: StateManager) -> None:
    assert await state.alerts.take([replace(REPORT, firing=False)]) == ()


async def test_higher_severity_triggers_again(state: StateManager) -> None:
    await state.alerts.take([replace(REPORT, severity=Severity.WARNING)])
    (worse,) = await state.alerts.take([REPORT])
    assert worse.triggered
    assert worse.alert.severity is Severity.HIGH


async def test_decisions_kept_and_audited(state: StateManager) -> None:
    (taken,) = await state.alerts.take([REPORT])
    assert (await state.alerts.acknowledge(taken.alert.id, DORA)).state is AlertState.ACKNOWLEDGED
    assert (await state.alerts.silence(taken.alert.id, DORA, HOUR)).state is AlertState.SILENCED
    assert await state.alerts.end_silences() == ()
    with later(HOUR):
        (loud,) = await state.alerts.end_silences()
    assert loud.state is AlertState.FIRING
    assert [change.new for change in await state.changes()] == ["web is down", "acknowledged", "silenced"]


async def test_alert_and_change_written_atomically(state: StateManager) -> None:
    over = replace(REPORT, firing=False)
    (taken,) = await state.alerts.take([REPORT])
    await state.alerts.take([over])
    told = [(change.subject, change.new, change.metadata["event"]) for change in await state.changes()]
    assert told == [
        (taken.alert.id, "web is down", "monitoring.alert.triggered"),
        (taken.alert.id, "resolved: web is down", "monitoring.alert.resolved"),
    ]
    with mock.patch.object(Transaction, "add_change", side_effect=StateError("no room")), pytest.raises(StateError):
        await state.alerts.take([REPORT])
    assert await state.alerts.open() == ()
    assert len(await state.changes()) == 2


async def test_repeated_count_is_no_change(state: StateManager) -> None:
    await state.alerts.take([REPORT, REPORT, REPORT])
    assert len(await state.changes()) == 1


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_wall_clock_jump_keeps_silence(state: StateManager, jump: timedelta) -> None:
    """It neither ends nor lengthens it."""
    (taken,) = await state.alerts.take([REPORT])
    await state.alerts.silence(taken.alert.id, DORA, HOUR)
    with time_machine.travel(datetime.now(UTC) + jump, tick=True):
        assert await state.alerts.end_silences() == ()
        with later(HOUR):
            assert len(await state.alerts.end_silences()) == 1


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_wall_clock_jump_keeps_relapse_window(state: StateManager, jump: timedelta) -> None:
    """It neither splits a flap into two alerts nor joins two alerts."""
    (first,) = await state.alerts.take([REPORT])
    await state.alerts.take([replace(REPORT, firing=False)])
    with time_machine.travel(datetime.now(UTC) + jump, tick=True):
        (again,) = await state.alerts.take([REPORT])
        assert again.alert.id == first.alert.id
        await state.alerts.take([replace(REPORT, firing=False)])
        with later(timedelta(minutes=11)):
            (another,) = await state.alerts.take([REPORT])
    assert another.alert.id != first.alert.id


async def test_wall_clock_decides_after_reboot(state: StateManager) -> None:
    (first, quiet) = await state.alerts.take([REPORT, replace(REPORT, fingerprint="f2")])
    await state.alerts.silence(quiet.alert.id, DORA, HOUR)
    await state.alerts.take([replace(REPORT, firing=False)])
    with booted_anew():
        (again,) = await state.alerts.take([REPORT])
        assert again.alert.id == first.alert.id
        assert await state.alerts.end_silences() == ()
        await state.alerts.take([replace(REPORT, firing=False)])
    with booted_anew(), time_machine.travel(datetime.now(UTC) + HOUR, tick=True):
        (another,) = await state.alerts.take([REPORT])
        assert another.alert.id != first.alert.id
        assert len(await state.alerts.end_silences()) == 1


async def test_resolved_alert_cannot_be_acknowledged(state: StateManager) -> None:
    (taken,) = await state.alerts.take([REPORT])
    await state.alerts.take([replace(REPORT, firing=False)])
    with pytest.raises(InvalidRequestError):
        await state.alerts.acknowledge(taken.alert.id, DORA)


async def test_change_notified_once(state: StateManager) -> None:
    (taken,) = await state.alerts.take([REPORT])
    assert await state.alerts.pending_notification() == (taken.alert,)
    await state.alerts.mark_notified([taken.alert])
    assert await state.alerts.pending_notification() == ()
    await state.alerts.note(taken.alert.id, "restarted it", healing=RecoveryStatus.UNDER_WAY)
    (changed,) = await state.alerts.pending_notification()
    assert changed.actions == ("restarted it",)


async def test_attempts_kept_and_unfinished_found(state: StateManager) -> None:
    now = datetime.now(UTC)
    step = RecoveryStep("STEP-1", "ALERT-1", "dev", "web", RecoveryAction.RESTART, now)
    await state.recoveries.save(step)
    assert await state.recoveries.unfinished("ALERT-1") == (step,)
    ended = replace(step, result="healthy", ended=True)
    await state.recoveries.save(ended)
    assert await state.recoveries.unfinished("ALERT-1") == ()
    assert await state.recoveries.of("dev", "web", RecoveryAction.RESTART) == (ended,)
    assert await state.recoveries.of("dev", None, RecoveryAction.RESTART) == (ended,)
    assert await state.recoveries.of("dev", "web", RecoveryAction.RECREATE) == ()
    await state.recoveries.prune(now + timedelta(seconds=1))
    assert await state.recoveries.of("dev", "web", RecoveryAction.RESTART) == ()


async def test_wall_clock_set_back_keeps_alert_open(state: StateManager) -> None:
    await state.alerts.take([REPORT])
    await state.alerts.take([replace(REPORT, firing=False)])
    with later(HOUR), time_machine.travel(datetime.now(UTC) + HOUR, tick=True):
        (another,) = await state.alerts.take([REPORT])
        # And the clock is set back.
    (again,) = await state.alerts.take([REPORT])
    assert again.alert.id == another.alert.id
    await state.alerts.take([replace(REPORT, firing=False)])
    assert await state.alerts.open() == ()


async def test_reopened_alert_may_escalate_again(state: StateManager) -> None:
    (taken,) = await state.alerts.take([REPORT])
    called = await state.alerts.note(taken.alert.id, "nothing helped", escalated=True)
    assert called is not None
    assert called.escalated_at is not None
    await state.alerts.take([replace(REPORT, firing=False)])
    (again,) = await state.alerts.take([REPORT])
    assert (again.alert.escalated, again.alert.escalated_at) == (False, None)


async def test_resolved_alert_kept_for_retention(state: StateManager) -> None:
    taken = [(await state.alerts.take([replace(REPORT, fingerprint=f"f{n}")]))[0].alert for n in range(6)]
    for n in range(5):
        await state.alerts.take([replace(REPORT, fingerprint=f"f{n}", firing=False)])
    await state.alerts.mark_notified([alert for alert in await state.alerts.all() if alert.id != taken[0].id])
    await state.posts.save(Post(taken[1].id, "alert", 1))
    assert await state.alerts.prune(2) == 2
    # The open one, the one that the channel does not know the end of, and the newest two.
    assert [alert.id for alert in await state.alerts.all()] == [taken[n].id for n in (0, 3, 4, 5)]
    assert await state.posts.get(taken[1].id, "alert") is None
