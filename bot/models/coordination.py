"""Define what a deployment is asked to do: its phases, their time and their retries."""

from dataclasses import dataclass, replace
from enum import StrEnum

DEFAULT_PHASE_TIMEOUT_SECONDS = 300.0
# Within preparation, pull, build and monitoring run at the same time, each within its own limit.
PULL_TIMEOUT_SECONDS = 300.0
BUILD_TIMEOUT_SECONDS = 600.0
PREPARE_MONITORING_TIMEOUT_SECONDS = 180.0
# Nothing comes after a rollback that fails: an engine that is restarted meanwhile is waited for.
ROLLBACK_RETRIES = 5


class PhaseName(StrEnum):
    """The steps that a deployment can go through, in the order in which they run."""

    INITIALIZATION = "initialization"
    VALIDATION = "validation"
    PREPARATION = "preparation"
    EXECUTION = "execution"
    VERIFICATION = "verification"
    COMPLETION = "completion"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class PhasePolicy:
    """Limit one phase: seconds that it may take in all, and retries of a transient fault."""

    name: PhaseName
    timeout_seconds: float = DEFAULT_PHASE_TIMEOUT_SECONDS
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Coordination:
    """Describe a kind of deployment: which phases run, within which limits, and what a failure leads to."""

    name: str
    phases: tuple[PhasePolicy, ...]
    rollback_on_failure: bool = True
    parallel_execution: bool = True
    builds: bool = True
    prepares_monitoring: bool = True
    prunes: bool = True

    def policy(self, phase: PhaseName) -> PhasePolicy:
        """Return the limits of a phase; one that the coordination does not list has the default limits."""
        default = PhasePolicy(phase, retries=ROLLBACK_RETRIES if phase is PhaseName.ROLLBACK else 0)
        return next((policy for policy in self.phases if policy.name is phase), default)


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
)

HOTFIX = Coordination(
    name="hotfix",
    phases=(
        PhasePolicy(PhaseName.VALIDATION, 30, 0),
        PhasePolicy(PhaseName.PREPARATION, PULL_TIMEOUT_SECONDS, 1),
        PhasePolicy(PhaseName.EXECUTION, 120, 1),
        PhasePolicy(PhaseName.VERIFICATION, 60, 0),
    ),
    parallel_execution=False,
    builds=False,
    prepares_monitoring=False,
    prunes=False,
)

# What is done to services of the release that runs: nothing is brought back where it fails.
OPERATION = Coordination(
    name="operation",
    phases=(PhasePolicy(PhaseName.EXECUTION, 300, 1), PhasePolicy(PhaseName.VERIFICATION, 180, 1)),
    rollback_on_failure=False,
    builds=False,
    prepares_monitoring=False,
    prunes=False,
)
# Of what is stopped there is nothing to watch, and what is kept as it is was not touched.
STOPPING = replace(OPERATION, name="stop", phases=OPERATION.phases[:1])
KEEPING = replace(STOPPING, name="keep")

# A rollback that a person asked for: nothing is built, only what was pruned is pulled. One that fails is never rolled
# back.
ROLLBACK = Coordination(
    name="rollback",
    phases=(
        PhasePolicy(PhaseName.INITIALIZATION, 60, 2),
        PhasePolicy(PhaseName.VALIDATION, 120, 1),
        PhasePolicy(PhaseName.PREPARATION, PULL_TIMEOUT_SECONDS, 2),
        PhasePolicy(PhaseName.ROLLBACK, 300, ROLLBACK_RETRIES),
        PhasePolicy(PhaseName.VERIFICATION, 180, 2),
        PhasePolicy(PhaseName.COMPLETION, 120, 1),
    ),
    rollback_on_failure=False,
    builds=False,
    prepares_monitoring=False,
)
