"""Set how long the phases of a deployment may take, what is tried again, how often, and how long is waited for it."""

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


# How long is waited between two tries, longer after each failure. What is over in a moment as a rule: Redis, and what
# passes by itself.
SOON = Retries(0.5, 10.0)
# A phase with a transient fault; each wait is shortened at random, to no less than half.
PHASE_RETRIES = Retries(1.0, 10.0)
# What a person has to put right as a rule, or Discord, which counts to 1000 a day: logging in and its gateway, the
# commands, the message that the journal is lost, a deployment that only the journal stopped, and who is told outside of
# Discord.
PATIENTLY = Retries(2.0, 120.0)
# A message that Discord did not take, and at most where its channel is closed to the bot, in seconds.
POSTS = Retries(1.0, 60.0)
CLOSED_CHANNEL_SECONDS = 300.0

# What is retried at even intervals, in seconds: a look at a stack that failed, the control socket that another process
# still holds, and a copy of the journal that could not be made.
WATCH_RETRY_SECONDS = 2.0
SOCKET_RETRY_SECONDS = 1.0
BACKUP_RETRY_SECONDS = 600.0
# A probe that got no answer: a verdict comes within seconds.
PROBE_RETRY_SECONDS = 1.0
# A proxy that was not found: one that is started again is found soon, and its engine has better things to do than to be
# asked.
PROXY_RETRY_SECONDS = 0.25
# cAdvisor, where nothing answered for it.
USAGE_RETRY_SECONDS = 30.0
# An issuer's keys, where a token names one that is not among them: not all the time.
KEYS_RETRY_SECONDS = 30.0
# What is written to a Swarm: somebody else writes, or the managers elect a leader.
SWARM_RETRY_SECONDS = 0.5
# An address by ssh that a host refused, unless a file of ours has changed: sshd takes each failed login for five
# seconds, and shuts out who owes it fifteen.
LOGIN_RETRY_SECONDS = 15.0
# A registry that counts requests, unless it says how long: and at most, whatever it says.
REGISTRY_REST_SECONDS = 60.0
LONGEST_REGISTRY_REST_SECONDS = 6 * 3600.0
# A recovery's next attempt: what the one before did shows by then.
RECOVERY_PAUSE_SECONDS = 2.0
# A scheduled backup of a service that failed is tried again after so long, and one that has to wait for longer is told.
SCHEDULED_BACKUP_PATIENCE = timedelta(hours=1)

# How often in all. A deployment whose processes die is handed to an operator after so many.
MOST_ATTEMPTS = 3
# How often a deployment applies again what somebody else undid.
MOST_APPLIED_AGAIN = 2
# How often what runs is read at the end of a deployment, where things happen on.
MOST_LAST_LOOKS = 3
# How many successors are started in all, where somebody ends them.
MOST_SUCCESSORS = 3
# How often a service of a Swarm is written, where somebody else writes it or the managers do not answer.
SWARM_WRITE_TRIES = 8
# A service may need a start or two to find what it depends on; more than this is a loop.
TOLERATED_RESTARTS = 2
# In a handover the predecessor holds the socket for a moment. Who finds it held after that has another bot beside it.
SOCKET_TRIES = 5
# What restarts again and again holds a port for a moment: so often one that is held is looked at again.
PORT_RETRIES = 2
# How often a check of HAProxy's files is made with names that it has asked for: for those of servers it asks last.
PROXY_CHECK_TRIES = 5
# How often `roas init` asks a policy that names what it refuses: of the files, of the model, of what the engine holds.
POLICY_TRIES = 10

# How long what failed is waited for, or tried, in seconds. An engine: a daemon restart takes seconds.
ENGINE_GRACE_SECONDS = 20.0
# The same in a recovery: it is upgraded, or somebody starts it again.
RECOVERY_ENGINE_SECONDS = 600.0
# What passes by itself, by a phase: beyond its retries and within its time. A rollback waits for as long as it may
# take: nothing comes after it.
PASSING_SECONDS = 120.0
# A Swarm without a quorum: machines that were lost come back by themselves, or somebody starts them; and how often a
# phase is done again since it had none meanwhile, within its time, but for the waits.
QUORUM_SECONDS = 600.0
MOST_QUORUM_LOSSES = 10
# Managers that are back, until the one that leads now knows of their nodes.
RETURNED_NODES_SECONDS = 30.0
# Managers without a leader, by who writes and by who follows a write: an election takes up to thirty seconds, and a
# read waits for it.
SWARM_WRITE_SECONDS = 60.0
SWARM_LEADER_SECONDS = 90.0
# A service that somebody else updates: it is left alone.
SWARM_BUSY_SECONDS = 30.0
# A network that a manager goes on to show for a moment, although somebody removed it (`docker stack rm`).
SWARM_SHARED_SECONDS = 15.0
# A node that is down, before it counts as lost: an engine that is restarted is back sooner.
LOST_NODE_SECONDS = 15.0
# Whoever suspends a container (`docker pause`, a machine that slept) makes its health check fail until its next run:
# Docker's default interval and some time to run. Only what is not new is waited for so long.
HEALTHY_AGAIN_SECONDS = 35.0
# A proxy that was started, perhaps by this very deployment, until it answers.
PROXY_STARTING_SECONDS = 5.0
# A bot that a command follows from afar: it may be replacing itself; and one that is asked first: it may be restarting.
FOLLOWED_BOT_SECONDS = 300.0
ASKED_BOT_SECONDS = 90.0
# A bot that died: its restart policy starts it again, and until then no other process needs to run the deployment.
ORPHANED_SECONDS = 60.0
# A journal that could not be read made every bot on it unhealthy: until the next checks that says nothing of any.
JOURNAL_GRACE_SECONDS = 45.0
# A candidate that cannot be planned, or a delivery's version that cannot be had: after that no more.
CANDIDATE_TRIED_FOR = timedelta(days=1)
# A repository that another restic holds, as one that prunes it does; written as restic takes it.
RESTIC_LOCK_WAIT = "5m"

# How often a service is recovered within a window, each time gentler first, and a whole environment taken back.
RECOVERY_WINDOW = timedelta(minutes=15)
RECOVERIES: Mapping[RecoveryAction, int] = {
    RecoveryAction.RESTART: 3,
    RecoveryAction.RECREATE: 1,
    RecoveryAction.ROLL_BACK: 1,
}

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
    can_go_back=False,
    builds=False,
    prepares_monitoring=False,
    prunes=False,
)
# How many replicas there were before is known.
SCALING = replace(OPERATION, rollback_on_failure=True, can_go_back=True)
# Of what is stopped there is nothing to watch, and what is kept as it is was not touched.
STOPPING = replace(OPERATION, name="stop", phases=OPERATION.phases[:1], is_watched=False)
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
    Operation.SCALE: SCALING,
    Operation.STOP: STOPPING,
    Operation.KEEP: KEEPING,
    Operation.SAVE: SAVING,
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
