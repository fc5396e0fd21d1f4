"""What people ask for, and how far what they asked for has come."""

import asyncio

from roas.models.actor import Actor, ActorKind
from roas.models.deployment import DeploymentKind, DeploymentRequest, PhaseStatus, ServiceStep
from roas.models.phases import PhaseName

DORA = Actor(ActorKind.DISCORD, "1", "dora")
ANNA = Actor(ActorKind.DISCORD, "2", "anna")


def deploy(version: str = "v1", **options: object) -> DeploymentRequest:
    return DeploymentRequest("dev", DeploymentKind.DEPLOY, DORA, version=version, **options)


def deploy_home(version: str, environment: str = "home", **options: object) -> DeploymentRequest:
    """Ask for a deployment of the stack that the bot is itself a part of."""
    return DeploymentRequest(environment, DeploymentKind.DEPLOY, DORA, version=version, **options)


def rollback(**options: object) -> DeploymentRequest:
    return DeploymentRequest("dev", DeploymentKind.ROLLBACK, DORA, **options)


def hotfix(version: str, reason: str = "it burns") -> DeploymentRequest:
    return DeploymentRequest("dev", DeploymentKind.HOTFIX, DORA, version=version, reason=reason)


def statuses(deployment) -> dict[str, str]:
    return {phase.name.value: phase.status.value for phase in deployment.phases}


async def phase_reached(orchestrator, deployment_id: str, phase: PhaseName) -> None:
    def under_way(deployment) -> bool:
        return any(one.name is phase and one.status is PhaseStatus.IN_PROGRESS for one in deployment.phases)

    await reached(orchestrator, under_way, deployment_id)


async def service_reached(orchestrator, deployment_id: str, name: str, step: ServiceStep) -> None:
    await reached(orchestrator, lambda d: any(p.service == name and p.step is step for p in d.services), deployment_id)


async def reached(orchestrator, condition, deployment_id: str) -> None:
    """Wait, by the journal's own announcements, until a deployment meets a condition."""
    state = orchestrator._components.state
    changed = asyncio.Event()
    unsubscribe = state.subscribe(lambda _: changed.set())
    try:
        async with asyncio.timeout(10):
            while not condition(await state.deployments.get(deployment_id)):
                await changed.wait()
                changed.clear()
    finally:
        unsubscribe()
