"""Decide what a failure within a phase leads to: that it is tried again, waited for, or is the phase's end."""

import asyncio
import time
from enum import Enum, auto

from roas.deploy.context import DeploymentContext
from roas.deploy.engine_absence import has_lost_quorum, quorum_losses
from roas.errors import EnginePartAwayError, EngineUnavailableError, RoasError, ShortageError
from roas.limits import MOST_QUORUM_LOSSES, PASSING_SECONDS, PHASE_RETRIES, SOON, Backoff
from roas.models.phases import PhaseName, PhasePolicy

# What passes by itself, whoever is asked.
PASSING = (EnginePartAwayError, ShortageError)
# Phases that wait, once, for an engine that went away: the first ones are tried again anyway, and nothing is held up.
AWAITING_ENGINE = frozenset({PhaseName.PREPARATION, PhaseName.EXECUTION, PhaseName.VERIFICATION, PhaseName.ROLLBACK})


class Follows(Enum):
    """Name what a failure within a phase leads to."""

    RETRY = auto()
    ONCE_PASSED = auto()
    ONCE_QUORUM = auto()
    FAILURE = auto()


class Tries:
    """Know how often a phase was tried within its time, and what had been seen when the latest try began."""

    def __init__(self, policy: PhasePolicy, context: DeploymentContext) -> None:
        self.policy = policy
        # What passes by itself, and the phase has waited for last; since when it has waited for any.
        self.awaited: EngineUnavailableError | None = None
        self._awaited_since = 0.0
        self.begin_time(context)

    def begin_time(self, context: DeploymentContext) -> None:
        """Begin the phase's time, and with it the first try; all tries share it."""
        self.began_at = asyncio.get_running_loop().time()
        self.ends_at = self.began_at + self.policy.timeout_seconds
        self.losses_before = quorum_losses(context)
        self.number = 0
        self.retries = Backoff(PHASE_RETRIES, spread=True)
        self.begin_try(context)

    def begin_try(self, context: DeploymentContext) -> None:
        """Begin the next try, which the record of the phase counts."""
        self.number += 1
        self.is_recorded = False
        self.losses = quorum_losses(context)
        self.warnings = len(context.warnings)
        self.quorum_waits = 0
        self.passing = Backoff(SOON)

    def has_time_for(self, passing: EngineUnavailableError, *, restoring: bool) -> bool:
        """Return whether what passes by itself is waited for; once it took too long it blames no service."""
        if self.awaited is None:
            self._awaited_since = time.monotonic()
        waited = time.monotonic() - self._awaited_since
        if self.policy.name is PhaseName.COMPLETION or (waited > PASSING_SECONDS and not restoring):
            passing.was_awaited = True
            return False
        self.awaited = passing
        return True


async def what_follows(context: DeploymentContext, tries: Tries, fault: Exception) -> Follows:
    """Return what a fault within a phase leads to, by the first line of the table that it is of.

    | what failed | what follows | how often |
    |---|---|---|
    | a part of the engine, or what ran out: it passes by itself | done again once it has passed | PASSING_SECONDS |
    | anything, while a Swarm had no quorum | done again once there is a quorum | MOST_QUORUM_LOSSES in each try |
    | what is transient, such as a connection that broke off | a retry, after a wait | the phase's `retries` |
    | an unhealthy service, a check, a cancellation, the journal, all else | the phase has failed | |
    | the phase's time is over | it has failed; without a quorum meanwhile, all of it once there is one | |

    A rollback waits for what passes by itself for as long as it may take, and completion does not. Only a retry is
    an attempt of the record. All share the phase's time, but for the waits for a quorum (`PhaseRunner` looks after
    that). An engine that is away is waited for once, even where the phase has failed (`awaits_engine`).

    Beyond the phase, `DeploymentRun` decides: a rollout that paused waits for a person, what somebody else undid is
    applied again, and a phase that has failed leads to a rollback, or to an operator.
    """
    if isinstance(fault, PASSING) and tries.has_time_for(fault, restoring=context.restoring):
        return Follows.ONCE_PASSED
    if not isinstance(fault, RoasError):
        return Follows.FAILURE
    if tries.quorum_waits < MOST_QUORUM_LOSSES and await has_lost_quorum(context, fault, tries.losses):
        return Follows.ONCE_QUORUM
    return Follows.RETRY if fault.transient and tries.number <= tries.policy.retries else Follows.FAILURE


def awaits_engine(context: DeploymentContext, tries: Tries, fault: Exception) -> bool:
    """Return whether an engine that went away is waited for, also where the phase has failed: what comes next needs it.

    Who follows its events has waited, who acts has not. A Swarm is waited for by who writes to it.
    """
    if tries.number > 1 or tries.policy.name not in AWAITING_ENGINE or context.stack.needs_quorum:
        return False
    return isinstance(fault, EngineUnavailableError) and not fault.was_awaited
