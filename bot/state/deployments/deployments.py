"""Keep each deployment, its phases and its services (the deployment state of the journal)."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

from roas.errors import InvalidRequestError, StateError
from roas.messages.message import said
from roas.models.deployment import Deployment, Lock, PhaseResult, Scale, ServiceProgress
from roas.models.release import Release, ReleaseState
from roas.models.state_change import ChangeType
from roas.state.deployments.control import DeploymentControl
from roas.state.deployments.locks import ServiceMarks, put_lock, read_lock, refuse_frozen, release_lock, take_lock
from roas.state.deployments.releases import activate_release, set_release_state
from roas.state.deployments.rows import (
    audit_of_request,
    change_of,
    document_of,
    read_deployment,
    read_phase,
    read_service,
    write_deployment,
    write_phase,
    write_service,
)
from roas.state.journal.journal import Journal
from roas.state.transaction import Fence, Transaction


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
            lock = take_lock(
                transaction,
                wanted,
                correlation_id=deployment.correlation_id,
                part_of=deployment.request.part_of,
            )
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
            may_be_paused = deployment.pauses or deployment.in_bake
            held = read_lock(transaction, deployment.environment) if may_be_paused else None
            bakes = bool(deployment.in_bake) and deployment.problem is None
            if held is not None and held.is_partial and deployment.pause is None and not bakes:
                put_lock(transaction, replace(held, paused=False))

        await self._journal.write(work, fence=fence)

    async def forget_held(self, deployment_id: str) -> None:
        """Write that what a deployment which has ended had stopped for a backup runs again."""

        def work(transaction: Transaction) -> None:
            deployment = read_deployment(transaction, deployment_id)
            if deployment is not None and deployment.finished:
                write_deployment(transaction, replace(deployment, held=()))

        await self._journal.write(work)

    async def set_partial(self, deployment: Deployment, fence: Fence, *, partial: bool) -> None:
        """Write a deployment's record together with whether others may look after what it is not in the middle of.

        That is so while it waits for a person, and while it bakes.
        """

        def work(transaction: Transaction) -> None:
            write_deployment(transaction, deployment)
            if (held := read_lock(transaction, deployment.environment)) is not None:
                put_lock(transaction, replace(held, paused=partial))
            bakes = bool(deployment.in_bake) and deployment.pause is None
            what = ("baking" if bakes else "paused") if partial else ("baked" if bakes else "went on")
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
