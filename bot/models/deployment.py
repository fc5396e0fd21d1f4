"""Describe one run that moves an environment from a release to another."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from roas.models.actor import Actor
from roas.models.phases import PhaseName
from roas.models.rollout import WATCH, Decision, Pause, RolloutRecord
from roas.models.stored import StoredEnum


class DeploymentKind(StrEnum):
    """What was asked for; the value is the prefix of the deployment's id."""

    DEPLOY = "DEPLOY"
    HOTFIX = "HOTFIX"
    ROLLBACK = "ROLLBACK"


class Operation(StoredEnum, unknown="START"):
    """What was asked for services of the release that runs; the value is the prefix of the deployment's id.

    It is a deployment of the same lock, roles, journal and outcome that leads to no other release. To keep what hands
    changed makes a release of that, and changes no container; nor does to save data on its schedule. An unknown one
    counts as the one that takes nothing away.
    """

    RESTART = "RESTART"
    STOP = "STOP"
    START = "START"
    KEEP = "KEEP"
    SCALE = "SCALE"
    SAVE = "SAVE"


# What the ids of backups on schedule begin with: they come night after night, and are no news of what runs.
SAVES = f"{Operation.SAVE}-"


class PhaseStatus(StoredEnum, unknown="in_progress"):
    """How far a phase has come; an unknown one counts as one that has not ended."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Outcome(StoredEnum, unknown="failed"):
    """How a deployment ended; `failed` means that an operator is needed.

    An unknown one counts as one that needs a person.
    """

    SUCCEEDED = "succeeded"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"
    FAILED = "failed"


class ServiceStep(StoredEnum, unknown="waiting"):
    """How far a service has come. A step that ends in -ing is an intent: it is journalled before the act.

    An unknown one counts as one under way: something was changed.
    """

    PENDING = "pending"
    PULLING = "pulling"
    PULLED = "pulled"
    BUILDING = "building"
    BUILT = "built"
    CREATING = "creating"
    STARTING = "starting"
    WAITING = "waiting"
    PAUSED = "paused"
    HEALTHY = "healthy"
    UNVERIFIED = "unverified"
    COMPLETED = "completed"
    UNCHANGED = "unchanged"
    REMOVING = "removing"
    REMOVED = "removed"
    RESTORING = "restoring"
    RESTORED = "restored"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


# Steps of a service between its first container and the word that it is ready.
OPEN_STEPS = frozenset({ServiceStep.CREATING, ServiceStep.STARTING, ServiceStep.WAITING, ServiceStep.PAUSED})
# Steps that change nothing in what runs.
UNTOUCHED_STEPS = frozenset(
    {
        ServiceStep.PENDING,
        ServiceStep.PULLING,
        ServiceStep.PULLED,
        ServiceStep.BUILDING,
        ServiceStep.BUILT,
        ServiceStep.UNCHANGED,
    }
)


@dataclass(frozen=True, slots=True)
class DeploymentRequest:
    """Describe what a person or a program requested, and who else approved exactly that.

    `granted` are the new powers that somebody said yes to, by name. `stack_commit` is the commit that the stack's files
    must be of, where they come from a repository. An `operation` is on `services` of the release that runs; the release
    before this one would take it for a deployment of no version. A scale is to so many `replicas`. With `starts_at` it
    is scheduled for that moment. A promotion brings `promoted_release` of the environment `promoted_from`. A rollback
    with `data` restores these backups, too, by id; `with` in their place means those of its release. What one host does
    of a deployment on many is `part_of` that one, by id.
    """

    environment: str
    kind: DeploymentKind
    requested_by: Actor
    version: str | None = None
    services: tuple[str, ...] = ()
    target_release: int | None = None
    reason: str = ""
    plan_digest: str | None = None
    interaction_id: str | None = None
    correlation_id: str | None = None
    approved_by: Actor | None = None
    needs_approval: bool = False
    granted: tuple[str, ...] = ()
    stack_commit: str = ""
    operation: Operation | None = None
    starts_at: datetime | None = None
    replicas: int | None = None
    promoted_from: str = ""
    promoted_release: int | None = None
    data: tuple[str, ...] = ()
    part_of: str = ""

    @property
    def can_need_approval(self) -> bool:
        """Return whether a second person may be asked: not where nothing is taken away or becomes another one."""
        if self.operation is Operation.SCALE:
            return self.replicas == 0
        return self.operation in {None, Operation.STOP, Operation.KEEP}


class DataChoice(StrEnum):
    """What stands for the backups that belong to the release to which a rollback leads."""

    WITH = "with"


class DataStep(StoredEnum, unknown="restoring"):
    """How far a rollback has come with data. A step that ends in -ing is an intent; only a restore changes data.

    `returned`: the rollback failed, and that data was restored.
    """

    SAVING = "saving"
    RESTORING = "restoring"
    RESTORED = "restored"
    RETURNING = "returning"
    RETURNED = "returned"


# Of a draft: that a second person is asked before anything is built or pulled for it.
NOTHING_YET = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """Describe what a deployment carries out, and what was there when it was drafted; nothing is read again for it.

    The model of `model_hash` has every file by content and every image by ID. It was drafted beside the model
    `from_model`, and the networks and volumes `beside` it by their name. Only containers of services that it `replaces`
    go; None where what runs was adopted. `inputs` are hashes of settings and policy. `new_powers` are those that
    somebody has to grant. While it `waits`, a second person has to approve it, until it expires. Where a build would
    use a new power, that is asked first: then there is no model yet.
    """

    model_hash: str
    from_model: str = ""
    inputs: str = ""
    replaces: tuple[str, ...] | None = None
    beside: Mapping[str, str] = field(default_factory=dict)
    new_powers: tuple[str, ...] = ()
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """Describe what went wrong and what to do about it, for a person on call.

    `key` names the kind of error, `report` is longer text for an attachment (last log lines, health-check output).
    """

    key: str
    message: str
    hint: str = ""
    service: str | None = None
    report: str = ""


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """Record how a phase went.

    `duration_seconds` has all times that it was done; of one in progress, the earlier ones. `brought_up` says of one
    that failed whether all that it was to bring up runs all the same.
    """

    name: PhaseName
    status: PhaseStatus = PhaseStatus.PENDING
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_seconds: float | None = None
    summary: str = ""
    warnings: tuple[str, ...] = ()
    problem: Problem | None = None
    brought_up: bool | None = None
    boot_id: str = ""  # by the clock of which boot `boot_seconds` says when it started
    boot_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ServiceProgress:
    """Record how far one service has come within a deployment; `fraction` (0 to 1) is of the current step.

    `rollout` is how far the replacing of its replicas has come, where that is done a few at a time. `watched_until` is
    when the deployment stops watching it, from when it was ready on. `was_well` is said on a way back: what was
    well before is kept, and runs again if that fails. `well_containers` are those of its containers that were, by id.
    """

    service: str
    step: ServiceStep = ServiceStep.PENDING
    detail: str = ""
    fraction: float | None = None
    old_image: str | None = None
    new_image: str | None = None
    changed: bool = False
    updated_at: datetime | None = None
    rollout: RolloutRecord | None = None
    watched_until: datetime | None = None
    was_well: bool | None = None
    well_containers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deployment:
    """Record a deployment as the journal knows it; everything that people see is drawn from this.

    `applied_model` is the hash of the model that runs in the end: the release's own, or that with today's credentials.
    `handed_over_to` is the process that the bot which began it passed it on to, when the bot itself was replaced.
    `successors` are the containers of the bot's own service that it has created, written before they are started.
    `draft` is what it carries out, once that is made. `pauses` are the times at which it waited for a person,
    `decision` is what one chose last, taken up or not. `promotes_to` is where it goes to next.
    `cancel_reason` is what the one who cancelled it said. `backups` are those that it made, by id, and `data_step` is
    how far it has come with restoring data. `held` are the containers, by id, that it has stopped or paused for a
    backup and has to start again. `data_stays` where no rollback can restore data, as on a Swarm.
    """

    id: str
    request: DeploymentRequest
    coordination: str
    correlation_id: str
    created_at: datetime
    phases: tuple[PhaseResult, ...] = ()
    services: tuple[ServiceProgress, ...] = ()
    from_release: int | None = None
    to_release: int | None = None
    applied_model: str = ""
    handed_over_to: str = ""
    successors: tuple[str, ...] = ()
    attempts: int = 1
    cancel_requested_by: Actor | None = None
    outcome: Outcome | None = None
    problem: Problem | None = None
    ended_at: datetime | None = None
    duration_seconds: float | None = None
    warnings: tuple[str, ...] = field(default=())
    pauses: tuple[Pause, ...] = ()
    decision: Decision | None = None
    draft: Draft | None = None
    promotes_to: str = ""
    cancel_reason: str = ""
    backups: tuple[str, ...] = ()
    data_step: DataStep | None = None
    held: tuple[str, ...] = ()
    data_stays: bool = False

    def ended(self, outcome: Outcome, problem: Problem | None = None) -> "Deployment":
        """Return the record of its end, which is now."""
        return replace(
            self,
            outcome=outcome,
            problem=problem,
            ended_at=datetime.now(UTC),
            duration_seconds=self.seconds_of_phases,
        )

    @property
    def by_service(self) -> dict[str, ServiceProgress]:
        """Return how far each of its services is, by name."""
        return {progress.service: progress for progress in self.services}

    @property
    def seconds_of_phases(self) -> float:
        """Return what its phases took in all; what was done again counts each time, and no wait for an approval."""
        return sum(phase.duration_seconds or 0.0 for phase in self.phases)

    @property
    def awaits_approval(self) -> bool:
        """Return whether it is drafted and waits for a second person: it holds nothing meanwhile."""
        return self.draft is not None and self.draft.waits and not self.finished

    @property
    def asks(self) -> bool:
        """Return whether a second person has to approve what it carries out, and has not done so."""
        has_new_powers = self.draft is not None and bool(self.draft.new_powers)
        return (self.request.needs_approval or has_new_powers) and self.request.approved_by is None

    @property
    def pause(self) -> Pause | None:
        """Return the pause that it is in: no decision was taken up, and it is not on its way back."""
        last = self.pauses[-1] if self.pauses else None
        is_over = last is None or last.decision is not None or self.finished or self.problem is not None
        return None if is_over else last

    @property
    def decided(self) -> Decision | None:
        """Return what was chosen for the pause that it is in, where somebody has."""
        fits = self.pause is not None and self.decision is not None and self.decision.pause == self.pause.number
        return self.decision if fits else None

    def decision_on(self, number: int) -> Decision | None:
        """Return what was chosen for a pause, taken up or not."""
        taken_up = next((pause.decision for pause in self.pauses if pause.number == number), None)
        chosen = self.decision if self.decision is not None and self.decision.pause == number else None
        return taken_up or chosen

    @property
    def waits_in(self) -> Pause | None:
        """Return the pause in which it waits for a person who has not decided yet."""
        return self.pause if self.decided is None and self.cancel_requested_by is None else None

    @property
    def only_watches(self) -> bool:
        """Return whether all that it still does is to watch its release: somebody newer may end that."""
        watch = self.phase(PhaseName.VERIFICATION)
        is_leaving = self.finished or self.problem is not None or self.cancel_requested_by is not None
        return watch is not None and watch.status is PhaseStatus.IN_PROGRESS and not is_leaving and self.pause is None

    @property
    def in_canary(self) -> frozenset[str]:
        """Return the services whose canary has begun, and is not over."""
        canaries = ((item.service, item.rollout.canary) for item in self.services if item.rollout is not None)
        return frozenset(service for service, canary in canaries if canary is not None and not canary.is_over)

    @property
    def in_bake(self) -> frozenset[str]:
        """Return the services that bake: all of it has succeeded, and may yet be taken back by itself."""
        canaries = ((item.service, item.rollout.canary) for item in self.services if item.rollout is not None)
        return frozenset(service for service, canary in canaries if canary is not None and canary.bakes_until)

    @property
    def bakes_until(self) -> datetime | None:
        """Return when its bake ends, unless a person is asked before; None where nothing bakes."""
        canaries = (item.rollout.canary for item in self.services if item.rollout is not None)
        ends = [canary.bakes_until for canary in canaries if canary is not None and canary.bakes_until is not None]
        return max(ends, default=None) if self.only_watches else None

    def is_ended_by(self, kind: DeploymentKind) -> bool:
        """Return whether a request of that kind takes it back: a rollback or a hotfix does so with a canary.

        Also with a bake that asks a person; one that is under way only watches.
        """
        is_leaving = self.finished or self.problem is not None or self.cancel_requested_by is not None
        asks = self.pause is not None and self.pause.canary
        return (bool(self.in_canary) or asks) and not is_leaving and kind is not DeploymentKind.DEPLOY

    @property
    def watch_ended_by(self) -> Actor | None:
        """Return whose newer request ended the watch."""
        is_newer = self.decision is not None and self.decision.pause == WATCH
        return self.decision.decided_by if self.decision is not None and is_newer else None

    @property
    def environment(self) -> str:
        """Return the name of the environment that it moves."""
        return self.request.environment

    @property
    def finished(self) -> bool:
        """Return whether it has come to its end."""
        return self.outcome is not None

    @property
    def touched(self) -> bool:
        """Return whether anything that runs was changed, or was about to be."""
        return any(progress.step not in UNTOUCHED_STEPS for progress in self.services)

    @property
    def changed_nothing(self) -> bool:
        """Return whether it succeeded, and found each service to be as it should be."""
        is_unchanged = all(progress.step is ServiceStep.UNCHANGED for progress in self.services)
        return self.outcome is Outcome.SUCCEEDED and bool(self.services) and is_unchanged

    @property
    def brought_back(self) -> bool:
        """Return whether a rollback that somebody asked for has brought up all of its release, however it ended.

        One that failed is put back; only before that was so, it was left there.
        """
        phase = self.phase(PhaseName.ROLLBACK)
        if phase is None or self.request.kind is not DeploymentKind.ROLLBACK:
            return False
        return phase.status is PhaseStatus.SUCCESS if phase.brought_up is None else phase.brought_up

    @property
    def was_put_back(self) -> bool:
        """Return whether a rollback failed, and what was well before it runs again."""
        phase = self.phase(PhaseName.ROLLBACK)
        succeeded = phase is not None and phase.status is PhaseStatus.SUCCESS and phase.brought_up is False
        return succeeded and self.outcome is Outcome.FAILED

    @property
    def current_phase(self) -> PhaseResult | None:
        """Return the phase that is in progress; the last one, where a process died in another."""
        return next((phase for phase in reversed(self.phases) if phase.status is PhaseStatus.IN_PROGRESS), None)

    def phase(self, name: PhaseName) -> PhaseResult | None:
        """Return the record of a phase, or None where this deployment has no such phase."""
        return next((phase for phase in self.phases if phase.name is name), None)


@dataclass(frozen=True, slots=True)
class Lock:
    """Describe who holds an environment, since when and for what.

    `paused` is the stored name of `is_partial`: the release before reads it.
    """

    environment: str
    deployment_id: str
    held_by: Actor
    purpose: str
    since: datetime
    instance_id: str
    token: int
    paused: bool = False

    @property
    def is_partial(self) -> bool:
        """Return whether it holds no more than what the deployment is in the middle of: it waits, or bakes."""
        return self.paused


@dataclass(frozen=True, slots=True)
class Stop:
    """Record which service was stopped through the bot, by whom, since when, and why."""

    environment: str
    service: str
    stopped_by: Actor
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Scale:
    """Record to how many replicas a service was scaled, of how many its files said, by whom, since when, and why."""

    environment: str
    service: str
    replicas: int
    written: int
    scaled_by: Actor
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Freeze:
    """Record which environment nobody may deploy to, who set that, since when, until when if that is said, and why."""

    environment: str
    frozen_by: Actor
    reason: str
    since: datetime
    until: datetime | None = None
