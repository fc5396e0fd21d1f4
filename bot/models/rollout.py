"""Describe how the replicas of a service are replaced: what the compose file asks for, and how far it has come."""

from dataclasses import dataclass
from datetime import datetime

from roas.models.actor import Actor
from roas.models.canary import CanaryRecord
from roas.models.stored import StoredEnum


class FailureAction(StoredEnum, unknown="rollback"):
    """What the failure of new replicas leads to.

    An unknown one counts as the one that leaves nobody with what failed.
    """

    ROLLBACK = "rollback"
    PAUSE = "pause"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class RolloutPolicy:
    """Hold what `update_config` or `rollback_config` says of a rollout; what it leaves out is as without it.

    `parallelism` replicas are replaced at a time (0: all of them), and whoever replaced one pauses for the delay. A
    rollout fails where more than `max_failure_ratio` of its replicas do.
    """

    parallelism: int = 0
    delay_seconds: float = 0.0
    failure_action: FailureAction = FailureAction.ROLLBACK
    max_failure_ratio: float = 0.0


# All at once, and the first failure ends it: what a service without `update_config` has.
ALL_AT_ONCE = RolloutPolicy()


class RolloutState(StoredEnum, unknown="rolling"):
    """How far a rollout has come; its transitions are those of `roas.stack.updating.rollout_rules`.

    An unknown one counts as one under way.
    """

    ROLLING = "rolling"
    PAUSED = "paused"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class RolloutRecord:
    """Record how far the rollout of one service has come.

    `slots` replicas were to be replaced when it began, or when somebody let it go on. `failed` are the new containers
    that failed since, `accepted` those that had failed before somebody let it go on. `back` is a way back. `canary` is
    how far its canary has come, where it has one.
    """

    state: RolloutState = RolloutState.ROLLING
    slots: int = 0
    failed: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    back: bool = False
    canary: CanaryRecord | None = None

    @property
    def tolerated(self) -> frozenset[str]:
        """Return the new containers by which the service is not judged any more."""
        return frozenset(self.failed) | frozenset(self.accepted)


class Choice(StoredEnum, unknown="roll_back"):
    """What a person chooses for a deployment that is paused; an unknown one counts as the way back.

    A canary may be observed for longer.
    """

    GO_ON = "go_on"
    ROLL_BACK = "roll_back"
    OBSERVE = "observe"


# The "pause" of a deployment that only watches: whoever asks for something newer lets it go on.
WATCH = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """Record what a person chose, for which pause of a deployment, and why."""

    pause: int
    choice: Choice
    decided_by: Actor
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """Say why a deployment waits for a person; `number` counts the pauses of one deployment.

    `decision` is what was chosen, once the deployment has taken it up. A `canary` asks whether it is good; it
    may `bake` by then.
    """

    number: int
    service: str
    message: str
    since: datetime
    report: str = ""
    decision: Decision | None = None
    canary: bool = False
    bake: bool = False
