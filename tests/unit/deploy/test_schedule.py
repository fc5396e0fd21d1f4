"""What is scheduled begins exactly once at its time, or it is said why not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine

from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.deploy.schedule import Schedule
from roas.errors import ImageNotFoundError, InvalidRequestError
from roas.models.actor import RECOVERY, Actor, ActorKind
from roas.models.candidate import Hold
from roas.models.deployment import DeploymentRequest, Freeze, Outcome
from roas.models.plan import PlanRecord, PlanState
from roas.models.state_change import ChangeType
from roas.models.windows import Windows, read_dates, read_window
from roas.starting_times import WindowClosedError, read_moment, read_when
from tests.unit.deploy.requested import ANNA, DORA, deploy, hotfix, rollback

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
AT = datetime(2026, 6, 1, 22, 0, tzinfo=UTC)
NIGHT = Windows((read_window("0 22 * * * for 4h"),))


@pytest.fixture
def clock() -> AsyncIterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=True) as traveller:
        yield traveller


@pytest.fixture
async def orchestrator(components, environment, clock) -> AsyncIterator[DeploymentOrchestrator]:
    orchestrator = DeploymentOrchestrator(components, {"dev": replace(environment, windows=NIGHT)})
    yield orchestrator
    await orchestrator.close()


@pytest.fixture
def schedule(state, orchestrator, bus, environment) -> Schedule:
    return Schedule(state, orchestrator, bus, {"dev": replace(environment, windows=NIGHT)}, has_approvers=True)


@pytest.fixture
async def first(orchestrator) -> None:
    await orchestrator.run(hotfix("v1"))


@pytest.fixture
def planned(orchestrator, state, first) -> Callable:
    """Plan, confirm and schedule something, as the channel does."""

    async def scheduled(request: DeploymentRequest, number: int = 1, at: datetime = AT) -> PlanRecord:
        plan_id, plan = f"PLAN-{number:026}", await orchestrator.plan(request)
        request = replace(request, plan_digest=plan.digest, interaction_id=plan_id, starts_at=at)
        now = datetime.now(UTC)
        record = PlanRecord(plan_id, request, plan, now, now, PlanState.SCHEDULED, DORA, now)
        await state.approvals.add(record)
        return record

    return scheduled


async def plan_of(state, record: PlanRecord) -> PlanRecord:
    return await state.approvals.get(record.id)


async def version(state) -> str:
    return (await state.releases.current("dev")).version


async def ended(state, orchestrator, record: PlanRecord) -> Outcome:
    return (await orchestrator.wait((await plan_of(state, record)).deployment_id)).outcome


async def asked_again(state, record: PlanRecord) -> PlanRecord:
    """Return the plan that stands for one that could not begin."""
    old = await plan_of(state, record)
    assert old.state is PlanState.VOID
    again = await state.approvals.get(old.asked_again_as)
    assert again.asks_again
    assert again.request.starts_at is None
    assert again.request.plan_digest == again.plan.digest
    return again


async def test_begins_at_its_time_and_once(clock, schedule, state, orchestrator, planned):
    record = await planned(deploy("v2"))
    assert await schedule.begin_due() == AT
    assert await version(state) == "v1"
    clock.move_to(AT)
    for _ in range(2):
        await schedule.begin_due()
    assert await ended(state, orchestrator, record) is Outcome.SUCCEEDED
    await schedule.begin_due()
    assert await version(state) == "v2"
    assert len(await state.deployments.list("dev")) == 2
    assert (await plan_of(state, record)).state is PlanState.STARTED


@pytest.mark.parametrize("before", ["claim", "answer"])
async def test_killed_bot_begins_it_once(clock, schedule, state, orchestrator, planned, before):
    """The one before died between its claim and the start, or between the start and noting that."""
    record = await planned(deploy("v2"))
    clock.move_to(AT)
    await state.approvals.move(record.id, PlanState.CONFIRMED, DORA, from_states=[PlanState.SCHEDULED])
    if before == "answer":
        plan = await orchestrator.plan(record.request)
        await orchestrator.start(replace(record.request, plan_digest=plan.digest))
    await schedule.begin_due()
    assert await ended(state, orchestrator, record) is Outcome.SUCCEEDED
    await schedule.begin_due()
    assert len(await state.deployments.list("dev")) == 2


async def test_answer_that_was_faster_counts(clock, schedule, state, planned, monkeypatch):
    """What was read as confirmed was ended by somebody since: it is not begun, and not asked for again."""
    record = await planned(deploy("v2"))
    clock.move_to(AT)
    read = replace(record, state=PlanState.CONFIRMED)
    await state.approvals.move(record.id, PlanState.VOID, DORA, from_states=[PlanState.SCHEDULED])

    async def scheduled():
        return (read,)

    monkeypatch.setattr(state.approvals, "scheduled", scheduled)
    await schedule.begin_due()
    assert (await plan_of(state, record)).state is PlanState.VOID
    assert len(await state.deployments.list("dev")) == 1


@pytest.mark.parametrize("during", ["plan", "start"])
async def test_next_leader_begins_it_once(clock, schedule, state, orchestrator, planned, bus, monkeypatch, during):
    """A handover comes while the one before plans it, or is about to start it."""
    record, reached = await planned(deploy("v2")), asyncio.Event()
    clock.move_to(AT)

    async def hang(_request):
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(orchestrator, during, hang)
        await schedule.start()
        await reached.wait()
        await schedule.stop()
    successor = Schedule(state, orchestrator, bus, schedule._environments, has_approvers=True)
    for _ in range(2):
        await successor.begin_due()
    assert await ended(state, orchestrator, record) is Outcome.SUCCEEDED
    assert len(await state.deployments.list("dev")) == 2


async def test_cancelled_begins_never(clock, schedule, state, planned):
    record = await planned(deploy("v2"))
    done, _plan = await state.approvals.move(record.id, PlanState.WITHDRAWN, DORA, from_states=[PlanState.SCHEDULED])
    assert done
    clock.move_to(AT)
    await schedule.begin_due()
    assert len(await state.deployments.list("dev")) == 1


async def _is_late(clock, state, orchestrator):
    clock.move_to(AT + timedelta(hours=2))


async def _is_outside(clock, state, orchestrator):
    clock.move_to(AT + timedelta(hours=5))


async def _is_on_another_release(clock, state, orchestrator):
    await orchestrator.run(hotfix("v3"))


async def _is_on_hold(clock, state, orchestrator):
    await state.holds.put(Hold("dev", "v2", datetime.now(UTC), "DEPLOY-1", "it failed"))


async def _is_not_soaked(clock, state, orchestrator):
    environments = orchestrator._environments
    environments["dev"] = replace(environments["dev"], requires="staging")


CHANGES = {
    _is_late: "Its time was 2026-06-01 22:00 UTC",
    _is_outside: "Its time was",
    _is_on_another_release: "another one by now",
    _is_on_hold: "put on hold since: it failed",
    _is_not_soaked: "dev takes only what was healthy in staging, and this was not: nothing was deployed there",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
async def test_what_changed_asks_again(clock, schedule, state, orchestrator, planned, change):
    record = await planned(deploy("v2"))
    clock.move_to(AT)
    await change(clock, state, orchestrator)
    before = len(await state.deployments.list("dev"))
    for _ in range(2):
        await schedule.begin_due()
    again = await asked_again(state, record)
    assert CHANGES[change] in again.note
    assert len(await state.deployments.list("dev")) == before
    assert len(await state.approvals.open()) == 1


@pytest.mark.parametrize("writes", [1, 2, 3])
async def test_bot_killed_while_it_asks_again_has_asked(
    clock, schedule, state, orchestrator, planned, writes, monkeypatch
):
    """Whatever it wrote last: the plan waits for its time, or the one that stands for it is there."""
    record = await planned(deploy("v2"))
    clock.move_to(AT)
    await _is_late(clock, state, orchestrator)
    write, written = state._journal.write, []

    async def die(work, **fence):
        if len(written) == writes:
            raise asyncio.CancelledError
        written.append(work)
        return await write(work, **fence)

    with monkeypatch.context() as patched:
        patched.setattr(state._journal, "write", die)
        with suppress(asyncio.CancelledError):
            await schedule.begin_due()
    await schedule.begin_due()
    assert "Its time was" in (await asked_again(state, record)).note


async def test_freeze_lets_it_wait_then_asks_again(clock, schedule, state, planned):
    record = await planned(deploy("v2"))
    clock.move_to(AT)
    await state.freezes.put(Freeze("dev", ANNA, "the fair", AT, AT + timedelta(hours=1)))
    await schedule.begin_due()
    waiting = await plan_of(state, record)
    assert waiting.state is PlanState.SCHEDULED
    assert "locked by anna" in waiting.note
    clock.move_to(AT + timedelta(hours=1, seconds=1))
    await schedule.begin_due()
    assert await state.freezes.get("dev") is None, "it is over by itself"
    assert "the fair" in (await asked_again(state, record)).note


async def test_vanished_image_is_said(clock, schedule, state, planned, orchestrator, monkeypatch):
    record = await planned(deploy("v2"))
    clock.move_to(AT)

    async def plan(_request):
        raise ImageNotFoundError("there is no web:v2 any more")

    monkeypatch.setattr(orchestrator, "plan", plan)
    await schedule.begin_due()
    void = await plan_of(state, record)
    assert (void.state, void.asked_again_as) == (PlanState.VOID, "")
    assert "there is no web:v2 any more" in void.note


async def test_running_deployment_is_waited_for(clock, schedule, state, orchestrator, planned, engine):
    record = await planned(deploy("v2"))
    clock.move_to(AT)
    running = await orchestrator.start(hotfix("v1"))
    await schedule.begin_due()
    await orchestrator.wait(running.id)
    assert (await plan_of(state, record)).state in {PlanState.SCHEDULED, PlanState.STARTED, PlanState.VOID}
    await schedule.begin_due()
    assert (await plan_of(state, record)).state is not PlanState.SCHEDULED


async def test_clock_set_back_begins_nothing_twice(clock, schedule, state, orchestrator, planned):
    record = await planned(deploy("v2"))
    clock.move_to(AT)
    await schedule.begin_due()
    await ended(state, orchestrator, record)
    clock.move_to(NOON)
    await schedule.begin_due()
    clock.move_to(AT)
    await schedule.begin_due()
    assert len(await state.deployments.list("dev")) == 2


@pytest.mark.parametrize("minutes", [1, 59, 61, 5 * 60, 365 * 24 * 60])
async def test_clock_set_forward_begins_once_or_asks_again(clock, schedule, state, orchestrator, planned, minutes):
    """Within an hour it begins; after that a person decides, and a clock that is set right begins nothing."""
    record = await planned(deploy("v2"))
    clock.move_to(AT + timedelta(minutes=minutes))
    for _ in range(2):
        await schedule.begin_due()
    if minutes < 60:
        assert await ended(state, orchestrator, record) is Outcome.SUCCEEDED
    else:
        await asked_again(state, record)
    for moment in (NOON, AT):
        clock.move_to(moment)
        await schedule.begin_due()
    assert len(await state.deployments.list("dev")) == (2 if minutes < 60 else 1)


async def test_approved_draft_is_kept_until_its_time(clock, schedule, state, orchestrator, first, engine):
    """A newer draft takes the place of no scheduled one, nor do 24 hours; nothing is planned again for it."""
    waits = []
    for number, wanted in enumerate(("v2", "v3"), start=1):
        plan_id, request = f"PLAN-{number:026}", deploy(wanted)
        plan = await orchestrator.plan(request)
        request = replace(request, plan_digest=plan.digest, interaction_id=plan_id, needs_approval=True)
        now = datetime.now(UTC)
        await state.approvals.add(PlanRecord(plan_id, request, plan, now, now + timedelta(hours=1), PlanState.STARTED))
        waits.append(await orchestrator.run(request))
        if wanted == "v2":
            scheduled = await state.drafts.schedule(waits[0].id, ANNA, AT + timedelta(days=2))
            assert scheduled.awaits_approval
    known = await state.approvals.get(f"PLAN-{1:026}")
    assert (known.state, known.request.starts_at) == (PlanState.SCHEDULED, AT + timedelta(days=2))
    assert [deployment.id for deployment in await state.drafts.waiting("dev")] == [waits[1].id]
    clock.move_to(AT + timedelta(days=2))
    engine.calls.clear()
    await schedule.begin_due()
    done = await orchestrator.wait(waits[0].id)
    assert done.outcome is Outcome.SUCCEEDED, done.problem
    assert done.request.approved_by == ANNA
    assert "resolve" not in {name for name, _ in engine.calls}
    assert (await state.approvals.get(known.id)).state is PlanState.STARTED


async def test_closed_window_refuses_a_person_and_passes_a_rollback(orchestrator, state, first):
    with pytest.raises(WindowClosedError, match="outside of its windows until 2026-06-01 22:00"):
        await orchestrator.start(deploy("v2"))
    fixed = await orchestrator.run(hotfix("v2"))
    assert fixed.outcome is Outcome.SUCCEEDED
    assert any("outside of a window: it burns" in warning for warning in fixed.warnings)
    audits = [change.metadata for change in await state.changes("dev") if change.type is ChangeType.AUDIT]
    assert [audit["reason"] for audit in audits if audit.get("version") == "v2"] == ["it burns"]
    assert (await orchestrator.run(rollback())).outcome is Outcome.SUCCEEDED
    automatic = replace(rollback(), requested_by=Actor(ActorKind.SYSTEM, RECOVERY, "recovery"), target_release=2)
    await state.freezes.put(Freeze("dev", DORA, "the fair", datetime.now(UTC)))
    assert (await orchestrator.run(automatic)).outcome is Outcome.SUCCEEDED


async def test_what_began_inside_may_finish(clock, orchestrator, first):
    clock.move_to(AT)
    started = await orchestrator.start(deploy("v2"))
    clock.move_to(AT + timedelta(hours=5))
    assert (await orchestrator.wait(started.id)).outcome is Outcome.SUCCEEDED


BERLIN = Windows((read_window("0 22 * * * for 4h"),), "Europe/Berlin", read_dates("2026-12-24/2026-12-26"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in 10h", NOON + timedelta(hours=10)),
        ("10h", NOON + timedelta(hours=10)),
        ("in 8h 30m", NOON + timedelta(hours=8, minutes=30)),
        ("22:00", datetime(2026, 6, 1, 20, 0, tzinfo=UTC)),
        ("01:30", datetime(2026, 6, 1, 23, 30, tzinfo=UTC)),
        ("next window", datetime(2026, 6, 1, 20, 0, tzinfo=UTC)),
        ("2026-06-03 23:15", datetime(2026, 6, 3, 21, 15, tzinfo=UTC)),
        ("2026-06-03T23:15+00:00", datetime(2026, 6, 3, 23, 15, tzinfo=UTC)),
        ("<t:1780351200:f>", datetime(2026, 6, 1, 22, 0, tzinfo=UTC)),
    ],
)
def test_times_are_read_in_the_zone_of_the_windows(text, expected):
    assert read_when(text, BERLIN, now=NOON) == expected
    assert expected.astimezone(ZoneInfo("Europe/Berlin")).hour in {22, 23, 0, 1}


@pytest.mark.parametrize(
    "text", ["", "soon", "in", "25:00", "2020-01-01 10:00", "in 200d", "<t:99999999999>", "12:00", "2026-06-03 10:00"]
)
def test_wrong_time_refused(text):
    with pytest.raises(InvalidRequestError):
        read_when(text, BERLIN, now=NOON)


def test_wrong_time_names_windows_only_where_there_are_some():
    for windows, is_named in ((BERLIN, True), (Windows(), False)):
        with pytest.raises(InvalidRequestError) as refused:
            read_moment("soon", windows, now=NOON)
        assert ("next window" in refused.value.hint) is is_named


def test_freeze_may_end_outside_of_windows():
    assert read_moment("16:00", BERLIN, now=NOON) == datetime(2026, 6, 1, 14, 0, tzinfo=UTC)
