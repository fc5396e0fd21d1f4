"""A plan that waits for a yes is used once, expires, and outlives the process that showed it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from roas.models.actor import Actor, ActorKind
from roas.models.deployment import DeploymentKind, DeploymentRequest
from roas.models.plan import LIFETIME, Plan, PlanRecord, PlanState
from roas.models.state_change import ChangeType
from roas.models.stored import new_id
from roas.state.deployments import plans_and_drafts as approvals
from roas.state.deployments.plans_and_drafts import is_expired, seconds_left, with_expiry
from roas.state.documents import from_json, to_json
from roas.state.manager import StateManager

DORA = Actor(ActorKind.DISCORD, "1", "dora")
ANNA = Actor(ActorKind.DISCORD, "2", "anna")
PLANNED, AWAITING, CONFIRMED, STARTED = (
    PlanState.PLANNED,
    PlanState.AWAITING,
    PlanState.CONFIRMED,
    PlanState.STARTED,
)


def a_plan_record(*, age: timedelta = timedelta(0), state: PlanState = PLANNED) -> PlanRecord:
    made = datetime.now(UTC) - age
    request = DeploymentRequest("prod", DeploymentKind.DEPLOY, DORA, version="v2", plan_digest="d")
    plan = Plan("prod", "v2", 1, None, (), (), (), "d")
    return PlanRecord(new_id("PLAN"), request, plan, made, made + LIFETIME, state)


async def test_plan_survives_restart(tmp_path: Path) -> None:
    plan_record = a_plan_record()
    async with StateManager(tmp_path) as state:
        await state.approvals.add(plan_record)
    async with StateManager(tmp_path) as state:
        assert await state.approvals.get(plan_record.id) == plan_record
        assert await state.approvals.open() == (plan_record,)


async def test_confirmation_taken_once(tmp_path: Path) -> None:
    async with StateManager(tmp_path) as state:
        plan_record = a_plan_record(state=AWAITING)
        await state.approvals.add(plan_record)
        done, now = await state.approvals.move(plan_record.id, CONFIRMED, ANNA, from_states=[AWAITING])
        assert done
        assert now is not None
        assert now.decided_by == ANNA
        done, now = await state.approvals.move(plan_record.id, CONFIRMED, ANNA, from_states=[AWAITING])
        assert not done
        assert now is not None
        assert now.state is CONFIRMED


async def test_late_confirmation_expires_plan(tmp_path: Path) -> None:
    async with StateManager(tmp_path) as state:
        plan_record = a_plan_record(age=LIFETIME)
        await state.approvals.add(plan_record)
        done, now = await state.approvals.move(plan_record.id, AWAITING, DORA, from_states=[PLANNED])
        assert not done
        assert now is not None
        assert now.state is PlanState.EXPIRED
        assert await state.approvals.open() == ()


async def test_confirmed_plan_movable_after_lifetime(tmp_path: Path) -> None:
    """A plan that was confirmed in time does not expire while it is carried out."""
    async with StateManager(tmp_path) as state:
        plan_record = a_plan_record(age=LIFETIME, state=CONFIRMED)
        await state.approvals.add(plan_record)
        done, now = await state.approvals.move(plan_record.id, AWAITING, ANNA, from_states=[CONFIRMED])
        assert done
        assert now is not None
        assert is_expired(now), "given back, it has what was left of its time"


@pytest.mark.parametrize("hours", [-1, 1])
def test_wall_clock_jump_extends_no_plan(hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plan_record = with_expiry(a_plan_record())
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours), tick=True):
        assert seconds_left(plan_record) <= LIFETIME.total_seconds()
        assert is_expired(plan_record) is (hours > 0)
        since_boot = approvals.boot_seconds()
        monkeypatch.setattr(approvals, "boot_seconds", lambda: since_boot + LIFETIME.total_seconds())
        assert is_expired(plan_record)


def test_reboot_falls_back_to_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    plan_record = with_expiry(a_plan_record())
    monkeypatch.setattr(approvals, "boot_id", lambda: "another")
    monkeypatch.setattr(approvals, "boot_seconds", lambda: 1e9)
    assert not is_expired(plan_record)
    with time_machine.travel(datetime.now(UTC) + LIFETIME):
        assert is_expired(plan_record)


def test_neighbour_version_rows_read() -> None:
    plan_record = a_plan_record()
    old = {key: value for key, value in json.loads(to_json(plan_record)).items() if "boot" not in key}
    assert from_json(PlanRecord, json.dumps(old)) == plan_record
    assert not is_expired(from_json(PlanRecord, json.dumps(old | {"of_a_newer_version": 1})))


async def test_started_plan_does_not_expire(tmp_path: Path) -> None:
    async with StateManager(tmp_path) as state:
        plan_record = replace(a_plan_record(age=LIFETIME), state=CONFIRMED)
        await state.approvals.add(plan_record)
        done, now = await state.approvals.move(
            plan_record.id, STARTED, ANNA, from_states=[CONFIRMED], deployment_id="D-1"
        )
        assert done
        assert now is not None
        assert now.deployment_id == "D-1"


async def test_unknown_plan_is_no_error(tmp_path: Path) -> None:
    async with StateManager(tmp_path) as state:
        assert await state.approvals.move("PLAN-0", CONFIRMED, ANNA, from_states=[AWAITING]) == (False, None)


@pytest.mark.parametrize("state", [PlanState.WITHDRAWN, PlanState.VOID, STARTED])
async def test_ended_plan_stays_ended(tmp_path: Path, state: PlanState) -> None:
    async with StateManager(tmp_path) as journal:
        plan_record = a_plan_record(state=state)
        await journal.approvals.add(plan_record)
        done, _now = await journal.approvals.move(plan_record.id, CONFIRMED, ANNA, from_states=[PLANNED, AWAITING])
        assert not done


async def test_answers_audited(tmp_path: Path) -> None:
    async with StateManager(tmp_path) as state:
        plan_record = a_plan_record()
        await state.approvals.add(plan_record)
        await state.approvals.move(plan_record.id, AWAITING, DORA, from_states=[PLANNED])
        await state.approvals.move(plan_record.id, CONFIRMED, ANNA, from_states=[AWAITING])
        audit = [c for c in await state.changes() if c.type is ChangeType.AUDIT]
        assert [(c.new, c.metadata["by"]) for c in audit] == [
            ("plan planned", "dora"),
            ("plan awaiting", "dora"),
            ("plan confirmed", "anna"),
        ]
