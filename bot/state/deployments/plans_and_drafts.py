"""Keep plans that wait for a confirmation, and drafts that wait for an approval; an answer is one transaction.

A drafted deployment that waits holds no environment. Its row says to the release before, which knows of no draft, that
it was cancelled.
"""

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from roas.errors import DraftVoidError, InvalidRequestError, NotPermittedError
from roas.messages.message import joined, said
from roas.models.actor import Actor
from roas.models.deployment import NOTHING_YET, Deployment, DeploymentKind, Draft, Lock, Outcome, Problem
from roas.models.plan import DRAFT_LIFETIME, ENDED, LIFETIME, Plan, PlanRecord, PlanState
from roas.models.release import ReleaseState
from roas.models.state_change import ChangeType, StateChange
from roas.state.deployments.locks import refuse_frozen, release_lock, take_lock
from roas.state.deployments.releases import set_release_state
from roas.state.deployments.rows import (
    AWAITING,
    audit_of_request,
    change_of,
    read_deployment,
    select_deployments,
    write_deployment,
)
from roas.state.journal.journal import Journal
from roas.state.living_processes import boot_id, boot_seconds
from roas.state.transaction import Fence, Transaction

# An ended plan is kept for a while, so that old buttons can say what became of it.
KEPT = 500
# What a plan is made of is kept under the time and its digest, for as long as a deployment of it may resume.
KEPT_PLAN = "kept-plan:"
KEPT_SECONDS = 24 * 3600.0
KIND_OF_DRAFT = "kind_of_draft"
BEFORE_THE_BUILD = said("Its build uses a new power: nothing is built before a second person approves that.")


