"""A decision is about what was shown: what failed of another service meanwhile is asked about by itself."""

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from roas.concurrency import begun
from roas.deploy import pauses as decisions
from roas.deploy.pauses import wait_for_decision
from roas.deploy.phases.rollback import _send_back
from roas.errors import EngineUnavailableError, ImageChangedError, NotPermittedError, ServiceFailedError
from roas.models.canary import CanaryPolicy, CanaryRecord, CanaryVerdict, Counts, ServerCount
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    DeploymentRequest,
    Outcome,
    Problem,
    ServiceProgress,
    ServiceStep,
)
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.rollout import Choice, Decision, Pause, RolloutRecord, RolloutState
from roas.models.stack import ServiceDefinition
from roas.shortages import shortage
from roas.stack.updating.behind_proxy import Front
from roas.state.transaction import Fence
from tests.unit.deploy.fake_engine import STARTING
from tests.unit.deploy.requested import DORA, deploy, hotfix, rollback, service_reached

PAUSED = RolloutRecord(RolloutState.PAUSED, slots=2, failed=("x",))


async def test_going_on_accepts_only_what_the_pause_is_about() -> None:
    services = tuple(ServiceProgress(name, ServiceStep.PAUSED, rollout=PAUSED) for name in ("api", "web"))
    now = datetime.now(UTC)
    deployment = Deployment(
        "DEP-1",
        deploy("v2"),
        "standard",
        "COR-1",
        now,
        services=services,
        pauses=(Pause(1, "web", "it failed", now),),
        decision=Decision(1, Choice.GO_ON, DORA),
    )
    planned: dict[str, ServiceProgress] = {}

    async def get(deployment_id: str) -> Deployment:
        return deployment

    async def plan_services(those: Any) -> None:
        planned.update({service.service: service for service in those})

    async def set_pauses(pauses: tuple[Pause, ...], *, paused: bool) -> None:
        assert (pauses[-1].decision, paused) == (deployment.decision, False)

    context = SimpleNamespace(
        deployment=deployment,
        model_hash=None,
        decided=asyncio.Event(),
        checkpoint=lambda: None,
        components=SimpleNamespace(state=SimpleNamespace(deployments=SimpleNamespace(get=get))),
        plan_services=plan_services,
        set_pauses=set_pauses,
    )
    await wait_for_decision(cast("Any", context))
    assert planned == {"web": replace(services[1], rollout=RolloutRecord(accepted=("x",)))}


