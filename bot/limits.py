"""Set how long the phases of a deployment may take, how often what is retried, and how long is waited in between."""

import random
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from roas.models.deployment import DeploymentKind, DeploymentRequest, Operation
from roas.models.phases import Coordination, PhaseName, PhasePolicy
from roas.models.recovery import RecoveryAction

# 2 to the power of more than this is beyond every limit.
MOST_DOUBLINGS = 16


@dataclass(frozen=True, slots=True)
class Retries:
    """Set how long is waited after the first failure, and at most, in seconds; each failure doubles the wait."""

    first_seconds: float
    longest_seconds: float


# What is over in a moment as a rule: Redis, and a transient fault within a phase.
SOON = Retries(0.5, 10.0)
# What a person has to put right as a rule, or Discord, which counts to 1000 a day: logging in and its gateway, the
# commands, the message that the journal is lost, a deployment that only the journal stopped, and who is told outside of
# Discord.
PATIENTLY = Retries(2.0, 120.0)

# What is retried at even intervals, in seconds: a look at a stack that failed, the control socket that another process
# still holds, and a copy of the journal that could not be made.
WATCH_RETRY_SECONDS = 2.0
SOCKET_RETRY_SECONDS = 1.0
BACKUP_RETRY_SECONDS = 600.0
# A scheduled backup of a service that failed is tried again after so long, and one that has to wait for longer is told.
SCHEDULED_BACKUP_PATIENCE = timedelta(hours=1)
# A deployment whose processes die is handed to an operator after so many.
MOST_ATTEMPTS = 3

# Within preparation, pull, build and monitoring run at the same time, each within its own limit, in seconds. The
# phase's is no shorter than any of them: who runs out of time there is told what to do, and the phase knows less.
PULL_TIMEOUT_SECONDS = 300.0
BUILD_TIMEOUT_SECONDS = 600.0
PREPARE_MONITORING_TIMEOUT_SECONDS = 180.0
# How long it may take to back up the data of one service, and to restore it: so much longer may that phase take.
DATA_TIMEOUT_SECONDS = 600.0
# What a stack may say instead, at most.
LONGEST_DATA_TIMEOUT_SECONDS = 86_400.0
# Nothing comes after a rollback that fails: an engine that is restarted meanwhile is waited for.
ROLLBACK_RETRIES = 5
BACK = PhasePolicy(PhaseName.ROLLBACK, 300, ROLLBACK_RETRIES)

# Time and retries per phase: design of the standard and the hotfix coordination.
STANDARD = Coordination(
    name="standard",
    phases=(
        PhasePolicy(PhaseName.INITIALIZATION, 60, 2),
        PhasePolicy(PhaseName.VALIDATION, 120, 1),
        PhasePolicy(PhaseName.PREPARATION, 600, 2),
        PhasePolicy(PhaseName.EXECUTION, 300, 3),
        PhasePolicy(PhaseName.VERIFICATION, 180, 2),
        PhasePolicy(PhaseName.COMPLETION, 120, 1),
    ),
    rollback=BACK,
)

HOTFIX = Coordination(
    name="hotfix",
    phases=(
        PhasePolicy(PhaseName.VALIDATION, 30, 0),
        PhasePolicy(PhaseName.PREPARATION, PULL_TIMEOUT_SECONDS, 1),
        PhasePolicy(PhaseName.EXECUTION, 120, 1),
        PhasePolicy(PhaseName.VERIFICATION, 60, 0),
    ),
    rollback=BACK,
    parallel_execution=False,
    builds=False,
    prepares_monitoring=False,
    prunes=False,
)

# What is done to services of the release that runs: nothing is brought back where it fails.
OPERATION = Coordination(
    name="operation",
    phases=(PhasePolicy(PhaseName.EXECUTION, 300, 1), PhasePolicy(PhaseName.VERIFICATION, 180, 1)),
    rollback=BACK,
    rollback_on_failure=False,
    builds=False,
    prepares_monitoring=False,
    prunes=False,
)
# Of what is stopped there is nothing to watch, and what is kept as it is was not touched.
STOPPING = replace(OPERATION, name="stop", phases=OPERATION.phases[:1])
KEEPING = replace(STOPPING, name="keep")
SAVING = replace(STOPPING, name="save")

