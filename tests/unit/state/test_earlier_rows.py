"""What the release before says in words only is read by its words; what this one writes, by a field."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roas.models.alert import AlertReport, AlertSource, RecoveryStatus, Severity
from roas.models.coordination import PhaseName
from roas.models.deployment import DeploymentKind, PhaseResult, PhaseStatus
from roas.models.recovery import RecoveryAction, RecoveryStep
from roas.state.journal_place import JOURNAL_NAME
from roas.state.manager import StateManager
from tests.unit.state.test_state_manager import a_deployment

ALL_RUNS = "all of it runs, and not all of it is well"


def as_before(folder: Path, table: str, field: str) -> None:
    """Write the rows of a table again as the release before does, which does not know a field."""
    with closing(sqlite3.connect(folder / JOURNAL_NAME)) as journal, journal:
        journal.execute(f"UPDATE {table} SET document = json_remove(document, '$.{field}')")  # noqa: S608 - our own words only


async def brought_back(folder: Path, phase: PhaseResult, *, of_before: bool) -> bool:
    """Return what is read of a rollback that somebody asked for, in another process."""
    asked = a_deployment("prod")
    asked = replace(asked, request=replace(asked.request, kind=DeploymentKind.ROLLBACK))
    async with StateManager(folder) as state:
        fence = await state.deployments.create(asked, "roll back")
        await state.deployments.save_phase(asked, phase, fence)
    if of_before:
        as_before(folder, "phases", "brought_up")
    async with StateManager(folder) as state:
        found = await state.deployments.get(asked.id)
        assert found is not None
        return found.brought_back


@pytest.mark.parametrize(
    ("status", "summary", "expected"),
    [
        (PhaseStatus.FAILED, ALL_RUNS, True),
        (PhaseStatus.FAILED, "", False),
        (PhaseStatus.SUCCESS, "r1 runs again", True),
        (PhaseStatus.CANCELLED, "", False),
        (PhaseStatus.IN_PROGRESS, "", False),
    ],
)
async def test_rollback_of_before_read_by_summary(
    tmp_path: Path, status: PhaseStatus, summary: str, expected: bool
) -> None:
    phase = PhaseResult(PhaseName.ROLLBACK, status, summary=summary)
    assert await brought_back(tmp_path, phase, of_before=True) is expected


@pytest.mark.parametrize("brought_up", [True, False])
async def test_rollback_read_by_field(tmp_path: Path, brought_up: bool) -> None:
    """Whatever its summary says."""
    summary = "" if brought_up else ALL_RUNS
    phase = PhaseResult(PhaseName.ROLLBACK, PhaseStatus.FAILED, summary=summary, brought_up=brought_up)
    assert await brought_back(tmp_path, phase, of_before=False) is brought_up


@pytest.mark.parametrize(
    ("note", "expected"),
    [("not ours: it was stopped manually", True), ("kept away: X holds the lock", False), ("", False)],
)
async def test_alert_of_before_read_by_last_note(tmp_path: Path, note: str, expected: bool) -> None:
    async with StateManager(tmp_path) as state:
        (taken,) = await state.alerts.take([AlertReport("f", AlertSource.HEALTH, Severity.HIGH, "web is down")])
        await state.alerts.note(taken.alert.id, note, healing=RecoveryStatus.NONE)
    as_before(tmp_path, "alerts", "left_alone")
    async with StateManager(tmp_path) as state:
        (alert,) = await state.alerts.open()
        assert alert.left_alone is expected


@pytest.mark.parametrize(("result", "is_unfinished"), [("", True), ("recovered", False)])
async def test_attempt_of_before_read_by_result(tmp_path: Path, result: str, is_unfinished: bool) -> None:
    step = RecoveryStep("STEP-1", "ALERT-1", "dev", "web", RecoveryAction.RESTART, datetime.now(UTC), result)
    async with StateManager(tmp_path) as state:
        await state.recoveries.save(replace(step, ended=True))
    as_before(tmp_path, "recoveries", "ended")
    async with StateManager(tmp_path) as state:
        assert bool(await state.recoveries.unfinished("ALERT-1")) is is_unfinished


@pytest.mark.parametrize("ended", [True, False])
async def test_attempt_read_by_field(tmp_path: Path, ended: bool) -> None:
    """Whatever its result says."""
    result = "" if ended else "recovered"
    step = RecoveryStep("STEP-1", "ALERT-1", "dev", "web", RecoveryAction.RESTART, datetime.now(UTC), result)
    async with StateManager(tmp_path) as state:
        await state.recoveries.save(replace(step, ended=ended))
        assert bool(await state.recoveries.unfinished("ALERT-1")) is not ended
