"""Keep each deployment, its phases and its services (the deployment state of the journal)."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

from roas.errors import SEE_STATUS, UNDO, InvalidRequestError, StateError
from roas.messages.message import said
from roas.models.actor import Actor, CancelRequest
from roas.models.change import ChangeType
from roas.models.coordination import PhaseName
from roas.models.deployment import (
    UNTOUCHED_STEPS,
    Deployment,
    Lock,
    Outcome,
    PhaseResult,
    PhaseStatus,
    Scale,
    ServiceProgress,
)
from roas.models.release import Holding, Release, ReleaseState
from roas.models.rollout import WATCH, Choice, Decision
from roas.state.deployment_rows import (
    AWAITING,
    audit_of_request,
    change_of,
    document_of,
    read_deployment,
    read_phase,
    read_service,
    read_services,
    select_deployments,
    write_deployment,
    write_phase,
    write_service,
)
from roas.state.documents import to_json
from roas.state.journal import Journal
from roas.state.locks import ServiceMarks, put_lock, read_lock, refuse_frozen, release_lock, take_lock
from roas.state.releases import activate_release, set_release_state
from roas.state.transaction import Fence, Transaction


class DeploymentReader:
    """Read deployments; whoever writes them reads them, too."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def get(self, deployment_id: str) -> Deployment | None:
        """Return one deployment, whole, or None."""
        return await self._journal.read(lambda transaction: read_deployment(transaction, deployment_id))

    async def get_own(self, deployment_id: str) -> Deployment | None:
        """Return one deployment without its phases and services, or None."""
        found = await self._journal.read(
            lambda transaction: select_deployments(transaction, "id = ?", (deployment_id,), whole=False)
        )
        return found[0] if found else None

    async def list(
        self,
        environment: str | None = None,
        *,
        limit: int = 20,
        outcome: Outcome | None = None,
        offset: int = 0,
        whole: bool = True,
    ) -> tuple[Deployment, ...]:
        """Return the last deployments, newest first; `offset` leaves out the newest ones.

        Unless `whole`, they have no phases and no services: of a large stack, these take nearly all of the time.
        """
        return await self._journal.read(
            lambda transaction: select_deployments(
                transaction,
                "(? IS NULL OR environment = ?) AND (? IS NULL OR outcome = ?) ORDER BY rowid DESC LIMIT ? OFFSET ?",
                (environment, environment, outcome, outcome, limit, offset),
                whole=whole,
            )
        )

    async def counts(self) -> Mapping[tuple[str, str, str], int]:
        """Return how many deployments have ended, by environment, kind and outcome."""
        rows = await self._journal.read(
            lambda transaction: transaction.execute(
                "SELECT environment, kind, outcome, count(*) FROM deployments"
                " WHERE outcome IS NOT NULL AND outcome != ? GROUP BY environment, kind, outcome",
                (AWAITING,),
            ).fetchall()
        )
        return {(row[0], row[1], row[2]): row[3] for row in rows}

    async def active(self, environment: str) -> Deployment | None:
        """Return the deployment that moves an environment right now, or None."""
        found = await self._journal.read(
            lambda transaction: select_deployments(
                transaction, "environment = ? AND outcome IS NULL ORDER BY rowid DESC LIMIT 1", (environment,)
            )
        )
        return found[0] if found else None

    async def progress_under_way(self, environment: str, service: str | None = None) -> tuple[ServiceProgress, ...]:
        """Return how far the services of the deployment that holds an environment are, or that one of them.

        Asked at each event of a container: only what is asked for is read.
        """

        def work(transaction: Transaction) -> tuple[ServiceProgress, ...]:
            if read_lock(transaction, environment) is None:
                return ()
            row = transaction.execute(
                "SELECT id FROM deployments WHERE environment = ? AND outcome IS NULL ORDER BY rowid DESC LIMIT 1",
                (environment,),
            ).fetchone()
            if row is None:
                return ()
            if service is None:
                return read_services(transaction, row[0])
            found = read_service(transaction, row[0], service)
            return () if found is None else (found,)

        return await self._journal.read(work)

    async def had_touched(self, environment: str, service: str, moment: datetime) -> bool:
        """Return whether the last deployment of an environment, which has ended, was at work on a service then."""

        def work(transaction: Transaction) -> bool:
            found = select_deployments(
                transaction, "environment = ? ORDER BY rowid DESC LIMIT 1", (environment,), whole=False
            )
            if not found or found[0].ended_at is None or not found[0].created_at <= moment <= found[0].ended_at:
                return False
            progress = read_service(transaction, found[0].id, service)
            return progress is not None and progress.step not in UNTOUCHED_STEPS

        return await self._journal.read(work)

    async def holding(self, environment: str) -> Holding | None:
        """Return what the deployment that holds an environment holds of it, or None where none does."""

        def work(transaction: Transaction) -> Holding | None:
            lock = read_lock(transaction, environment)
            if lock is None:
                return None
            known = read_deployment(transaction, lock.deployment_id) if lock.paused else None
            services = {service.service: service for service in known.services} if known is not None else {}
            return Holding(lock.deployment_id, lock.paused, known.to_release if known is not None else None, services)

        return await self._journal.read(work)

    async def left_by_failure(self, environment: str) -> tuple[str, frozenset[str]]:
        """Return the last deployment, where it failed and changed something, and the services that it left changed.

        What is not as the release says, or stopped, among those was this bot's doing, and nobody's hands.
        """
        found = await self._journal.read(
            lambda transaction: select_deployments(
                transaction, "environment = ? AND outcome IS NOT NULL ORDER BY rowid DESC LIMIT 20", (environment,)
            )
        )
        last = next(
            (deployment for deployment in found if deployment.touched or deployment.outcome is Outcome.SUCCEEDED), None
        )
        if last is None or last.outcome is not Outcome.FAILED:
            return "", frozenset()
        return last.id, frozenset(service.service for service in last.services if service.step not in UNTOUCHED_STEPS)

    async def unfinished(self) -> tuple[Deployment, ...]:
        """Return every deployment that has no outcome yet, oldest first."""
        # With the plus SQLite takes the index of those few; else it would read all rows in their order.
        return await self._journal.read(
            lambda transaction: select_deployments(transaction, "outcome IS NULL ORDER BY +rowid", ())
        )

    async def of_interaction(self, interaction_id: str) -> Deployment | None:
        """Return the deployment that an interaction started, or None."""
        found = await self._journal.read(
            lambda transaction: select_deployments(transaction, "interaction_id = ?", (interaction_id,))
        )
        return found[0] if found else None


