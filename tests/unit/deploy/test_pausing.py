"""A decision is about what was shown: what failed of another service meanwhile is asked about by itself."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from roas.deploy.decisions import wait_for_decision
from roas.models.canary import CanaryRecord
from roas.models.deployment import Deployment, DeploymentKind, Outcome, Problem, ServiceProgress, ServiceStep
from roas.models.rollout import Choice, Decision, Pause, RolloutRecord, RolloutState
from tests.unit.deploy.requested import DORA, deploy

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
