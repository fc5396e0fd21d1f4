"""What looks left over is told from what somebody else is about to start."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from roas.deploy.peers import Authorship
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, ServiceProgress, ServiceStep
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.recovery import RecoveryAction, RecoveryStep
from roas.models.stack import ServiceDefinition
from roas.stack.service_comparison import WantedService
from roas.state.manager import StateManager
from tests.unit.one_stack import OneStack

NOW = datetime.now(UTC)
BEGUN = NOW - timedelta(minutes=2)
DEV = Environment("dev", "shop-dev", Path("/"), ())
OURS = ContainerSnapshot(
    "ours",
    "shop-web-2",
    "web",
    ContainerState.CREATED,
    HealthStatus.NONE,
    "i",
    "web:v2",
    "wanted",
    created_at=NOW,
    of_release=True,
)
PASSING = replace(OURS, id="passing", name="0123456789ab_shop-web-1", config_hash="theirs")
THEIRS = replace(OURS, id="theirs", config_hash="theirs")
OLD = {"created_at": NOW - timedelta(minutes=6)}


class Engine(OneStack):
    """Know the time, and what a model makes of web."""

    async def now(self) -> datetime:
        return NOW

    async def load_model(self, model_hash: str) -> Mapping[str, str]:
        return {"web": "wanted"} if model_hash == "model" else {}

    async def wanted_services(self, model: Mapping[str, str]) -> Mapping[str, WantedService]:
        return {name: WantedService(ServiceDefinition(name, "", ""), known) for name, known in model.items()}


@pytest.fixture
async def meant(state: StateManager) -> StateManager:
    """Let a deployment have begun to make web."""
    request = DeploymentRequest("dev", DeploymentKind.DEPLOY, Actor(ActorKind.SYSTEM, "0", "root"), version="v2")
    deployment = Deployment("DEPLOY-1", request, "standard", "COR-1", BEGUN, applied_model="model")
    fence = await state.deployments.create(deployment, "deploy v2")
    progress = ServiceProgress("web", step=ServiceStep.CREATING, changed=True)
    await state.deployments.update(replace(deployment, services=(progress,)), fence)
    await state.deployments.save_services(replace(deployment, services=(progress,)), (progress,), fence)
    return state


async def of_others(state: StateManager, *containers: ContainerSnapshot) -> list[str]:
    engine: Any = Engine()
    return [item.id for item in await Authorship(engine, state).of_others(DEV, containers)]


@pytest.mark.parametrize(
    ("there", "left"),
    [
        ([OURS], []),
        ([replace(OURS, of_release=False)], ["ours"]),
        ([replace(OURS, created_at=BEGUN - timedelta(seconds=2))], ["ours"]),
        ([replace(OURS, created_at=None)], ["ours"]),
        ([replace(OURS, service="store")], ["ours"]),
        ([THEIRS], ["theirs"]),
        ([replace(THEIRS, **OLD)], ["theirs"]),
        ([OURS, THEIRS], ["ours", "theirs"]),
        ([OURS, replace(THEIRS, **OLD)], ["theirs"]),
        ([OURS, replace(THEIRS, service="store")], ["theirs"]),
        ([PASSING], ["passing"]),
        ([replace(PASSING, **OLD)], []),
        ([replace(PASSING, state=ContainerState.RUNNING, started_at=NOW)], ["passing"]),
        ([replace(OURS, state=ContainerState.RUNNING, started_at=NOW)], []),
    ],
    ids=[
        "meant and made", "made by hand",
        "made before", "made at an unknown time", "of another service", "of another hash",
        "which is old", "beside what is being made", "beside what is old", "in another service", "passing name",
        "which is old", "which runs", "runs under its own",
    ],
)  # fmt: skip
async def test_only_what_we_meant_to_make_is_left_over(
    meant: StateManager, there: list[ContainerSnapshot], left: list[str]
) -> None:
    assert await of_others(meant, *there) == left


async def test_without_an_intent_nothing_is_ours(state: StateManager) -> None:
    assert await of_others(state, OURS) == ["ours"]


async def test_what_a_recovery_meant_to_make_is_left_over(meant: StateManager) -> None:
    step = RecoveryStep("STEP-1", "ALERT-1", "dev", "web", RecoveryAction.RECREATE, BEGUN, ended=True)
    await meant.recoveries.save(step)
    assert await of_others(meant, OURS) == []
