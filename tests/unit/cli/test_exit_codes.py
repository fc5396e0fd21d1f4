"""What scripts can rely on."""

from datetime import UTC, datetime

import pytest

from roas.api.documents import ControlUnavailableError
from roas.cli.running import code_of_deployment, code_of_fault
from roas.errors import (
    EngineUnavailableError,
    FencedOffError,
    ImageNotVerifiedError,
    InternalFaultError,
    InvalidRequestError,
    NotPermittedError,
    NotVerifiableNowError,
    RefMovedError,
    RepositoryError,
    RepositoryUnavailableError,
    RequirementError,
    RoasError,
    SettingsError,
    StateError,
    ValidationFailedError,
)
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    DeploymentRequest,
    Outcome,
    PhaseResult,
    PhaseStatus,
    Problem,
)
from roas.models.phases import PhaseName
from roas.starting_times import WindowClosedError
from roas.state.deployments.locks import LockHeldError

ASKER = Actor(ActorKind.SYSTEM, "0", "root")


def ended(outcome: Outcome | None, key: str = "", *, executed: bool = True) -> Deployment:
    status = PhaseStatus.FAILED if executed else PhaseStatus.PENDING
    return Deployment(
        "DEPLOY-1",
        DeploymentRequest("dev", DeploymentKind.DEPLOY, ASKER),
        "standard",
        "COR-1",
        datetime.now(UTC),
        phases=(PhaseResult(PhaseName.VALIDATION, PhaseStatus.SUCCESS), PhaseResult(PhaseName.EXECUTION, status)),
        outcome=outcome,
        problem=Problem(key, "it broke") if key else None,
    )


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (InvalidRequestError, 2),
        (LockHeldError, 5),
        (WindowClosedError, 5),
        (RequirementError, 6),
        (NotPermittedError, 6),
        (ValidationFailedError, 6),
        (ImageNotVerifiedError, 6),
        (RepositoryError, 6),
        (RefMovedError, 6),
        (NotVerifiableNowError, 69),
        (RepositoryUnavailableError, 69),
        (EngineUnavailableError, 69),
        (StateError, 69),
        (FencedOffError, 69),
        (ControlUnavailableError, 69),
        (SettingsError, 78),
        (InternalFaultError, 1),
        (RoasError, 1),
    ],
)
def test_fault_exits_with_its_code(kind: type[RoasError], code: int) -> None:
    assert code_of_fault(kind.key) == code


@pytest.mark.parametrize(
    ("deployment", "code"),
    [
        (ended(None), 0),
        (ended(Outcome.SUCCEEDED), 0),
        (ended(Outcome.ROLLED_BACK, "service_failed"), 3),
        (ended(Outcome.CANCELLED, "cancelled"), 4),
        (ended(Outcome.FAILED, "rollback_failed"), 1),
        (ended(Outcome.FAILED, "engine_unavailable"), 1),
        (ended(Outcome.FAILED, "engine_unavailable", executed=False), 69),
        (ended(Outcome.FAILED, "validation_failed", executed=False), 6),
        (ended(Outcome.FAILED, "phase_timeout", executed=False), 1),
    ],
)
def test_outcome_exits_with_its_code(deployment: Deployment, code: int) -> None:
    assert code_of_deployment(deployment) == code
