"""What decides is in a field, whatever words are beside it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roas.models.deployment import DeploymentKind, PhaseResult, PhaseStatus
from roas.models.phases import PhaseName
from roas.models.recovery import RecoveryAction, RecoveryStep
from roas.state.manager import StateManager
from tests.unit.state.samples import a_deployment

ALL_RUNS = "all of it runs, and not all of it is well"


async def brought_back(folder: Path, phase: PhaseResult) -> bool:
    """Return what is read of a rollback that somebody asked for, in another process."""
    asked = a_deployment("prod")
    asked = replace(asked, request=replace(asked.request, kind=DeploymentKind.ROLLBACK))
    async with StateManager(folder) as state:
        fence = await state.deployments.create(asked, "roll back")
        await state.deployments.save_phases(asked, (phase,), fence)
    async with StateManager(folder) as state:
        found = await state.deployments.get(asked.id)
        assert found is not None
        return found.brought_back


@pytest.mark.parametrize("brought_up", [True, False])
async def test_rollback_read_by_field(tmp_path: Path, brought_up: bool) -> None:
    """Whatever its summary says."""
    summary = "" if brought_up else ALL_RUNS
    phase = PhaseResult(PhaseName.ROLLBACK, PhaseStatus.FAILED, summary=summary, brought_up=brought_up)
    assert await brought_back(tmp_path, phase) is brought_up


@pytest.mark.parametrize("ended", [True, False])
async def test_attempt_read_by_field(tmp_path: Path, ended: bool) -> None:
    """Whatever its result says."""
    result = "" if ended else "recovered"
    step = RecoveryStep("STEP-1", "ALERT-1", "dev", "web", RecoveryAction.RESTART, datetime.now(UTC), result)
    async with StateManager(tmp_path) as state:
        await state.recoveries.save(replace(step, ended=ended))
        assert bool(await state.recoveries.unfinished("ALERT-1")) is not ended