class DeploymentControl(DeploymentReader):
    """Take requests to cancel, and decisions about pauses; the owner reads them at its next safe point."""

    async def request_cancel(self, deployment_id: str, actor: Actor, reason: str = "") -> Deployment:
        """Ask the owner, whichever process it is, to stop at its next safe point.

        Raises InvalidRequestError where there is nothing to cancel.
        """

        def work(transaction: Transaction) -> Deployment:
            deployment = _cancellable(read_deployment(transaction, deployment_id), deployment_id)
            transaction.execute(
                "UPDATE deployments SET cancel_requested_by = ? WHERE id = ? AND cancel_requested_by IS NULL",
                (to_json(CancelRequest(actor.kind, actor.id, actor.name, reason)), deployment_id),
            )
            facts: dict[str, object] = {"by": actor.name, "id": actor.id, **({"reason": reason} if reason else {})}
            transaction.add_change(change_of(ChangeType.AUDIT, deployment, new="cancel requested", metadata=facts))
            return replace(deployment, cancel_requested_by=actor, cancel_reason=reason)

        return await self._journal.write(work)

    async def decide(
        self, deployment_id: str, choice: Choice, actor: Actor, reason: str = "", *, pause: int | None = None
    ) -> Deployment:
        """Write what a person chose for a deployment that is paused, and why, whichever process runs it.

        Raises InvalidRequestError where it is not, or not for that `pause` any more.
        """

        def work(transaction: Transaction) -> Deployment:
            deployment = read_deployment(transaction, deployment_id)
            if deployment is None:
                raise _not_waiting(deployment_id)
            waits_for = deployment.pause if deployment.is_waiting else None
            if waits_for is None or pause not in {None, waits_for.number}:
                raise _decided_already(deployment, pause) or _not_waiting(deployment_id)
            if choice is Choice.OBSERVE and not waits_for.canary:
                raise _not_waiting(deployment_id)
            decision = Decision(waits_for.number, choice, actor, reason)
            transaction.execute("UPDATE deployments SET decision = ? WHERE id = ?", (to_json(decision), deployment_id))
            why = {"reason": reason} if reason else {}
            change = change_of(
                ChangeType.AUDIT,
                deployment,
                new="pause decided",
                metadata={"by": actor.name, "id": actor.id, "choice": choice, "pause": decision.pause, **why},
            )
            transaction.add_change(change)
            return replace(deployment, decision=decision)

        return await self._journal.write(work)

    async def end_watch(self, deployment_id: str, actor: Actor) -> Deployment | None:
        """Write that a deployment need not watch its release any longer; None where it does anything else."""

        def work(transaction: Transaction) -> Deployment | None:
            deployment = read_deployment(transaction, deployment_id)
            if deployment is None or not deployment.only_watches:
                return None
            decision = Decision(WATCH, Choice.GO_ON, deployment.watch_ended_by or actor)
            transaction.execute("UPDATE deployments SET decision = ? WHERE id = ?", (to_json(decision), deployment_id))
            by: dict[str, object] = {"by": decision.decided_by.name, "id": decision.decided_by.id}
            transaction.add_change(change_of(ChangeType.AUDIT, deployment, new="watch ended", metadata=by))
            return replace(deployment, decision=decision)

        return await self._journal.write(work)