class Approvals:
    """Read and answer plans."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def add(self, plan_record: PlanRecord) -> None:
        """Write a new plan."""

        def work(transaction: Transaction) -> None:
            _put(transaction, plan_record)
            transaction.add_change(_change(plan_record, plan_record.request.requested_by))
            transaction.execute(
                "DELETE FROM proposals WHERE ended = 1 AND id NOT IN"
                " (SELECT id FROM proposals ORDER BY id DESC LIMIT ?)",
                (KEPT,),
            )

        await self._journal.write(work)

    async def keep(self, digest: str, document: str) -> None:
        """Keep what a plan is made of under its digest, and drop what is older than a day."""
        now = time.time()  # it outlives the machine's boot

        def work(transaction: Transaction) -> None:
            transaction.execute(
                "DELETE FROM projections WHERE name LIKE ? AND name < ?", (f"{KEPT_PLAN}%", _kept(now - KEPT_SECONDS))
            )
            transaction.execute(
                "INSERT OR REPLACE INTO projections (name, document) VALUES (?, ?)",
                (f"{_kept(now)}:{digest}", document),
            )

        await self._journal.write(work)

    async def kept(self, digest: str) -> str | None:
        """Return what a plan is made of, by its digest; None where it is not kept."""
        row = await self._journal.read(
            lambda t: t.execute(
                "SELECT document FROM projections WHERE name LIKE ? AND substr(name, -65) = ?"
                " ORDER BY name DESC LIMIT 1",
                (f"{KEPT_PLAN}%", f":{digest}"),
            ).fetchone()
        )
        return None if row is None else str(row[0])

    async def get(self, plan_id: str) -> PlanRecord | None:
        """Return a plan, or None."""
        return await self._journal.read(lambda transaction: _read(transaction, plan_id))

    async def open(self) -> tuple[PlanRecord, ...]:
        """Return every plan that has not ended, oldest first."""
        return await self._journal.select(PlanRecord, "proposals WHERE ended = 0 ORDER BY id")

    async def scheduled(self, environment: str | None = None) -> tuple[PlanRecord, ...]:
        """Return every plan that waits for its time, or that a dead process was about to start then."""
        return tuple(
            plan_record
            for plan_record in await self.open()
            if environment in {None, plan_record.environment}
            and (
                plan_record.state is PlanState.SCHEDULED
                or (
                    plan_record.state is PlanState.CONFIRMED
                    and plan_record.request.starts_at is not None
                    and plan_record.deployment_id is None
                )
            )
        )

    async def note(self, plan_id: str, note: str) -> bool:
        """Say of a scheduled plan what it waits for; returns whether that is new."""

        def work(transaction: Transaction) -> bool:
            known = _read(transaction, plan_id)
            if known is None or known.state is not PlanState.SCHEDULED or known.note == note:
                return False
            _put(transaction, replace(known, note=note))
            return True

        return await self._journal.write(work)

    async def move(
        self,
        plan_id: str,
        to: PlanState,
        actor: Actor | None,
        *,
        from_states: Iterable[PlanState],
        deployment_id: str | None = None,
        note: str = "",
        starts_at: datetime | None = None,
        again: PlanRecord | None = None,
    ) -> tuple[bool, PlanRecord | None]:
        """Move a plan from one of some states to another; returns whether that was done, and its current state.

        One that waits and whose time is over becomes `expired` instead, except where a deployment of it was started.
        `again` takes its place, and is written with it: a process that dies has asked again, or changed nothing.
        """
        allowed = frozenset(from_states)

        def work(transaction: Transaction) -> tuple[bool, PlanRecord | None]:
            known, now = _read(transaction, plan_id), datetime.now(UTC)
            if known is None:
                return False, None
            if is_expired(known) and to is not PlanState.STARTED:
                return to is PlanState.EXPIRED, _expire(transaction, known, now)
            if known.state not in allowed or to is PlanState.EXPIRED:
                return False, known
            moved = replace(
                known,
                state=to,
                decided_by=actor,
                decided_at=now,
                deployment_id=deployment_id,
                note=note,
                asked_again_as=again.id if again is not None else "",
                request=known.request if starts_at is None else replace(known.request, starts_at=starts_at),
            )
            _put(transaction, moved)
            if to is PlanState.WITHDRAWN and actor is not None:
                _end_draft(transaction, known, said("{person} cancelled it before it was approved.", person=actor.name))
            elif to is PlanState.VOID:
                _end_draft(transaction, known, note)
            transaction.add_change(_change(moved, actor, old=known.state))
            if again is not None:
                _put(transaction, again)
                transaction.add_change(_change(again, again.request.requested_by))
            return True, moved

        return await self._journal.write(work)


class Drafts:
    """Let drafted deployments wait for a second person, and go on or end."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def waiting(self, environment: str | None = None) -> tuple[Deployment, ...]:
        """Return the deployments that wait for an approval, oldest first."""
        return await self._journal.read(lambda transaction: _waiting(transaction, environment))

    async def schedule(self, deployment_id: str, actor: Actor, starts_at: datetime) -> Deployment:
        """Let a deployment that waits keep its draft until its time: a second person approved exactly that.

        Raises NotPermittedError, InvalidRequestError where it does not wait any more.
        """

        def work(transaction: Transaction) -> Deployment:
            known = _approvable(transaction, deployment_id, actor)
            request = replace(known.request, approved_by=actor, starts_at=starts_at)
            scheduled = replace(known, request=request)
            write_deployment(transaction, scheduled)
            _move_plan(transaction, scheduled, PlanState.SCHEDULED, actor)
            transaction.add_change(audit_of_request(request, scheduled))
            return scheduled

        return await self._journal.write(work)

    async def put_plan(self, deployment: Deployment, plan: Plan, fence: Fence) -> None:
        """Write what the approver is to see: the plan of the draft, with what the plan before it warned of."""

        def work(transaction: Transaction) -> None:
            if (known := _read(transaction, _plan_id(deployment))) is not None:
                _put(transaction, replace(known, plan=replace(plan, warnings=known.plan.warnings)))

        await self._journal.write(work, fence=fence)

    async def wait_for_approval(
        self, deployment: Deployment, fence: Fence
    ) -> tuple[Deployment, tuple[Deployment, ...]]:
        """Write that a deployment waits, and free its environment; returns it, and those that it voids.

        One that waited there before is void.
        """

        def work(transaction: Transaction) -> tuple[Deployment, tuple[Deployment, ...]]:
            why = said("A newer draft, {deployment}, took its place.", deployment=deployment.id)
            void = []
            for other in _waiting(transaction, deployment.environment):
                void.append(_end_waiting(transaction, other, why))
                _move_plan(transaction, other, PlanState.VOID, None, note=why)
            if deployment.draft is None:
                raise _not_waiting(deployment.id)
            waiting = replace(deployment, draft=replace(deployment.draft, waits=True))
            write_deployment(transaction, waiting)
            note = "" if waiting.draft and waiting.draft.model_hash else BEFORE_THE_BUILD
            _move_plan(transaction, waiting, PlanState.DRAFTED, None, note=note)
            release_lock(transaction, waiting.environment, waiting.correlation_id)
            transaction.add_change(change_of(ChangeType.DEPLOYMENT_PHASE_CHANGED, waiting, new=AWAITING))
            return waiting, tuple(void)

        return await self._journal.write(work, fence=fence)

    async def approve(self, deployment_id: str, actor: Actor, purpose: str) -> tuple[Deployment, Fence]:
        """Take the environment for a deployment that waits: a second person approved exactly its draft.

        Raises LockHeldError, FrozenError, NotPermittedError, InvalidRequestError where it does not wait any more.
        """

        def work(transaction: Transaction) -> tuple[Deployment, Fence]:
            known = _approvable(transaction, deployment_id, actor)
            asker = known.request.requested_by
            refuse_frozen(transaction, known.environment)
            wanted = Lock(known.environment, known.id, asker, purpose, datetime.now(UTC), instance_id="", token=0)
            lock = take_lock(transaction, wanted, correlation_id=known.correlation_id)
            approved = _approved(known, actor)
            write_deployment(transaction, approved)
            to = PlanState.STARTED if approved.draft is None else PlanState.CONFIRMED
            _move_plan(transaction, approved, to, actor)
            transaction.add_change(audit_of_request(replace(approved.request, approved_by=actor), approved))
            return approved, Fence(known.environment, lock.token)

        return await self._journal.write(work)

    async def cancel(self, deployment_id: str, actor: Actor, reason: str = "") -> Deployment | None:
        """End a deployment that waits; None where it does not."""

        def work(transaction: Transaction) -> Deployment | None:
            known = read_deployment(transaction, deployment_id)
            if known is None or not known.awaits_approval:
                return None
            why = said("{person} cancelled it before it was approved.", person=actor.name)
            why = joined(" ", filter(None, (why, reason)))
            _move_plan(transaction, known, PlanState.WITHDRAWN, actor)
            return _end_waiting(transaction, known, why, actor)

        return await self._journal.write(work)

    async def conclude(self, deployment: Deployment, note: str = "") -> None:
        """Write that an approved draft is carried out or, with a note, why it is void."""

        def work(transaction: Transaction) -> None:
            known = _read(transaction, _plan_id(deployment))
            if known is not None and known.state is PlanState.CONFIRMED:
                to = PlanState.VOID if note else PlanState.STARTED
                _move_plan(transaction, deployment, to, deployment.request.approved_by, note=note)

        await self._journal.write(work)


