"""Deployments and releases as a journal has them."""

from datetime import UTC, datetime

from roas.models.actor import Actor, ActorKind
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    DeploymentRequest,
    PhaseResult,
)
from roas.models.phases import PhaseName
from roas.models.release import ImagePin, Release, ReleaseService, ReleaseState
from roas.models.stored import new_id

DORA = Actor(ActorKind.DISCORD, "1", "dora")


def a_deployment(environment: str = "prod", interaction_id: str | None = None) -> Deployment:
    request = DeploymentRequest(environment, DeploymentKind.DEPLOY, DORA, version="v2", interaction_id=interaction_id)
    return Deployment(
        id=new_id("DEPLOY"),
        request=request,
        coordination="standard",
        correlation_id=new_id("COR"),
        created_at=datetime.now(UTC),
        phases=(PhaseResult(PhaseName.INITIALIZATION), PhaseResult(PhaseName.VALIDATION)),
    )


def a_release(state: ReleaseState = ReleaseState.CANDIDATE, version: str = "v1") -> Release:
    pin = ImagePin("shop/web:v1", "sha256:" + "a" * 64)
    return Release("prod", -1, version, state, (ReleaseService("web", pin, "h"),), "f" * 64, datetime.now(UTC), DORA)
