"""What fills a journal: changes by number, and the whole life of a deployment."""

from dataclasses import replace
from datetime import UTC, datetime

from roas.models.actor import Actor, ActorKind
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Outcome, PhaseResult, PhaseStatus
from roas.models.phases import PhaseName
from roas.models.state_change import ChangeType, StateChange
from roas.models.stored import new_id
from roas.state.manager import StateManager

DORA = Actor(ActorKind.DISCORD, "1", "dora")


async def write(state: StateManager, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        await state.record(StateChange(ChangeType.AUDIT, "test", "dev", f"s{number}", new=f"n{number}"))


async def deploy(state: StateManager, version: str = "v2") -> Deployment:
    """Write a deployment's whole life into the journal."""
    request = DeploymentRequest("dev", DeploymentKind.DEPLOY, DORA, version=version)
    phase = PhaseResult(PhaseName.VALIDATION)
    deployment = Deployment(new_id("DEPLOY"), request, "standard", new_id("COR"), datetime.now(UTC), phases=(phase,))
    fence = await state.deployments.create(deployment, "deploy")
    await state.deployments.save_phases(deployment, (replace(phase, status=PhaseStatus.SUCCESS),), fence)
    await state.deployments.finish(replace(deployment, outcome=Outcome.SUCCEEDED), fence)
    return deployment
