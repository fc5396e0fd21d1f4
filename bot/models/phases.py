"""Define what a deployment is asked to do: its phases, their time and their retries, as `roas.limits` sets them."""

from dataclasses import dataclass
from enum import StrEnum


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
    timeout_seconds: float = 300.0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Coordination:
    """Describe a kind of deployment: which phases run, within which limits, and what a failure leads to.

    `rollback` limits the way back from a failure, which is none of its phases. It `can_go_back` where there is
    something from before to go back to. What runs is read once more at the end where it `is_watched`.
    """

    name: str
    phases: tuple[PhasePolicy, ...]
    rollback: PhasePolicy
    rollback_on_failure: bool = True
    can_go_back: bool = True
    is_watched: bool = True
    parallel_execution: bool = True
    builds: bool = True
    prepares_monitoring: bool = True
    prunes: bool = True

    def policy(self, phase: PhaseName) -> PhasePolicy:
        """Return the limits of a phase; one that the coordination does not list has the default limits."""
        default = self.rollback if phase is PhaseName.ROLLBACK else PhasePolicy(phase)
        return next((policy for policy in self.phases if policy.name is phase), default)