def _approvable(transaction: Transaction, deployment_id: str, actor: Actor) -> Deployment:
    """Return a deployment that waits. Raises NotPermittedError for the one who asked, InvalidRequestError."""
    known = read_deployment(transaction, deployment_id)
    if known is None or not known.awaits_approval:
        raise _not_waiting(deployment_id)
    plan_record = _read(transaction, _plan_id(known))
    if plan_record is not None and is_expired(plan_record):
        raise _not_waiting(deployment_id)
    asker = known.request.requested_by
    if (asker.kind, asker.id) == (actor.kind, actor.id):
        raise NotPermittedError(said("You asked for this plan yourself: a second person has to approve it."))
    return known


def _approved(deployment: Deployment, actor: Actor) -> Deployment:
    """Return a deployment that goes on: with what it drafted or, before anything is built, with the powers for that."""
    draft = deployment.draft or Draft(NOTHING_YET)
    if draft.model_hash == NOTHING_YET:
        granted = (*deployment.request.granted, *draft.new_powers)
        return replace(deployment, request=replace(deployment.request, granted=granted), draft=None)
    request = replace(deployment.request, approved_by=actor)
    return replace(deployment, request=request, draft=replace(draft, waits=False))


def _waiting(transaction: Transaction, environment: str | None) -> tuple[Deployment, ...]:
    where = "outcome = ? AND (? IS NULL OR environment = ?) ORDER BY rowid"
    found = select_deployments(transaction, where, (AWAITING, environment, environment))
    return tuple(item for item in found if item.awaits_approval and item.request.approved_by is None)


def _not_waiting(deployment_id: str) -> InvalidRequestError:
    return InvalidRequestError(
        said("{deployment} does not wait for an approval.", deployment=deployment_id),
        hint=said("Type it again, such as /deploy, for a new plan."),
    )


def _plan_id(deployment: Deployment) -> str:
    return deployment.request.interaction_id or ""


def _move_plan(
    transaction: Transaction, deployment: Deployment, to: PlanState, actor: Actor | None, *, note: str = ""
) -> None:
    """Write what becomes of the plan of a deployment, where it has one."""
    known = _read(transaction, _plan_id(deployment))
    if known is None:
        return
    moved = replace(
        known,
        request=replace(known.request, starts_at=deployment.request.starts_at),
        state=to,
        decided_by=actor,
        decided_at=datetime.now(UTC),
        deployment_id=deployment.id,
        note=note,
    )
    if to is PlanState.DRAFTED:
        moved = with_expiry(moved)
    _put(transaction, moved)
    transaction.add_change(_change(moved, actor, old=known.state))


