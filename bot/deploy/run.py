"""Say in which order a deployment goes through its phases, and what undoes it."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace

from roas.concurrency import begun
from roas.deploy.context import DeploymentContext
from roas.deploy.data.stopped_writers import start_if_possible
from roas.deploy.draft import asks_before_the_build, load_release, take_up_draft, wait_for_approval
from roas.deploy.engine_absence import wait_for_engine
from roas.deploy.handover.stale_instances import remove_stale_instances
from roas.deploy.operations.operations import draft_operation
from roas.deploy.outcome import after_putting_back, finish, is_put_back, on_a_mixture, rollback_failed
from roas.deploy.pauses import (
    came_too_late,
    pause_deployment,
    wait_for_decision,
    watch_for_requests,
    watch_for_standstill,
)
from roas.deploy.phase_runner import PhaseRunner
from roas.deploy.phases.verification import require_undisturbed
from roas.errors import (
    DeploymentCancelledError,
    EngineError,
    FencedOffError,
    JournalUnusableError,
    RoasError,
    RolloutPausedError,
    ServiceFailedError,
    TakenBackError,
)
from roas.limits import MOST_APPLIED_AGAIN, MOST_LAST_LOOKS
from roas.log import correlated, get_logger
from roas.messages.message import said
from roas.models.deployment import Deployment, DeploymentKind, Outcome, Problem
from roas.models.phases import PhaseName, PhasePolicy

log = get_logger(__name__)

DRAFTING = frozenset({PhaseName.INITIALIZATION, PhaseName.VALIDATION, PhaseName.PREPARATION})
APPLYING = frozenset({PhaseName.EXECUTION, PhaseName.ROLLBACK, PhaseName.VERIFICATION})
# What stops a deployment without ending it: another process has it, or the journal cannot be written. It is resumed.
STOPPING = (FencedOffError, JournalUnusableError)


class DeploymentRun:
    """Take one deployment through its phases to a recorded outcome.

    | step | where it fails |
    |---|---|
    | initialization, validation, preparation: the draft | nothing was touched: it has failed, or was cancelled |
    | approval by a second person, without lock and limit | a changed world voids the draft |
    | execution (a rollback that was asked for: rollback), verification | the rollback phase undoes it, or an operator |
    | completion, and a last look at what runs | a warning; what somebody else undid is applied again |
    | the rollback phase after a failure | an operator; of a rollback that was asked for, what was well is put back |
    """

    def __init__(self, context: DeploymentContext) -> None:
        self._context = context
        self._runner = PhaseRunner(context)

    async def run(self) -> Deployment:
        """Run the rest of the deployment and return its record. Raises FencedOffError if another process took over."""
        context = self._context
        with correlated(context.deployment.correlation_id, deployment_id=context.deployment.id):
            async with begun(watch_for_requests(context)), begun(watch_for_standstill(context)):
                try:
                    await context.components.stop_recovery(context.environment)
                    return await self._run()
                finally:
                    await context.end_watch()

    async def _run(self) -> Deployment:
        context = self._context
        if context.deployment.problem is not None:  # an earlier attempt was rolling back already
            return await self._roll_back(context.deployment.problem)
        try:
            if await asks_before_the_build(context):
                await wait_for_approval(context)
                return context.deployment
            await self._run_phases(self._phases_of(DRAFTING))
            await draft_operation(context)
            if context.deployment.asks:
                await wait_for_approval(context)
                return context.deployment
            await take_up_draft(context)
            await self._run_phases(self._phases_of(APPLYING), self._conclude)
        except STOPPING:
            raise
        except RoasError as error:
            return await self._handle_failure(error)
        return await finish(context, Outcome.SUCCEEDED, active=await load_release(context))

    async def _handle_failure(self, error: RoasError) -> Deployment:
        """Decide what a failure leads to: nothing was touched, a rollback, or an operator."""
        context, problem = self._context, error.problem()
        log.warning("deployment failed", key=problem.key, error=problem.message, service=problem.service)
        is_cancelled = isinstance(error, DeploymentCancelledError)
        if not is_cancelled:
            await context.record_failure(problem)
        if not context.failed:
            await start_if_possible(context)  # what a process that died has stopped for a backup
        if not context.deployment.touched:
            return await finish(context, Outcome.CANCELLED if is_cancelled else Outcome.FAILED, problem)
        if not context.coordination.can_go_back:
            return await finish(context, Outcome.CANCELLED if is_cancelled else Outcome.FAILED, problem)
        is_wanted_back = is_cancelled or isinstance(error, TakenBackError)
        is_rollback = context.deployment.request.kind is DeploymentKind.ROLLBACK
        if is_wanted_back or is_rollback or context.coordination.rollback_on_failure:
            return await self._roll_back(problem)
        return await finish(context, Outcome.FAILED, on_a_mixture(problem, context.environment.name))

    async def _roll_back(self, problem: Problem) -> Deployment:
        """Bring the old release back; where that fails, too, an operator is needed.

        A rollback that somebody asked for is put back like that, and has failed.
        """
        context = self._context
        await context.update(problem=problem)
        context.restore()
        if context.deployment.pauses or context.deployment.in_bake:  # recovery looked after what it did not hold
            await context.components.stop_recovery(context.environment)
        try:
            await self._run_phases([context.coordination.policy(PhaseName.ROLLBACK)], self._conclude_rollback)
        except STOPPING:
            raise
        except RoasError as error:
            log.error("rollback failed", key=error.key, error=error.message)
            current = await context.components.state.releases.current(context.environment.name)
            return await finish(
                context, Outcome.FAILED, rollback_failed(problem, error, context.deployment.environment, current)
            )
        if context.release is not None and is_put_back(context.deployment):
            phase = context.deployment.phase(PhaseName.ROLLBACK)
            if phase is not None:
                await context.save_phases(replace(phase, brought_up=False))
            problem = after_putting_back(problem, context.deployment, context.release)
            return await finish(context, Outcome.FAILED, problem, active=context.release)
        is_cancelled = problem.key == DeploymentCancelledError.key
        outcome = Outcome.CANCELLED if is_cancelled else Outcome.ROLLED_BACK
        return await finish(context, outcome, problem, active=context.release)

    def _phases_of(self, names: Collection[PhaseName]) -> list[PhasePolicy]:
        return [policy for policy in self._context.coordination.phases if policy.name in names]

    async def _run_phases(
        self, phases: Sequence[PhasePolicy], conclude: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Run the phases that no earlier attempt is through with, and conclude.

        What somebody else undoes meanwhile is applied again, but not for ever.
        """
        context = self._context
        left: Sequence[PhasePolicy] = [
            policy for policy in phases if context.failed or not context.phase_succeeded(policy.name)
        ]
        for again in range(MOST_APPLIED_AGAIN + 1):
            try:
                for policy in left:
                    await self._run_phase(policy)
                if conclude is not None:
                    await conclude()
            except ServiceFailedError as error:
                if not error.by_somebody or again == MOST_APPLIED_AGAIN:
                    raise
                log.warning("somebody else changes the same services", error=error.message)
                context.warn(said("{problem} The release was applied again.", problem=error.message))
                left = phases
            else:
                return

    async def _run_phase(self, policy: PhasePolicy) -> None:
        """Run a phase; where it pauses, wait for a person, and resume it. Raises TakenBackError, ServiceFailedError."""
        context = self._context
        while True:
            if context.deployment.pause is not None:  # perhaps since an earlier process
                try:
                    await wait_for_decision(context)
                except (DeploymentCancelledError, ServiceFailedError, TakenBackError) as error:
                    await self._runner.end_paused(policy.name, error)
                    raise
                # While it waited, recovery looked after what it does not hold.
                await context.components.stop_recovery(context.environment)
            try:
                await self._runner.run(policy)
            except RolloutPausedError as error:
                await pause_deployment(context, error)
            else:
                return

    async def _conclude(self) -> None:
        """Clean up, and look once more whether the release is what runs, before it has succeeded.

        No failure or cancellation of completion rolls a verified release back. A journal that cannot be written
        interrupts the deployment, as in any phase: after a resume it cleans up again.
        """
        context = self._context
        for policy in context.coordination.phases:
            if policy.name is PhaseName.COMPLETION and not context.phase_succeeded(policy.name):
                await self._runner.run(policy)
        if context.cancel.is_set():
            context.warn(came_too_late(context.environment.name))
        await self._clear_stale_instances()
        if context.coordination.is_watched:
            await self._check_what_runs(context.model_hash or (await load_release(context)).model_hash, with_bot=True)

    async def _conclude_rollback(self) -> None:
        context = self._context
        await self._clear_stale_instances()
        if context.is_whole and context.model_hash is not None:
            await self._check_what_runs(context.model_hash)

    async def _clear_stale_instances(self) -> None:
        context = self._context
        if context.deployment.touched:
            await remove_stale_instances(context.own_service, context.fence)

    async def _check_what_runs(self, model_hash: str, *, with_bot: bool = False) -> None:
        """Read what runs once more, and again where something happens meanwhile. Raises ServiceFailedError.

        An engine that is away is waited for, not for long: a release that was verified is not undone for that.
        """
        context, unread = self._context, ""
        for _ in range(MOST_LAST_LOOKS):
            try:
                async with context.watching() as watch:
                    told = watch.events_told
                    await require_undisturbed(context, model_hash, watch, with_bot=with_bot)
                    if watch.events_told == told:
                        return
                unread = ""
            except EngineError as error:
                unread = error.message
                await wait_for_engine(context)
        if unread:
            context.warn(said("What runs could not be read again at the end: {reason}", reason=unread))