async def test_proxy_of_a_pause_is_tended_once_there_are_files_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else sends requests to what is well while a person thinks: a shortage does not end that."""
    settled, looks = asyncio.Event(), iter([shortage("open files", "EMFILE"), EngineUnavailableError("away")])
    definition = replace(ServiceDefinition("web", "web:v2", "d"), proxy=cast("Any", SimpleNamespace(is_dropped=False)))

    class Settled:
        def __init__(self, *_: object) -> None: ...

        async def settle(self, **_: object) -> None:
            settled.set()

    async def definitions_to_apply(_hash: str) -> dict[str, ServiceDefinition]:
        if (fault := next(looks, None)) is not None:
            raise fault
        return {"web": definition}

    monkeypatch.setattr(decisions, "Front", Settled)
    monkeypatch.setattr(decisions, "TEND_SECONDS", 0.0)
    deployment = SimpleNamespace(pauses=(Pause(1, "web", "it failed", datetime.now(UTC)),), applied_model="m")
    context = SimpleNamespace(
        deployment=deployment,
        model_hash=None,
        stack=None,
        rollout=lambda _name: None,
        definitions_to_apply=definitions_to_apply,
    )
    async with begun(decisions._tend_service(cast("Any", context))), asyncio.timeout(5):
        await settled.wait()


@pytest.mark.parametrize("bakes", [False, True])
@pytest.mark.parametrize("fails_percent", [0, 40])
async def test_canary_that_waits_is_judged_on(monkeypatch: pytest.MonkeyPatch, bakes: bool, fails_percent: int) -> None:
    """Its users come to what is bad however long a person thinks; what is well waits on."""
    policy = CanaryPolicy(bake_seconds=60.0 * bakes)
    web = ServiceDefinition("web", "web:v2", "d", proxy=cast("Any", SimpleNamespace(is_dropped=False)), canary=policy)
    record = CanaryRecord(int(bakes), 1, old=("o",), verdict=CanaryVerdict.INCONCLUSIVE, before=Counts(2000))
    record = record.baking(datetime.now(UTC)) if bakes else record
    old = ContainerSnapshot("o", "web-1", "web", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "web:v1", "old")
    there = (replace(old, id="n"),) if bakes else (old, replace(old, id="n"))
    looks = itertools.count()
    decided, waited = asyncio.Event(), asyncio.Event()

    class Counted:
        def __init__(self, *_: object) -> None: ...

        async def settle(self, **_: object) -> None: ...

        async def weigh(self, *_: object) -> None: ...

        async def counts(self) -> dict[str, ServerCount]:
            asked = 100 * next(looks)
            if asked > 2000:
                waited.set()
            failed = {"o": 0, "n": asked * fails_percent // 100}
            return {item.id: ServerCount(item.id, Counts(asked, failed[item.id])) for item in there}

    monkeypatch.setattr(decisions, "Front", Counted)
    monkeypatch.setattr(decisions, "TEND_SECONDS", 0.0)
    asked = Pause(1, "web", "?", datetime.now(UTC), canary=True, bake=bakes)
    deployment = SimpleNamespace(id="DEP-1", pauses=(asked,), decided=None)

    async def answer(value: object) -> object:
        return value

    context = SimpleNamespace(
        deployment=deployment,
        model_hash="m",
        stack=SimpleNamespace(
            containers=lambda: answer(there), failure_output=lambda _: answer("its log"), replaces_by_itself=False
        ),
        rollout=lambda _name: RolloutRecord(canary=record),
        definitions_to_apply=lambda _model: answer({"web": web}),
        components=SimpleNamespace(
            read_figure=None, state=SimpleNamespace(deployments=SimpleNamespace(get=lambda _: answer(deployment)))
        ),
        checkpoint=lambda: None,
        decided=decided,
        cancel=asyncio.Event(),
    )
    async with asyncio.timeout(5):
        if fails_percent:
            with pytest.raises(ServiceFailedError, match="web failed: its new version is worse: ") as found:
                await wait_for_decision(cast("Any", context))
            assert (found.value.container_id, found.value.by_somebody) == ("n", False)
        else:
            async with begun(wait_for_decision(cast("Any", context))) as waiting:
                await waited.wait()
                assert not waiting.done()


@pytest.mark.parametrize(
    ("canary", "changes", "ends"),
    [
        (CanaryRecord(1, 2), {}, True),
        (CanaryRecord(2, 2), {}, False),
        (None, {}, False),
        (CanaryRecord(1, 2), {"cancel_requested_by": DORA}, False),
        (CanaryRecord(1, 2), {"problem": Problem("x", "it failed")}, False),
        (CanaryRecord(1, 2), {"outcome": Outcome.SUCCEEDED}, False),
    ],
)
def test_rollback_and_hotfix_end_a_canary(canary: CanaryRecord | None, changes: dict[str, Any], ends: bool) -> None:
    """One that is judged or asked about; what has passed its last step, or is leaving, is as any other."""
    services = (ServiceProgress("web", ServiceStep.WAITING, rollout=RolloutRecord(canary=canary)),)
    deployment = Deployment("DEP-1", deploy("v2"), "standard", "COR-1", datetime.now(UTC), services=services, **changes)
    ended_by = {kind for kind in DeploymentKind if deployment.is_ended_by(kind)}
    assert ended_by == ({DeploymentKind.ROLLBACK, DeploymentKind.HOTFIX} if ends else set())


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        (rollback(), None),
        (rollback(services=("web",)), ImageChangedError),
        (rollback(data=("BACKUP-1",)), ImageChangedError),
        (hotfix("v3"), Outcome.SUCCEEDED),
    ],
)
async def test_who_ends_a_canary_gets_what_was_asked_or_is_told(
    orchestrator, engine, state, monkeypatch, asked, outcome
) -> None:
    canary = await in_canary(orchestrator, engine, state)

    async def bound(_environment: object, request: DeploymentRequest) -> tuple[DeploymentRequest, int | None]:
        return request, None if request.kind is DeploymentKind.HOTFIX else 1

    monkeypatch.setattr(orchestrator, "_bound", bound)
    if isinstance(outcome, type):
        with pytest.raises(outcome, match="Only the canary of DEP"):
            await orchestrator.start(asked)
    else:
        started = await orchestrator.start(asked)
        assert (started.id == canary.id) is (outcome is None)
        if outcome is not None:
            assert (await orchestrator.wait(started.id)).outcome is outcome
    assert (await state.deployments.get(canary.id)).cancel_requested_by == DORA


async def test_approval_of_a_hotfix_ends_a_canary(orchestrator, engine, state) -> None:
    """Only a person who may approve it does so."""
    await orchestrator.run(deploy("v1"))
    waiting = await orchestrator.run(replace(hotfix("v3"), needs_approval=True))
    canary = await in_canary(orchestrator, engine, state, begins=False)
    with pytest.raises(NotPermittedError):
        await orchestrator.approve(waiting.id, DORA)
    assert (await state.deployments.get(canary.id)).cancel_requested_by is None
    approved = await orchestrator.approve(waiting.id, replace(DORA, id="2", name="anna"))
    assert (await orchestrator.wait(approved.id)).outcome is Outcome.SUCCEEDED
    assert (await state.deployments.get(canary.id)).outcome is Outcome.CANCELLED


async def in_canary(orchestrator, engine, state, *, begins: bool = True) -> Deployment:
    """Return a deployment of v2 whose web is in a canary, beside v1."""
    if begins:
        await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = STARTING
    started = await orchestrator.start(deploy("v2"))
    await service_reached(orchestrator, started.id, "web", ServiceStep.WAITING)
    deployment = await state.deployments.get(started.id)
    (web,) = (progress for progress in deployment.services if progress.service == "web")
    web = replace(web, rollout=RolloutRecord(canary=CanaryRecord(0, 2)))
    lock = await state.locks.get("dev")
    await state.deployments.save_service(deployment, web, Fence("dev", lock.token))
    return deployment


@pytest.mark.parametrize(("step", "told"), [(0, [(["o1"], {"n1"})]), (2, [])])
async def test_way_back_first_sends_all_requests_to_the_old_version(monkeypatch, step: int, told: list[Any]) -> None:
    """The turn of a service in the rollback may be minutes away; once its canary is over, old ones may be gone."""
    found: list[tuple[list[str], set[str]]] = []

    async def send_back(_front: Front, old: list[ContainerSnapshot], failed: set[str]) -> None:
        found.append(([container.id for container in old], failed))

    async def model_before(_context: object) -> str:
        return "v2"

    async def definitions(_model: str) -> dict[str, ServiceDefinition]:
        return {"web": ServiceDefinition("web", "web:v2", "d")}

    monkeypatch.setattr(Front, "send_back", send_back)
    monkeypatch.setattr("roas.deploy.phases.rollback._model_before", model_before)
    old = ContainerSnapshot("o1", "web-1", "web", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "web:v1", "old")
    there = (old, replace(old, id="n1"))
    rollout = RolloutRecord(canary=CanaryRecord(step, 2, old=("o1",)))
    services = (ServiceProgress("web", ServiceStep.WAITING, rollout=rollout),)
    deployment = Deployment("DEP-1", deploy("v2"), "standard", "COR-1", datetime.now(UTC), services=services)
    context = SimpleNamespace(deployment=deployment, definitions=definitions, stack=None)
    await _send_back(cast("Any", context), cast("Any", SimpleNamespace(of_service=lambda _: there)))
    assert found == told
