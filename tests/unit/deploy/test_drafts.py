"""What was drafted is what is carried out: it waits for a second person, holds nothing, and nothing is read again."""

import json
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.errors import (
    BuildFailedError,
    ComposePolicyError,
    DraftVoidError,
    ImageChangedError,
    InvalidRequestError,
    NotPermittedError,
)
from roas.models.check import CheckResult, CheckSeverity
from roas.models.deployment import Deployment, DeploymentRequest, Freeze, Outcome, PhaseStatus
from roas.models.phases import PhaseName
from roas.models.plan import DRAFT_LIFETIME, PlanRecord, PlanState
from roas.state.deployments import plans_and_drafts as approvals
from roas.state.deployments.locks import FrozenError, LockHeldError
from roas.state.deployments.plans_and_drafts import boot_seconds, seconds_left
from tests.unit.deploy.requested import ANNA, DORA, deploy, hotfix, phase_reached, rollback

READING = {"resolve", "look_up", "pull", "build", "pin", "renew"}


@pytest.fixture
def ask(orchestrator, state):
    """Plan and confirm what needs an approval, as the channel does."""

    async def asked(request: DeploymentRequest, number: int = 1) -> Deployment:
        plan = await orchestrator.plan(request)
        plan_id = f"PLAN-{number:026}"
        request = replace(request, plan_digest=plan.digest, interaction_id=plan_id, needs_approval=True)
        now = datetime.now(UTC)
        record = PlanRecord(plan_id, request, plan, now, now + timedelta(minutes=15), PlanState.CONFIRMED)
        await state.approvals.add(record)
        deployment = await orchestrator.start(request)
        await state.approvals.move(
            plan_id, PlanState.STARTED, DORA, from_states=[PlanState.CONFIRMED], deployment_id=deployment.id
        )
        return await orchestrator.wait(deployment.id)

    return asked


async def plan_of(state, number: int = 1) -> PlanRecord:
    return await state.approvals.get(f"PLAN-{number:026}")


async def test_draft_waits_and_holds_nothing(orchestrator, engine, state, ask, components):
    """All is fetched before anybody is asked; the release before takes the row for one that was cancelled."""
    await orchestrator.run(deploy("v1"))
    waiting = await ask(deploy("v2"))
    assert waiting.awaits_approval
    assert not waiting.finished
    assert engine.versions()["web"] == "web:v1"
    assert await state.locks.get("dev") is None
    assert await state.deployments.active("dev") is None
    assert [item.id for item in await state.drafts.waiting("dev")] == [waiting.id]
    assert {phase.name: phase.status for phase in waiting.phases}[PhaseName.PREPARATION] is PhaseStatus.SUCCESS
    known = await plan_of(state)
    assert known.state is PlanState.DRAFTED
    assert DRAFT_LIFETIME.total_seconds() - 60 < seconds_left(known) <= DRAFT_LIFETIME.total_seconds()
    assert {service.service: service.expected_image for service in known.plan.services}["web"] == "sha256:web:v2", (
        "by its ID"
    )
    assert sum((await state.deployments.counts()).values()) == 1
    with sqlite3.connect(state.folder / "journal.sqlite3") as journal:
        column, document = journal.execute(
            "SELECT outcome, document FROM deployments WHERE id = ?", (waiting.id,)
        ).fetchone()
    assert column not in {None, *Outcome}
    assert json.loads(document)["outcome"] == "cancelled"


@pytest.mark.parametrize(
    "request_",
    [
        deploy("v3"),
        deploy("v3", services=("web",)),
        rollback(),
        replace(rollback(), services=("web",)),
        replace(rollback(), services=("web",), target_release=1),
    ],
)
async def test_approved_draft_reads_nothing(orchestrator, engine, state, ask, request_):
    for version in ("v1", "v2"):
        await orchestrator.run(deploy(version))
    waiting = await ask(request_)
    engine.calls.clear()
    engine.left_out = frozenset({"store"})  # the files are others by now
    ended = await orchestrator.wait((await orchestrator.approve(waiting.id, ANNA)).id)
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert not READING & {name for name, _ in engine.calls}
    assert ended.id == waiting.id
    assert ended.request.approved_by == ANNA
    assert engine.versions()["web"] == ("web:v1" if request_.version is None else "web:v3")
    assert (await plan_of(state)).state is PlanState.STARTED
    audit = [change.metadata for change in await state.changes("dev") if change.new == "deployment asked for"]
    assert "anna" in {item.get("approved_by") for item in audit}