def _cancellable(deployment: Deployment | None, deployment_id: str) -> Deployment:
    """Return a deployment that can be stopped. Raises InvalidRequestError, which says why another cannot."""
    if deployment is None:
        raise InvalidRequestError(
            said("There is no deployment {deployment_id}.", deployment_id=deployment_id),
        )
    if deployment.finished:
        raise InvalidRequestError(
            said(
                "{deployment_id} has ended already ({outcome}).",
                deployment_id=deployment_id,
                outcome=deployment.outcome,
            ),
            hint=UNDO,
        )
    if deployment.problem is not None:
        raise InvalidRequestError(
            said(
                "{deployment_id} is being rolled back already, and a rollback is always completed.",
                deployment_id=deployment_id,
            ),
        )
    verified = deployment.phase(PhaseName.VERIFICATION)
    if verified is not None and verified.status is PhaseStatus.SUCCESS:
        raise InvalidRequestError(
            said(
                "{deployment_id} has verified its release already, and is only cleaning up.",
                deployment_id=deployment_id,
            ),
            hint=UNDO,
        )
    return deployment


def _not_waiting(deployment_id: str) -> InvalidRequestError:
    return InvalidRequestError(
        said("{deployment_id} does not wait for a decision.", deployment_id=deployment_id),
        hint=SEE_STATUS,
    )


CHOSEN = {
    Choice.GO_ON: said("let it go on"),
    Choice.OBSERVE: said("let it be observed for longer"),
    Choice.ROLL_BACK: said("rolled it back"),
}


def _decided_already(deployment: Deployment, pause: int | None) -> InvalidRequestError | None:
    """Return what tells a second person who decided on a pause, by default the last one, and what; None for none."""
    number = pause if pause is not None else len(deployment.pauses)
    decision = deployment.decision_on(number)
    if decision is None and deployment.cancel_requested_by is not None and number == len(deployment.pauses):
        person, what = deployment.cancel_requested_by.name, said("cancelled it")
    elif decision is None:
        return None
    else:
        person = decision.decided_by.name
        what = CHOSEN[decision.choice]
    hint = SEE_STATUS
    if deployment.is_waiting:
        hint = said("It has paused again since: decide on its newest message.")
    return InvalidRequestError(
        said(
            "{deployment_id} was decided already: {person} {what}.",
            deployment_id=deployment.id,
            person=person,
            what=what,
        ),
        hint=hint,
    )


