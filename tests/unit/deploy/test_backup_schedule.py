"""Data is backed up at its time, once, by whichever process leads then; what fails or has to wait is an alert."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from roas.alerts.alert_service import AlertService
from roas.app.backup_schedule import BackupSchedule
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.models.backup import BackupReason
from roas.models.deployment import Freeze, Operation, Outcome, Scale, Stop
from roas.models.windows import Windows, read_window
from roas.ui.notifications.targets import severity_of
from tests.unit.deploy.data.fake_data import RULE, WithData
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.requested import DORA, deploy, rollback

AFTERNOON = datetime(2026, 6, 1, 15, 0, tzinfo=UTC)
BERLIN = Windows((read_window("0 22 * * * for 4h"),), zone="Europe/Berlin")
NIGHTLY = replace(RULE, every="0 3 * * *")


@pytest.fixture
def clock():
    with time_machine.travel(AFTERNOON, tick=True) as traveller:
        yield traveller


@pytest.fixture
def environment(environment, clock):
    return replace(environment, windows=BERLIN)


@pytest.fixture
def engine() -> WithData:
    return WithData({"store": service("store", backup=NIGHTLY), "web": service("web", "store")})


@pytest.fixture
def schedule(state, bus, engine, orchestrator, environment) -> BackupSchedule:
    return BackupSchedule(engine, state, AlertService(state.alerts, bus, str), {"dev": environment}, orchestrator.start)


@pytest.fixture
async def released(orchestrator, clock) -> None:
    clock.move_to(AFTERNOON + timedelta(hours=6))  # in the window
    await orchestrator.run(deploy("v1"))


async def look(schedule: BackupSchedule, orchestrator: DeploymentOrchestrator) -> list[Outcome]:
    """Look what is due, wait for it, and look again; returns how the backups on schedule ended."""
    await schedule.check()
    for deployment in await orchestrator._components.state.deployments.list("dev"):
        await orchestrator.wait(deployment.id)
    await schedule.check()
    found = await orchestrator._components.state.deployments.list("dev")
    return [found.outcome for found in reversed(found) if found.request.operation is Operation.SAVE]


async def firing(state) -> list[str]:
    return [alert.summary for alert in await state.alerts.open()]


async def test_data_is_backed_up_at_its_time(state, orchestrator, schedule, clock, released):
    """By the clock of the environment's windows, also outside of these and while nobody may deploy."""
    await state.freezes.put(Freeze("dev", DORA, "a holiday", datetime.now(UTC)))
    clock.move_to(datetime(2026, 6, 2, 0, 59, tzinfo=UTC))
    assert await look(schedule, orchestrator) == []
    clock.move_to(datetime(2026, 6, 2, 1, 0, 5, tzinfo=UTC))
    assert await look(schedule, orchestrator) == [Outcome.SUCCEEDED]
    backup, *_ = await state.data_backups.list("dev")
    assert (backup.reason, backup.service, backup.release) == (BackupReason.SCHEDULE, "store", 1)
    assert await look(schedule, orchestrator) == [Outcome.SUCCEEDED]
    assert backup not in await state.data_backups.of_release("dev", 1), "it belongs to no release"
    assert await firing(state) == []


async def test_what_was_missed_runs_once(state, orchestrator, schedule, clock, released):
    clock.move_to(AFTERNOON + timedelta(days=9))
    assert await look(schedule, orchestrator) == [Outcome.SUCCEEDED]
    assert await look(schedule, orchestrator) == [Outcome.SUCCEEDED]


async def test_failed_backup_is_an_alert_until_one_succeeds(state, orchestrator, engine, schedule, clock, released):
    engine.data.refuses = True
    clock.move_to(AFTERNOON + timedelta(days=1))
    assert await look(schedule, orchestrator) == [Outcome.FAILED]
    (text,) = await firing(state)
    assert "the disk is full" in text
    (failed,) = await state.deployments.list("dev", limit=1)
    assert severity_of(failed) is None, "the alert is what tells"
    assert await look(schedule, orchestrator) == [Outcome.FAILED], "not at once again"
    engine.data.refuses = False
    clock.shift(timedelta(hours=1, minutes=1))
    assert await look(schedule, orchestrator) == [Outcome.FAILED, Outcome.SUCCEEDED]
    assert await firing(state) == []


async def test_alert_stays_while_it_is_tried_again(state, orchestrator, engine, schedule, clock, released):
    """It is told once: an alert that ended with each new attempt would call people every hour."""
    engine.data.refuses = True
    clock.move_to(AFTERNOON + timedelta(days=1))
    await look(schedule, orchestrator)
    (told,) = await state.alerts.open()
    engine.data.hold = asyncio.Event()
    for _ in range(2):
        clock.shift(timedelta(hours=1, minutes=1))
        await schedule.check()
        await schedule.check()
        assert [alert.id for alert in await state.alerts.open()] == [told.id]
    engine.data.hold.set()
    await look(schedule, orchestrator)
    (still,) = await state.alerts.open()
    assert (still.id, still.relapsed_at) == (told.id, None)