# A rollback that a person asked for: nothing is built, only what was pruned is pulled. One that fails is never rolled
# back.
ROLLBACK = Coordination(
    name="rollback",
    phases=(
        PhasePolicy(PhaseName.INITIALIZATION, 60, 2),
        PhasePolicy(PhaseName.VALIDATION, 120, 1),
        PhasePolicy(PhaseName.PREPARATION, PULL_TIMEOUT_SECONDS, 2),
        BACK,
        PhasePolicy(PhaseName.VERIFICATION, 180, 2),
        PhasePolicy(PhaseName.COMPLETION, 120, 1),
    ),
    rollback=BACK,
    rollback_on_failure=False,
    builds=False,
    prepares_monitoring=False,
)

COORDINATIONS: Mapping[DeploymentKind, Coordination] = {
    DeploymentKind.DEPLOY: STANDARD,
    DeploymentKind.HOTFIX: HOTFIX,
    DeploymentKind.ROLLBACK: ROLLBACK,
}
OPERATIONS: Mapping[Operation, Coordination] = {
    Operation.STOP: STOPPING,
    Operation.KEEP: KEEPING,
    Operation.SAVE: SAVING,
}

# How long a phase waits, beyond its retries and within its time, for what passes by itself. A rollback waits for as
# long as it may take: nothing comes after it.
PASSING_SECONDS = 120.0
# How long a Swarm may be without a quorum: machines that were lost come back by themselves, or somebody starts them;
# and how often a phase is done again since it had none meanwhile, within its time, but for the waits.
QUORUM_SECONDS = 600.0
MOST_QUORUM_LOSSES = 10
# How often a service is recovered within a window, each time gentler first, and a whole environment taken back.
RECOVERY_WINDOW = timedelta(minutes=15)
RECOVERIES: Mapping[RecoveryAction, int] = {
    RecoveryAction.RESTART: 3,
    RecoveryAction.RECREATE: 1,
    RecoveryAction.ROLL_BACK: 1,
}


def coordination_of(request: DeploymentRequest) -> Coordination:
    """Return the phases that what was asked for goes through."""
    if request.operation is None:
        return COORDINATIONS[request.kind]
    return OPERATIONS.get(request.operation, OPERATION)


class Backoff:
    """Return longer waits after each failure in a row; `spread` shortens each at random: not all come back at once."""

    def __init__(self, retries: Retries, *, spread: bool = False) -> None:
        self._retries = retries
        self._spread = spread
        self._failures = 0

    def failed(self, longest_seconds: float | None = None) -> float:
        """Return how many seconds to wait after one more failure; `longest_seconds` is in place of the usual limit."""
        longest = self._retries.longest_seconds if longest_seconds is None else longest_seconds
        doubled: int = 2 ** min(self._failures, MOST_DOUBLINGS)
        delay = min(self._retries.first_seconds * doubled, longest)
        self._failures += 1
        return delay * random.uniform(0.5, 1.0) if self._spread else delay  # noqa: S311 - nothing secret hangs on it

    def succeeded(self) -> None:
        """Begin again with the shortest wait."""
        self._failures = 0


class Backoffs:
    """Keep a backoff for each of several subjects that failed, by its id."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._failed: dict[str, tuple[Backoff, float]] = {}

    def failed(self, subject: str) -> float:
        """Record one more failure, and return how many seconds the subject has to wait."""
        backoff, _ = self._failed.get(subject, (Backoff(self._retries), 0.0))
        seconds = backoff.failed()
        self._failed[subject] = (backoff, time.monotonic() + seconds)
        return seconds

    def forget(self, subject: str) -> None:
        """Forget that a subject failed."""
        self._failed.pop(subject, None)

    def keep_only(self, subjects: Collection[str]) -> None:
        """Forget all others."""
        self._failed = {subject: failed for subject, failed in self._failed.items() if subject in subjects}

    def must_wait(self, subject: str) -> bool:
        """Return whether it is too early to try a subject again."""
        return subject in self._failed and time.monotonic() < self._failed[subject][1]

    def __contains__(self, subject: str) -> bool:
        """Return whether a subject has failed, and not succeeded since."""
        return subject in self._failed

    def __bool__(self) -> bool:
        """Return whether any subject waits to be tried again."""
        return bool(self._failed)