class DeploymentStateManager(DeploymentControl):
    """Read and write deployments. Every write but what people ask for checks the owner's fence."""

    def __init__(self, journal: Journal, is_alive: Callable[[str], bool]) -> None:
        super().__init__(journal)
        self._is_alive = is_alive
        self._scales = ServiceMarks(journal, "scales", Scale)

    async def create(self, deployment: Deployment, purpose: str) -> Fence:
        """Acquire the deployment lock and record the deployment, both or neither.

        Raises LockHeldError, FrozenError, and InvalidRequestError for an interaction that started one before.
        """
        wanted = Lock(
            environment=deployment.environment,
            deployment_id=deployment.id,
            held_by=deployment.request.requested_by,
            purpose=purpose,
            since=deployment.created_at,
            instance_id="",
            token=0,
        )

        def work(transaction: Transaction) -> Fence:
            _refuse_repeated_interaction(transaction, deployment)
            freeze = refuse_frozen(transaction, deployment.environment, deployment.request)
            lock = take_lock(transaction, wanted, correlation_id=deployment.correlation_id)
            transaction.execute(
                "INSERT INTO deployments (id, environment, kind, interaction_id, document) VALUES (?, ?, ?, ?, ?)",
                (
                    deployment.id,
                    deployment.environment,
                    deployment.request.kind.value,
                    deployment.request.interaction_id,
                    document_of(deployment),
                ),
            )
            for position, phase in enumerate(deployment.phases):
                write_phase(transaction, deployment.id, phase, position)
            transaction.add_change(
                change_of(ChangeType.DEPLOYMENT_STARTED, deployment, new=deployment.request.kind.value)
            )
            transaction.add_change(audit_of_request(deployment.request, deployment, freeze))
            return Fence(deployment.environment, lock.token)

        return await self._journal.write(work)

    async def take_over(
        self, deployment_id: str, from_instance: str, *, is_new_attempt: Callable[[Deployment], bool]
    ) -> tuple[Deployment, Fence]:
        """Take over an unfinished deployment from a dead process, with a new token; returns it as it was left.

        `is_new_attempt` returns whether this is one more of the attempts that a deployment has.
        """

        def work(transaction: Transaction) -> tuple[Deployment, Fence]:
            known = read_deployment(transaction, deployment_id)
            held = read_lock(transaction, known.environment) if known is not None else None
            if known is None or held is None or held.deployment_id != deployment_id:
                raise StateError(said("{deployment_id} holds no environment any more.", deployment_id=deployment_id))
            lock = take_lock(transaction, held, from_instance=from_instance, correlation_id=known.correlation_id)
            resumed = replace(known, attempts=known.attempts + is_new_attempt(known))
            write_deployment(transaction, resumed)
            return resumed, Fence(known.environment, lock.token)

        return await self._journal.write(work)

    async def update(self, deployment: Deployment, fence: Fence) -> None:
        """Write the deployment's own record (not its phases or services); one on its way back waits for nobody.

        What may wait, here as below, is written together with what comes next.
        """

        def work(transaction: Transaction) -> None:
            write_deployment(transaction, deployment)
            held = read_lock(transaction, deployment.environment) if deployment.pauses else None
            if held is not None and held.paused and deployment.pause is None:
                put_lock(transaction, replace(held, paused=False))

        await self._journal.write(work, fence=fence)

    async def set_paused(self, deployment: Deployment, fence: Fence, *, paused: bool) -> None:
        """Write a deployment's record together with whether it holds its environment while it waits for a person."""

        def work(transaction: Transaction) -> None:
            write_deployment(transaction, deployment)
            if (held := read_lock(transaction, deployment.environment)) is not None:
                put_lock(transaction, replace(held, paused=paused))
            what = "paused" if paused else "went on"
            transaction.add_change(change_of(ChangeType.DEPLOYMENT_PHASE_CHANGED, deployment, new=what))

        await self._journal.write(work, fence=fence)

    async def mark_for_rollback(self, deployment: Deployment) -> None:
        """Record why a deployment must be rolled back, from outside the process that ran it.

        Changes nothing where the deployment has ended, or its lock is held by a living process other than this one.
        """

        def work(transaction: Transaction) -> None:
            known = read_deployment(transaction, deployment.id)
            held = read_lock(transaction, deployment.environment)
            if known is None or known.finished or held is None or held.deployment_id != deployment.id:
                return
            if held.instance_id != transaction.instance_id and self._is_alive(held.instance_id):
                return
            write_deployment(transaction, replace(known, problem=deployment.problem))
            transaction.add_change(change_of(ChangeType.ERROR_OCCURRED, deployment, new="successor failed"))

        await self._journal.write(work)

    async def save_phase(self, deployment: Deployment, phase: PhaseResult, fence: Fence) -> None:
        """Write how far a phase has come."""
        await self.save_phases(deployment, (phase,), fence)

    async def save_phases(self, deployment: Deployment, phases: Iterable[PhaseResult], fence: Fence) -> None:
        """Write how far several phases have come, one after the other, all of it or nothing."""

        def work(transaction: Transaction) -> None:
            for phase in phases:
                old = read_phase(transaction, deployment.id, phase.name.value)
                write_phase(transaction, deployment.id, phase)
                transaction.add_change(
                    change_of(
                        ChangeType.DEPLOYMENT_PHASE_CHANGED,
                        deployment,
                        old=old.status.value if old else None,
                        new=phase.status.value,
                        metadata={"phase": phase.name.value, "attempts": phase.attempts, "summary": phase.summary},
                    )
                )

        await self._journal.write(work, fence=fence)

    async def save_service(self, deployment: Deployment, progress: ServiceProgress, fence: Fence) -> None:
        """Write how far a service has come; an intent is written before the act."""
        await self.save_services(deployment, (progress,), fence)

    async def save_services(self, deployment: Deployment, services: Iterable[ServiceProgress], fence: Fence) -> None:
        """Write how far several services have come, all of them or none."""
        now = datetime.now(UTC)
        written = [replace(progress, updated_at=now) for progress in services]

        def work(transaction: Transaction) -> None:
            for progress in written:
                old = read_service(transaction, deployment.id, progress.service)
                write_service(transaction, deployment.id, progress)
                transaction.add_change(
                    change_of(
                        ChangeType.SERVICE_PROGRESSED,
                        deployment,
                        subject=progress.service,
                        old=old.step.value if old else None,
                        new=progress.step.value,
                        metadata={"deployment": deployment.id, "detail": progress.detail},
                    )
                )

        if written:
            await self._journal.write(work, fence=fence)

    async def finish(
        self,
        deployment: Deployment,
        fence: Fence,
        *,
        active: Release | None = None,
        applied_model: str = "",
        release_states: Mapping[int, ReleaseState] = MappingProxyType({}),
        scales: Collection[Scale] | None = None,
    ) -> None:
        """Write the end: outcome, the release that now runs, what became of releases, and the free lock, at once.

        And what is scaled from now on, where that may be something else than before.
        """

        def work(transaction: Transaction) -> None:
            write_deployment(transaction, deployment)
            for number, state in release_states.items():
                set_release_state(transaction, deployment.environment, number, state)
            if active is not None:
                activate_release(transaction, active, applied_model or active.model_hash, deployment.correlation_id)
            if scales is not None:
                self._scales.put_all(transaction, deployment.environment, scales)
            release_lock(transaction, deployment.environment, deployment.correlation_id)
            transaction.add_change(
                change_of(
                    ChangeType.DEPLOYMENT_FINISHED,
                    deployment,
                    new=deployment.outcome.value if deployment.outcome else None,
                    metadata={"problem": deployment.problem.message if deployment.problem else ""},
                )
            )

        await self._journal.write(work, fence=fence)


def _refuse_repeated_interaction(transaction: Transaction, deployment: Deployment) -> None:
    interaction_id = deployment.request.interaction_id
    if interaction_id is None:
        return
    row = transaction.execute("SELECT id FROM deployments WHERE interaction_id = ?", (interaction_id,)).fetchone()
    if row is not None:
        raise InvalidRequestError(said("This command has started {deployment} already.", deployment=row[0]))