async def test_service_without_a_container_is_no_success(state, orchestrator, engine, schedule, clock, released):
    """Nobody would hear for days that nothing is backed up; who has no replica has nothing to be backed up."""
    engine.data.gone = True
    clock.move_to(AFTERNOON + timedelta(days=1))
    assert await look(schedule, orchestrator) == [Outcome.FAILED]
    (text,) = await firing(state)
    assert "The data of store was not backed up: it has no container." in text
    await state.scales.put(Scale("dev", "store", 0, 1, DORA, "", datetime.now(UTC)), None)
    clock.move_to(AFTERNOON + timedelta(days=2))
    assert await look(schedule, orchestrator) == [Outcome.FAILED]


async def test_clock_that_was_ahead_holds_nothing_up(state, orchestrator, schedule, clock, released):
    clock.move_to(datetime(2030, 1, 1, tzinfo=UTC))
    assert await look(schedule, orchestrator) == [Outcome.SUCCEEDED]
    clock.move_to(datetime(2026, 6, 2, 1, 1, tzinfo=UTC))
    for day in range(4):
        clock.move_to(datetime(2026, 6, 2 + day, 1, 1, tzinfo=UTC))
        assert await look(schedule, orchestrator) == [Outcome.SUCCEEDED] * (day + 2)
    kept = [backup for backup in await state.data_backups.list("dev") if backup.reason is BackupReason.SCHEDULE]
    assert [backup.created_at.day for backup in kept] == [5, 4], "the last two that were made"


async def test_frequent_backups_hide_no_rare_one(state, orchestrator, engine, schedule, clock, monkeypatch):
    """Of what is backed up once a week, the last time is known beside hundreds of others."""
    monkeypatch.setattr("roas.state.deployments.reader.SAVES_READ", 3)
    engine.stack["web"] = service("web", "store", backup=replace(RULE, every="0 * * * *"))
    clock.move_to(AFTERNOON + timedelta(hours=6))
    await orchestrator.run(deploy("v1"))
    for hour in range(4, 16):
        clock.move_to(datetime(2026, 6, 2, hour, 1, tzinfo=UTC))
        await look(schedule, orchestrator)
        await look(schedule, orchestrator)
    made = [backup.service for backup in await state.data_backups.list("dev")]
    saves = [found.request.services for found in await state.deployments.list("dev", limit=100)]
    assert saves.count(("store",)) == 1, (made, saves)


async def test_backup_drops_those_of_its_own_service(state, orchestrator, engine, schedule, clock):
    """Of another one, the release that runs after a rollback may ask for none: somebody may need them yet."""
    clock.move_to(AFTERNOON + timedelta(hours=6))
    engine.stack |= {"store": service("store"), "web": service("web", "store", backup=NIGHTLY)}
    await orchestrator.run(deploy("v1"))
    engine.stack["store"] = service("store", backup=RULE)
    for version in ("v2", "v3"):
        await orchestrator.run(deploy(version))
    engine.stack["store"] = service("store")
    await orchestrator.run(rollback(target_release=1))
    kept = [backup.id for backup in await state.data_backups.list("dev") if backup.service == "store"]
    clock.move_to(AFTERNOON + timedelta(days=1))
    assert await look(schedule, orchestrator) == [Outcome.SUCCEEDED]
    assert [backup.id for backup in await state.data_backups.list("dev") if backup.service == "store"] == kept
    assert len(kept) == 2


async def test_alert_of_a_bot_before_ends(state, bus, orchestrator, engine, schedule, clock, environment, released):
    """Where nothing is on schedule any more, too."""
    engine.data.refuses = True
    clock.move_to(AFTERNOON + timedelta(days=1))
    await look(schedule, orchestrator)
    engine.stack["store"] = service("store", backup=RULE)
    successor = BackupSchedule(engine, state, schedule.alert_service, {"dev": environment}, orchestrator.start)
    await successor.check()
    assert await firing(state) == []


async def test_backup_waits_for_a_deployment(state, orchestrator, engine, schedule, clock, released):
    """Once it waits for long, people are told."""
    clock.move_to(datetime(2026, 6, 2, 1, 1, tzinfo=UTC))
    assert await look(schedule, orchestrator) == [Outcome.SUCCEEDED]
    engine.hold = asyncio.Event()
    clock.move_to(datetime(2026, 6, 2, 23, 0, tzinfo=UTC))
    started = await orchestrator.start(deploy("v2"))
    clock.move_to(datetime(2026, 6, 3, 1, 1, tzinfo=UTC))
    await schedule.check()
    assert await firing(state) == []
    clock.shift(timedelta(hours=1))
    await schedule.check()
    (text,) = await firing(state)
    assert "dev is held by dora" in text
    engine.hold.set()
    assert (await orchestrator.wait(started.id)).outcome is Outcome.SUCCEEDED
    assert await look(schedule, orchestrator) == [Outcome.SUCCEEDED] * 2
    assert await firing(state) == []


async def test_stopped_service_is_backed_up_once_it_runs(state, orchestrator, schedule, clock, released):
    clock.move_to(AFTERNOON + timedelta(days=1))
    await state.stops.put(Stop("dev", "store", DORA, "moving house", datetime.now(UTC)), None)
    assert await look(schedule, orchestrator) == []
    await state.stops.lift("dev", "store", None)
    assert await look(schedule, orchestrator) == [Outcome.SUCCEEDED]
