"""Define the exit codes of commands, for scripts."""

from enum import IntEnum

from roas.models.coordination import PhaseName
from roas.models.deployment import Deployment, Outcome, PhaseStatus


class ExitCode(IntEnum):
    """The codes that scripts can rely on; docs/command-line.md explains each."""

    SUCCEEDED = 0
    FAILED = 1
    INVALID_REQUEST = 2
    ROLLED_BACK = 3
    CANCELLED = 4
    LOCKED = 5
    REFUSED = 6
    UNAVAILABLE = 69
    SETTINGS = 78
    INTERRUPTED = 130


BY_KEY = {
    "settings": ExitCode.SETTINGS,
    "lock_held": ExitCode.LOCKED,
    "frozen": ExitCode.LOCKED,
    "cancelled": ExitCode.CANCELLED,
    "invalid_request": ExitCode.INVALID_REQUEST,
    "image_not_found": ExitCode.INVALID_REQUEST,
    "release_not_restorable": ExitCode.INVALID_REQUEST,
    "not_permitted": ExitCode.REFUSED,
    "validation_failed": ExitCode.REFUSED,
    "compose_file": ExitCode.REFUSED,
    "compose_policy": ExitCode.REFUSED,
    "second_copy": ExitCode.REFUSED,
    "dependency_cycle": ExitCode.REFUSED,
    "image_changed": ExitCode.REFUSED,
    "engine_unavailable": ExitCode.UNAVAILABLE,
    "registry_unavailable": ExitCode.UNAVAILABLE,
    "state": ExitCode.UNAVAILABLE,
    "state_folder": ExitCode.UNAVAILABLE,
    "journal_held": ExitCode.UNAVAILABLE,
    "journal_lost": ExitCode.UNAVAILABLE,
    "journal_damaged": ExitCode.UNAVAILABLE,
    "journal_missing": ExitCode.UNAVAILABLE,
    "fenced_off": ExitCode.UNAVAILABLE,
    "control_unavailable": ExitCode.UNAVAILABLE,
    "control_socket_held": ExitCode.UNAVAILABLE,
}
BY_OUTCOME = {
    Outcome.SUCCEEDED: ExitCode.SUCCEEDED,
    Outcome.FAILED: ExitCode.FAILED,
    Outcome.ROLLED_BACK: ExitCode.ROLLED_BACK,
    Outcome.CANCELLED: ExitCode.CANCELLED,
}
# From here on a deployment changes what runs.
CHANGING_PHASES = (PhaseName.EXECUTION, PhaseName.ROLLBACK)


def code_of_fault(key: str) -> ExitCode:
    """Return the code of a kind of fault."""
    return BY_KEY.get(key, ExitCode.FAILED)


def code_of_deployment(deployment: Deployment) -> ExitCode:
    """Return the exit code of an ended deployment; one that failed before it changed anything has its own."""
    if deployment.outcome is None:
        return ExitCode.SUCCEEDED  # it continues without this process (--detach)
    if deployment.outcome is Outcome.FAILED and deployment.problem is not None and not _changed_anything(deployment):
        return code_of_fault(deployment.problem.key)
    return BY_OUTCOME[deployment.outcome]


def _changed_anything(deployment: Deployment) -> bool:
    phases = (deployment.phase(name) for name in CHANGING_PHASES)
    return any(phase is not None and phase.status is not PhaseStatus.PENDING for phase in phases)
