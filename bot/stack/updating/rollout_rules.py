"""Decide what a rollout does next, as Swarm's updater does: pure logic over what is seen of the containers.

A *slot* is the place of one replica. As many workers as the policy's parallelism each take a slot, replace its
container, wait until the new one is ready or has failed, then pause for the delay. A new container counts as failed
where it fails before it is ready, within the monitored time after that, or while old ones are left; once for each slot.

Old replicas go by one rule, whatever the order and the parallelism: as many stay as must serve and as there are no good
new ones for. Start-first all replicas must serve, stop-first all but those that are replaced at a time.

| From | When | To | Then |
|---|---|---|---|
| rolling | a worker is free, and a slot is left | rolling | it begins the slot; stop-first, an old one goes before |
| rolling | a new replica is good | rolling | start-first, an old one goes |
| rolling | failures within the ratio, or `continue` | rolling | the next slot |
| rolling | too many failures, `rollback` | failed | at once |
| rolling | too many failures, `pause` | rolling | no slot begins any more |
| rolling | … and those that had begun are ready or failed | paused | a person is asked |
| rolling | no slot is left, and none is under way | done | what is left of the old ones goes |
| paused | a person lets it go on | rolling | failures are counted again, for the slots that are left |
| paused | a person takes it back | – | the release is rolled back |

While a canary is judged, `most_new` containers are begun, beside all of the old ones.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from enum import StrEnum

from roas.models.canary import CanaryVerdict
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.rollout import ALL_AT_ONCE, Choice, FailureAction, RolloutPolicy, RolloutRecord, RolloutState
from roas.models.stack import ServiceDefinition
from roas.stack.service_comparison import WantedService


def is_rolled_out(
    wanted: WantedService, there: tuple[ContainerSnapshot, ...], record: RolloutRecord | None = None
) -> bool:
    """Return whether the replicas of a service are replaced as a policy says; a first start is no rollout.

    What a proxy stands in front of, or has a canary, always is: all at once is a policy, too.
    With a `record`, one had begun in this deployment: whoever resumes knows which replicas it went on without.
    """
    definition = wanted.definition
    has_users = definition.proxy is not None or definition.canary is not None
    is_always = has_users and not definition.one_shot and definition.replicas > 0
    if not (is_always or has_policy(definition, there)):
        return False
    return record is not None or any(
        not wanted.fits(container) and container.state is not ContainerState.CREATED for container in there
    )


def has_policy(definition: ServiceDefinition, there: Collection[ContainerSnapshot]) -> bool:
    """Return whether the replicas of a service, of which some are there, are replaced otherwise than all at once.

    One that looks as if it may end goes on where its containers are probed: the health check is the image's.
    """
    ends = definition.one_shot or (
        definition.may_end and all(container.health is HealthStatus.NONE for container in there)
    )
    return definition.update != ALL_AT_ONCE and not ends and definition.replicas > 0


def is_gradual(policy: RolloutPolicy, replicas: int) -> bool:
    """Return whether not all replicas are replaced at once."""
    return 0 < policy.parallelism < replicas


def policy_of(definition: ServiceDefinition, there: tuple[ContainerSnapshot, ...]) -> RolloutPolicy:
    """Return how the replicas that are there are replaced: all at once where they would lose what they hold.

    Compose passes unnamed volumes on only where it replaces all that differ, which is stop-first.
    """
    if not definition.start_first and any(container.unnamed_volumes for container in there):
        return replace(definition.update, parallelism=0)
    return definition.update


@dataclass(frozen=True, slots=True)
class Replica:
    """Hold what is seen of one new container: ready, failed for a reason, or neither yet."""

    id: str
    ready: bool = False
    failure: str = ""


@dataclass(frozen=True, slots=True)
class RolloutView:
    """Hold the old containers of a service, those that go first first, and the new ones."""

    old: tuple[str, ...]
    new: tuple[Replica, ...]


class RolloutVerdict(StrEnum):
    """How a rollout is by now; a canary that is as large as it is to be has to be `judged`."""

    ROLLING = "rolling"
    JUDGED = "judged"
    FAILED = "failed"
    PAUSED = "paused"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Step:
    """Say what is to be done next: old containers `retire`, and `begin` slots are filled after that.

    With neither, nothing is to be done until something changes or until `wake_at`. `cause` is the container whose
    failure was one too many.
    """

    verdict: RolloutVerdict
    retire: tuple[str, ...] = ()
    begin: int = 0
    wake_at: float | None = None
    cause: str = ""


@dataclass(slots=True)
class Rollout:
    """Follow the rollout of one service. Times are of a monotonic clock that the caller reads."""

    policy: RolloutPolicy
    replicas: int
    start_first: bool
    monitor_seconds: float
    record: RolloutRecord
    most_new: int | None = None
    _ready_at: dict[str, float] = field(default_factory=dict)
    _settled_at: dict[str, float] = field(default_factory=dict)
    _begun_here: bool = False

    def step(self, view: RolloutView, now: float) -> Step:
        """Take in what is seen, and return what to do next."""
        if not self.record.slots:
            self.record = replace(self.record, slots=max(1, self.replicas - len(view.new)))
        self._take_in(view, now)
        under_way = [replica.id for replica in view.new if self._is_under_way(replica)]
        left = max(0, self.replicas - len(view.new))
        if self.exceeded:
            return self._stop(view, under_way)
        if self.most_new is not None:
            begin = max(0, self.most_new - len(view.new))
            return Step(RolloutVerdict.ROLLING if begin or under_way else RolloutVerdict.JUDGED, begin=begin)
        begin = min(left, self._free_workers(under_way, now))
        retire = self._to_retire(view, begin)
        if not self.start_first:
            begin = max(0, min(begin, self.replicas - len(view.new) - len(view.old) + len(retire)))
        if not (begin or left or under_way):
            return self._end(view)
        return Step(RolloutVerdict.ROLLING, retire, begin, self._next_free(now) if left and not begin else None)

    @property
    def exceeded(self) -> bool:
        """Return whether more replicas have failed than the policy lets pass."""
        return is_exceeded(self.policy, self.record)

    @property
    def ready_at(self) -> float | None:
        """Return since when all that are ready have been."""
        return max(self._ready_at.values(), default=None)

    def _take_in(self, view: RolloutView, now: float) -> None:
        for replica in view.new:
            if replica.id in self.record.tolerated:
                self._settled_at.setdefault(replica.id, float("-inf"))
            elif replica.failure:
                ready_at = self._ready_at.get(replica.id)
                if ready_at is None or view.old or now - ready_at <= self.monitor_seconds:
                    self.record = replace(self.record, failed=(*self.record.failed, replica.id))
                self._settled_at.setdefault(replica.id, now)
            elif replica.ready and replica.id not in self._ready_at:
                self._ready_at[replica.id] = now
                # What was ready before this rollout was looked at holds no worker up.
                self._settled_at.setdefault(replica.id, now if self._begun_here else float("-inf"))

    def _is_under_way(self, replica: Replica) -> bool:
        """Return whether a replica is yet to become ready, or again: somebody else has taken it away for a moment."""
        return replica.id not in self._settled_at or not (replica.ready or replica.failure)

    def _free_workers(self, under_way: list[str], now: float) -> int:
        workers = self.policy.parallelism or self.replicas
        pausing = sum(at + self.policy.delay_seconds > now for at in self._settled_at.values())
        free = max(0, workers - len(under_way) - pausing)
        self._begun_here = True
        return free

    def _next_free(self, now: float) -> float | None:
        ends = (at + self.policy.delay_seconds for at in self._settled_at.values())
        return min((end for end in ends if end > now), default=None)

    def _to_retire(self, view: RolloutView, begin: int) -> tuple[str, ...]:
        """Return the old ones that go: as many stay as must serve and have no new one that is good."""
        workers = self.policy.parallelism or self.replicas
        must_serve = self.replicas if self.start_first else max(0, self.replicas - workers)
        spare = len(view.old) - max(0, must_serve - self._count_good(view))
        if not self.start_first:
            spare = min(spare, len(view.old) + len(view.new) + begin - self.replicas)
        return view.old[: max(0, spare)]

    def _count_good(self, view: RolloutView) -> int:
        """Count the new ones that serve; stop-first, also those that the policy lets fail: their old ones are gone."""
        let_pass = set() if self.start_first else self._settled_at.keys()
        return sum((replica.ready and not replica.failure) or replica.id in let_pass for replica in view.new)

    def _stop(self, view: RolloutView, under_way: list[str]) -> Step:
        cause = self.record.failed[-1]
        if self.policy.failure_action is FailureAction.ROLLBACK:
            return Step(RolloutVerdict.FAILED, cause=cause)
        retire = self._to_retire(view, 0) if self.most_new is None else ()
        if under_way or retire:
            return Step(RolloutVerdict.ROLLING, retire, cause=cause)
        self.record = replace(self.record, state=RolloutState.PAUSED)
        return Step(RolloutVerdict.PAUSED, cause=cause)

    def _end(self, view: RolloutView) -> Step:
        self.record = replace(self.record, state=RolloutState.DONE)
        return Step(RolloutVerdict.DONE, view.old)


def is_exceeded(policy: RolloutPolicy, record: RolloutRecord) -> bool:
    """Return whether more new replicas have failed than a policy lets pass."""
    if policy.failure_action is FailureAction.CONTINUE or not record.failed:
        return False
    return len(record.failed) / max(1, record.slots) > policy.max_failure_ratio


def gone_on(record: RolloutRecord, choice: Choice = Choice.GO_ON) -> RolloutRecord:
    """Return the record of a rollout that somebody let go on: what failed is accepted, failures are counted again.

    A canary that was asked about goes to its next step, or is observed for longer.
    """
    canary = record.canary
    if record.state is not RolloutState.PAUSED:
        return record
    if canary is not None and canary.verdict is CanaryVerdict.INCONCLUSIVE:
        canary = canary.extended() if choice is Choice.OBSERVE else canary.next_step()
        return replace(record, state=RolloutState.ROLLING, canary=canary)
    return RolloutRecord(accepted=(*record.accepted, *record.failed), back=record.back, canary=canary)