def _expire(transaction: Transaction, known: PlanRecord, now: datetime) -> PlanRecord:
    """End a plan whose time is over, with its draft."""
    expired = replace(known, state=PlanState.EXPIRED, decided_at=now)
    _put(transaction, expired)
    _end_draft(transaction, known, said("Nobody approved it in time."))
    transaction.add_change(_change(expired, None, old=known.state))
    return expired


def _end_draft(transaction: Transaction, plan_record: PlanRecord, why: str) -> None:
    """End the deployment that waits by a plan, where one does."""
    is_drafted = plan_record.state in {PlanState.DRAFTED, PlanState.SCHEDULED}
    if is_drafted and plan_record.deployment_id is not None:
        known = read_deployment(transaction, plan_record.deployment_id)
        if known is not None and known.awaits_approval:
            _end_waiting(transaction, known, why, by_its_plan=True)


def _end_waiting(
    transaction: Transaction, deployment: Deployment, why: str, actor: Actor | None = None, *, by_its_plan: bool = False
) -> Deployment:
    """Write that a deployment that waited is over: nothing was changed.

    Of one that ended `by_its_plan`, in any process, the change says all that its event has.
    """
    draft = replace(deployment.draft, waits=False) if deployment.draft is not None else None
    ended = replace(deployment.ended(Outcome.CANCELLED, Problem(DraftVoidError.key, why)), draft=draft)
    write_deployment(transaction, ended)
    is_new = ended.to_release != ended.from_release and ended.request.kind is not DeploymentKind.ROLLBACK
    if is_new and ended.to_release is not None:
        set_release_state(transaction, ended.environment, ended.to_release, ReleaseState.FAILED)
    facts: dict[str, object] = {"problem": why}
    if by_its_plan:
        facts |= {KIND_OF_DRAFT: ended.request.kind.value, "seconds": ended.duration_seconds}
    if actor is not None:
        facts |= {"by": actor.name, "id": actor.id}
    transaction.add_change(
        change_of(ChangeType.DEPLOYMENT_FINISHED, ended, new=Outcome.CANCELLED.value, metadata=facts)
    )
    return ended


def with_expiry(plan_record: PlanRecord) -> PlanRecord:
    """Return a plan with its whole time before it, by the wall clock and by the machine's own."""
    is_long = plan_record.state is PlanState.DRAFTED or plan_record.asks_again
    lifetime = DRAFT_LIFETIME if is_long else LIFETIME
    return replace(
        plan_record,
        expires_at=datetime.now(UTC) + lifetime,
        boot_id=boot_id(),
        expires_boot_seconds=boot_seconds() + lifetime.total_seconds(),
    )


def seconds_left(plan_record: PlanRecord) -> float:
    """Return how long a plan may still wait, by the clock that says less: setting one back gains nothing."""
    left = (plan_record.expires_at - datetime.now(UTC)).total_seconds()
    if plan_record.boot_id != boot_id():
        return left
    return min(left, plan_record.expires_boot_seconds - boot_seconds())


def is_expired(plan_record: PlanRecord) -> bool:
    """Return whether its time is over without an answer."""
    return plan_record.waits and seconds_left(plan_record) <= 0


def _kept(seconds: float) -> str:
    return f"{KEPT_PLAN}{seconds:017.3f}"


def _read(transaction: Transaction, plan_id: str) -> PlanRecord | None:
    return transaction.find(PlanRecord, "proposals WHERE id = ?", plan_id)


def _put(transaction: Transaction, plan_record: PlanRecord) -> None:
    ended = int(plan_record.state in ENDED)
    transaction.put("proposals", plan_record, id=plan_record.id, environment=plan_record.environment, ended=ended)


def _change(plan_record: PlanRecord, actor: Actor | None, *, old: PlanState | None = None) -> StateChange:
    request = plan_record.request
    return StateChange(
        type=ChangeType.AUDIT,
        source="approvals",
        environment=plan_record.environment,
        subject=plan_record.id,
        old=f"plan {old.value}" if old else None,
        new=f"plan {plan_record.state.value}",
        metadata={
            "by": actor.name if actor else "",
            "id": actor.id if actor else "",
            "asked_by": request.requested_by.name,
            "kind": request.kind.value,
            "version": plan_record.plan.version,
            "digest": plan_record.plan.digest,
            "deployment": plan_record.deployment_id,
        },
    )
