"""Ask an application for what people ask of it."""

from dataclasses import dataclass
from typing import Any

from roas.app.application import Application
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, PhaseResult
from roas.models.phases import PhaseName
from roas.models.rollout import Choice

DORA = Actor(ActorKind.DISCORD, "1001", "dora")
ANNA = Actor(ActorKind.DISCORD, "1002", "anna")


def request(kind: str, environment: str = "dev", version: str | None = None, **more: Any) -> Any:
    """Make a request of a kind, by its stored name; dora asks unless somebody else is named."""
    return DeploymentRequest(environment, DeploymentKind(kind), more.pop("by", DORA), version=version, **more)


@dataclass(frozen=True)
class People:
    """Ask, and wait for the end."""

    application: Application

    async def deploy(self, version: str, environment: str = "dev", **more: Any) -> Deployment:
        """Deploy a version and return how it ended."""
        return await self.application.orchestrator.run(request(DeploymentKind.DEPLOY, environment, version, **more))

    async def hotfix(self, version: str, environment: str = "prod", **more: Any) -> Deployment:
        """Deploy a version in a hurry and return how it ended."""
        more.setdefault("reason", "it burns")
        return await self.application.orchestrator.run(request(DeploymentKind.HOTFIX, environment, version, **more))

    async def rollback(self, environment: str = "dev", to: int | None = None, **more: Any) -> Deployment:
        """Go back to a release, or to the one before, and return how it ended."""
        asked = request(DeploymentKind.ROLLBACK, environment, target_release=to, **more)
        return await self.application.orchestrator.run(asked)

    async def decide(self, deployment_id: str, choice: str, by: Actor) -> Deployment:
        """Decide on a rollout that is paused, by the stored name of the choice."""
        return await self.application.orchestrator.decide(deployment_id, Choice(choice), by)

    async def succeed(self, version: str, environment: str = "dev", **more: Any) -> Deployment:
        """Deploy a version that is expected to come up."""
        return succeeded(await self.deploy(version, environment, **more))


def succeeded(deployment: Deployment) -> Deployment:
    """Make sure that a deployment succeeded."""
    assert deployment.outcome == "succeeded", deployment.problem
    return deployment


def told(deployment: Deployment) -> str:
    """Return what a person reads of a problem: the message and the hint."""
    assert deployment.problem is not None
    return f"{deployment.problem.message}\n{deployment.problem.hint}"


def phase(deployment: Deployment, name: str) -> PhaseResult | None:
    """Return the record of a phase, by its stored name."""
    return deployment.phase(PhaseName(name))