async def change_release(orchestrator, engine):
    await orchestrator.run(hotfix("v3"))


async def lose_image(orchestrator, engine):
    engine.gone = ("web",)


async def change_settings(orchestrator, engine):
    engine.inputs = "others"


async def forbid(orchestrator, engine):
    engine.faults["check"] = [ComposePolicyError("privileged is not allowed")]


async def replace_network(orchestrator, engine):
    engine.beside = {"network shop_default": "another"}


async def lose_model(orchestrator, engine):
    for model_hash in [name for name in engine.models if "web:v2" in name]:
        del engine.models[model_hash]


CHANGES = {
    change_release: "is on another release than when this was planned: r3",
    lose_image: "The images of web are gone",
    change_settings: "settings, a secret or the policy changed",
    forbid: "privileged is not allowed",
    replace_network: "network shop_default changed",
    lose_model: "gone",
}


@pytest.mark.parametrize("change", CHANGES)
async def test_changed_world_voids_the_draft(orchestrator, engine, state, ask, change):
    await orchestrator.run(deploy("v1"))
    waiting = await ask(deploy("v2"))
    await change(orchestrator, engine)
    before = engine.versions()
    ended = await orchestrator.wait((await orchestrator.approve(waiting.id, ANNA)).id)
    assert ended.outcome is Outcome.CANCELLED
    assert ended.problem.key == DraftVoidError.key
    assert CHANGES[change] in ended.problem.message
    assert engine.versions() == before
    assert await state.locks.get("dev") is None
    known = await plan_of(state)
    assert known.state is PlanState.VOID
    assert CHANGES[change] in known.note


async def test_container_that_was_to_stay_voids(orchestrator, engine, ask):
    """A start is no surprise; a container that goes, and of which the plan says nothing, is."""
    await orchestrator.run(deploy("v1"))
    waiting = await ask(deploy("v2", services=("web",)))
    for container_id, container in list(engine.running.items()):
        if container.service == "web":
            continue
        engine.running[container_id] = replace(container, service="store", image_reference="store:other")
    plan = await orchestrator.plan(deploy("v2"))
    assert plan.replaced == ("store", "web")
    ended = await orchestrator.wait((await orchestrator.approve(waiting.id, ANNA)).id)
    assert ended.outcome is Outcome.SUCCEEDED, "store was not named: it stays"


async def test_newer_draft_takes_the_place(orchestrator, engine, state, ask):
    first, second = await ask(deploy("v1")), await ask(deploy("v2"), 2)
    known = await state.deployments.get(first.id)
    assert known.outcome is Outcome.CANCELLED
    assert second.id in known.problem.message
    assert (await plan_of(state)).state is PlanState.VOID
    with pytest.raises(InvalidRequestError, match="does not wait"):
        await orchestrator.approve(first.id, ANNA)
    assert (await orchestrator.wait((await orchestrator.approve(second.id, ANNA)).id)).outcome is Outcome.SUCCEEDED


async def test_refused_approval_leaves_it_waiting(orchestrator, state, ask):
    waiting = await ask(deploy("v1"))
    with pytest.raises(NotPermittedError, match="second person"):
        await orchestrator.approve(waiting.id, DORA)
    await state.freezes.put(Freeze("dev", DORA, "the fair", datetime.now(UTC)))
    with pytest.raises(FrozenError):
        await orchestrator.approve(waiting.id, ANNA)
    await state.freezes.lift("dev", DORA)
    assert (await state.deployments.get(waiting.id)).awaits_approval
    await orchestrator.approve(waiting.id, ANNA)
    with pytest.raises(InvalidRequestError, match="does not wait"):
        await orchestrator.approve(waiting.id, ANNA)


async def test_deployment_under_way_is_not_joined(orchestrator, engine, ask):
    import asyncio

    waiting = await ask(deploy("v1"))
    engine.hold = asyncio.Event()
    other = await orchestrator.start(deploy("v3"))
    with pytest.raises(LockHeldError):
        await orchestrator.approve(waiting.id, ANNA)
    engine.hold.set()
    await orchestrator.wait(other.id)


@pytest.mark.parametrize("seconds_before_its_end", [60, -1])
async def test_draft_lives_for_a_day(orchestrator, engine, state, ask, monkeypatch, seconds_before_its_end):
    """By the machine's own clock, whatever the wall's says; whoever comes later approves nothing."""
    waiting = await ask(deploy("v1"))
    at = boot_seconds() + DRAFT_LIFETIME.total_seconds() - seconds_before_its_end
    monkeypatch.setattr(approvals, "boot_seconds", lambda: at)
    if seconds_before_its_end > 0:
        approved = await orchestrator.approve(waiting.id, ANNA)
        assert (await orchestrator.wait(approved.id)).outcome is Outcome.SUCCEEDED
        return
    with pytest.raises(InvalidRequestError, match="does not wait"):
        await orchestrator.approve(waiting.id, ANNA)
    await state.approvals.move((await plan_of(state)).id, PlanState.EXPIRED, None, from_states=[])
    ended = await state.deployments.get(waiting.id)
    assert (ended.outcome, ended.problem.message) == (Outcome.CANCELLED, "Nobody approved it in time.")
    assert not engine.versions()


@pytest.mark.parametrize("to", [PlanState.WITHDRAWN, PlanState.EXPIRED, "cancel"])
async def test_draft_ends_with_its_plan(orchestrator, state, ask, to):
    waiting = await ask(deploy("v1"))
    plan_id = (await plan_of(state)).id
    if to == "cancel":
        await orchestrator.cancel(waiting.id, DORA)
    elif to is PlanState.EXPIRED:
        known = await plan_of(state)
        await state.approvals.add(replace(known, expires_at=datetime.now(UTC)))
        await state.approvals.move(plan_id, to, None, from_states=[])
    else:
        await state.approvals.move(plan_id, to, DORA, from_states=[PlanState.DRAFTED])
    ended = await state.deployments.get(waiting.id)
    assert ended.outcome is Outcome.CANCELLED
    assert ended.problem.key == DraftVoidError.key
    assert (await plan_of(state)).state is (PlanState.WITHDRAWN if to == "cancel" else to)
    with pytest.raises(InvalidRequestError):
        await orchestrator.approve(waiting.id, ANNA)


async def test_next_bot_takes_the_draft(orchestrator, components, environment, engine, ask):
    """Whoever dies while a draft waits, or is made, or is carried out: the next one goes on with it."""
    waiting = await ask(deploy("v1"))
    await orchestrator.close()
    later = DeploymentOrchestrator(components, {"dev": environment})
    assert await later.resume() == (), "nobody runs it"
    approved = await later.approve(waiting.id, ANNA)
    await later.close()
    last = DeploymentOrchestrator(components, {"dev": environment})
    engine.calls.clear()
    await last.resume()
    ended = await last.wait(approved.id)
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert not READING & {name for name, _ in engine.calls}
    await last.close()


async def test_next_bot_drafts_what_was_confirmed(orchestrator, components, environment, engine, state):
    import asyncio

    engine.hold = asyncio.Event()
    request = deploy("v1")
    plan = await orchestrator.plan(request)
    begun = await orchestrator.start(replace(request, plan_digest=plan.digest, needs_approval=True))
    await phase_reached(orchestrator, begun.id, PhaseName.PREPARATION)
    await orchestrator.close()
    engine.hold.set()
    engine.calls.clear()
    later = DeploymentOrchestrator(components, {"dev": environment})
    await later.resume()
    assert (await later.wait(begun.id)).awaits_approval
    assert not {"resolve", "look_up"} & {name for name, _ in engine.calls}
    await later.close()


async def test_failed_preparation_asks_nobody(engine, state, ask):
    engine.faults["pull"] = [BuildFailedError("no such layer")]
    ended = await ask(deploy("v1"))
    assert ended.outcome is Outcome.FAILED
    assert (await plan_of(state)).state is PlanState.STARTED


@pytest.mark.parametrize("asked", [deploy("v1"), hotfix("v1")])
async def test_no_draft_below_the_floor_of_the_disk(components, engine, state, ask, asked):
    """Nothing is pulled or built for it, either; and nobody is asked."""
    components.validator.results = (CheckResult("disk", CheckSeverity.CRITICAL, False, "200 MiB are free."),)
    ended = await ask(asked)
    assert (ended.outcome, ended.draft) == (Outcome.FAILED, None)
    assert ended.problem.message == "200 MiB are free."
    assert not {"pull", "build", "pin"} & {name for name, _ in engine.calls}
    assert (await plan_of(state)).state is PlanState.STARTED


async def test_unknown_plan_starts_nothing(orchestrator, state):
    """A plan of the release before, or of more than a day ago, was not kept."""
    with pytest.raises(ImageChangedError, match="not kept"):
        await orchestrator.start(deploy("v1", plan_digest="f" * 64))
    with pytest.raises(ImageChangedError, match="not kept"):
        await orchestrator.start(deploy("v1", plan_digest="../../journal"))
    assert await state.deployments.list() == ()
