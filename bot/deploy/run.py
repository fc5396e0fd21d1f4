"""Run one deployment through its phases to a recorded outcome."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from roas.concurrency import end_tasks, pause, wait_for
from roas.deploy.context import DeploymentContext
from roas.deploy.draft import load_release, take_up_draft, wait_for_approval
from roas.deploy.failed_rollback import after_putting_back, is_put_back, on_a_mixture, rollback_failed
from roas.deploy.pausing import pause_deployment, wait_for_decision
from roas.deploy.phase_runner import PhaseRunner
from roas.deploy.phases import ALL_PHASES, Phase
from roas.deploy.phases.verification import require_undisturbed
from roas.deploy.stale_instances import remove_stale_instances
from roas.errors import (
    DeploymentCancelledError,
    EngineUnavailableError,
    FencedOffError,
    JournalUnusableError,
    RoasError,
    RolloutPausedError,
    ServiceFailedError,
    TakenBackError,
)
from roas.log import correlated, get_logger
from roas.messages.message import said
from roas.models.change import ChangeType, StateChange
from roas.models.coordination import PhaseName, PhasePolicy
from roas.models.deployment import Deployment, DeploymentKind, Outcome, PhaseStatus, Problem
from roas.models.events import DeploymentEnded, DeploymentStoodStill
from roas.models.release import Release, ReleaseState

log = get_logger(__name__)

# How often the journal is asked whether another process wants this deployment cancelled.
CANCEL_POLL_SECONDS = 1.0
# How often what somebody else undid is applied again.
MOST_AGAIN = 2
APPLYING = frozenset({PhaseName.EXECUTION, PhaseName.ROLLBACK})
# What comes before these makes the draft; an approval stands between.
AFTER_THE_DRAFT = APPLYING | {PhaseName.VERIFICATION}
# How often the watchdog looks, and how long beyond a phase's limit, or between two phases, nothing need move.
STANDSTILL_LOOK_SECONDS = 5.0
STANDSTILL_SECONDS = 60.0


async def nothing_more() -> None:
    """Do nothing after the phases."""


class DeploymentRun:
    """Run the phases of one deployment, retry transient faults, roll back on failure, and write the outcome."""

    def __init__(self, context: DeploymentContext, phases: Sequence[Phase] = ALL_PHASES) -> None:
        self._context = context
        self._runner = PhaseRunner(context, phases)

    async def run(self) -> Deployment:
        """Run the rest of the deployment and return its record. Raises FencedOffError if another process took over."""
        deployment = self._context.deployment
        with correlated(deployment.correlation_id, deployment_id=deployment.id):
            watcher = asyncio.create_task(self._watch_for_cancel(), name="cancel watcher")
            watchdog = asyncio.create_task(self._watch_for_standstill(), name="watchdog")
            try:
                await self._context.components.stop_recovery(self._context.environment)
                return await self._run()
            finally:
                await end_tasks(watcher, watchdog)
                await self._context.end_watch()

    async def _run(self) -> Deployment:
        context = self._context
        if context.deployment.problem is not None:  # an earlier attempt was rolling back already
            return await self._roll_back(context.deployment.problem)
        phases = [policy for policy in context.coordination.phases if policy.name is not PhaseName.COMPLETION]
        drafting = [policy for policy in phases if policy.name not in AFTER_THE_DRAFT]
        applying = [policy for policy in phases if policy.name in AFTER_THE_DRAFT]
        try:
            await self._run_phases(self._left(drafting), drafting)
            if context.deployment.asks:
                await wait_for_approval(context)
                return context.deployment
            await take_up_draft(context)
            await self._run_phases(self._left(applying), applying, self._conclude)
        except (FencedOffError, JournalUnusableError):  # of the second kind is what passes: it is resumed
            raise
        except RoasError as error:
            return await self._handle_failure(error)
        release = context.release or await load_release(context)  # not loaded when a resume had little left to do
        return await self._finish(Outcome.SUCCEEDED, None, active=release)

    def _left(self, phases: Sequence[PhasePolicy]) -> list[PhasePolicy]:
        """Return those of some phases that no earlier attempt is through with."""
        return [policy for policy in phases if not self._context.phase_succeeded(policy.name)]

    async def _run_phases(
        self,
        left: Sequence[PhasePolicy],
        phases: Sequence[PhasePolicy],
        conclude: Callable[[], Awaitable[None]] = nothing_more,
    ) -> None:
        """Run the phases that are left; what somebody else undoes meanwhile is applied again, but not for ever."""
        for again in range(MOST_AGAIN + 1):
            try:
                for policy in left:
                    await self._run_phase(policy)
                await conclude()
            except ServiceFailedError as error:
                if not error.by_somebody or again == MOST_AGAIN:
                    raise
                self._warn_of_disturbance(error)
                left = phases[next(place for place, one in enumerate(phases) if one.name in APPLYING) :]
            else:
                return

    async def _conclude(self) -> None:
        """Clean up, and look once more whether the release is what runs, before it has succeeded."""
        context = self._context
        await self._complete()
        if context.environment.on_swarm:
            return
        model_hash = context.model_hash or (await load_release(context)).model_hash
        with suppress(EngineUnavailableError):
            async with context.watching() as watch:
                await require_undisturbed(context, model_hash, watch, with_bot=True)

    def _warn_of_disturbance(self, error: ServiceFailedError) -> None:
        log.warning("somebody else changes the same services", error=error.message)
        self._context.warn(said("{problem} The release was applied again.", problem=error.message))

    async def _run_phase(self, policy: PhasePolicy) -> None:
        """Run a phase; where it pauses, wait for a person, and go on with it. Raises TakenBackError."""
        context = self._context
        while True:
            if context.deployment.pause is not None:  # perhaps since an earlier process
                try:
                    await wait_for_decision(context)
                except (DeploymentCancelledError, TakenBackError) as error:
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

    async def _complete(self) -> None:
        """Clean up after a verified release; no failure or cancellation here rolls it back.

        A journal that cannot be written interrupts the deployment, as in any phase: after a resume it cleans up again.
        """
        context = self._context
        for policy in context.coordination.phases:
            if policy.name is PhaseName.COMPLETION and not context.phase_succeeded(policy.name):
                await self._runner.run(policy)
        if context.cancel.is_set():
            name = context.environment.name
            context.warn(
                said(
                    "The request to cancel came too late: the release was verified. `/rollback {name}` undoes it.",
                    name=name,
                )
            )

    async def _handle_failure(self, error: RoasError) -> Deployment:
        """Decide what a failure leads to: nothing was touched, a rollback, or an operator."""
        context = self._context
        problem = error.problem()
        log.warning("deployment failed", key=problem.key, error=problem.message, service=problem.service)
        cancelled = isinstance(error, DeploymentCancelledError)
        asked_back = cancelled or isinstance(error, TakenBackError)
        if not cancelled:
            await context.components.state.record(
                StateChange(
                    ChangeType.ERROR_OCCURRED,
                    "orchestrator",
                    context.environment.name,
                    context.deployment.id,
                    new=problem.key,
                    metadata={"message": problem.message, "service": problem.service},
                    correlation_id=context.deployment.correlation_id,
                ),
                context.fence,
            )
        if not context.deployment.touched:
            return await self._finish(Outcome.CANCELLED if cancelled else Outcome.FAILED, problem)
        is_rollback = context.deployment.request.kind is DeploymentKind.ROLLBACK
        if not (context.coordination.rollback_on_failure or asked_back or is_rollback):
            return await self._finish(Outcome.FAILED, on_a_mixture(problem, context.environment.name))
        return await self._roll_back(problem)

    async def _roll_back(self, problem: Problem | None) -> Deployment:
        """Bring the old release back; where that fails, too, an operator is needed.

        A rollback that somebody asked for is put back like that, and has failed.
        """
        context = self._context
        cancelled = problem is not None and problem.key == DeploymentCancelledError.key
        await context.update(problem=problem)
        context.restore()
        if context.deployment.pauses:  # while it waited, recovery looked after what it did not hold
            await context.components.stop_recovery(context.environment)
        back = [context.coordination.policy(PhaseName.ROLLBACK)]
        try:
            await self._run_phases(back, back)
        except (FencedOffError, JournalUnusableError):
            raise
        except RoasError as error:
            log.error("rollback failed", key=error.key, error=error.message)
            current = await context.components.state.releases.current(context.environment.name)
            return await self._finish(
                Outcome.FAILED, rollback_failed(problem, error, context.environment.name, current)
            )
        if problem is not None and context.release is not None and is_put_back(context.deployment):
            phase = context.deployment.phase(PhaseName.ROLLBACK)
            if phase is not None:
                await context.save_phases(replace(phase, brought_up=False))
            problem = after_putting_back(problem, context.deployment, context.release)
            return await self._finish(Outcome.FAILED, problem, active=context.release)
        return await self._finish(
            Outcome.CANCELLED if cancelled else Outcome.ROLLED_BACK, problem, active=context.release
        )

    async def _finish(self, outcome: Outcome, problem: Problem | None, *, active: Release | None = None) -> Deployment:
        """Write the end and free the environment, in one transaction, then publish it on the bus."""
        context = self._context
        deployment = replace(
            context.deployment,
            outcome=outcome,
            problem=problem,
            ended_at=datetime.now(UTC),
            duration_seconds=sum(phase.duration_seconds or 0.0 for phase in context.deployment.phases),
            warnings=tuple(context.warnings),
        )
        if deployment.touched:
            await remove_stale_instances(context.components, context.environment, context.fence)
        context.deployment = deployment
        await context.components.state.deployments.finish(
            deployment,
            context.fence,
            active=active,
            applied_model=deployment.applied_model,
            release_states=_release_states(deployment, outcome),
        )
        context.publish(
            DeploymentEnded(
                outcome=outcome,
                kind=deployment.request.kind,
                duration_seconds=deployment.duration_seconds,
                **context.origin,
            )
        )
        return deployment

    async def _watch_for_cancel(self) -> None:
        """Check in the journal what was asked for, perhaps through another process: to cancel, or to go on."""
        context = self._context
        while not (context.restoring or context.cancel.is_set()):
            with suppress(RoasError):
                deployment = await context.components.state.deployments.get_own(context.deployment.id)
                if deployment is not None and deployment.cancel_requested_by is not None:
                    context.request_stop()
                    return
                if deployment is not None and deployment.decision is not None:
                    context.decided.set()
                if deployment is not None and (newer := deployment.watch_ended_by) is not None:
                    context.supersede(newer)
            await wait_for(context.cancel, CANCEL_POLL_SECONDS)

    async def _watch_for_standstill(self) -> None:
        """Tell, once each time, when nothing has moved for longer than the phase that runs may take.

        Within its phases a deployment is ended by their limits. What stands still all the same waits for something
        that has no end, and only whoever ends its process lets the next one go on with it.
        """
        context, told = self._context, 0.0
        while True:
            await pause(STANDSTILL_LOOK_SECONDS)
            moved_at, now = context.moved_at, time.monotonic()
            running = [one for one in context.deployment.phases if one.status is PhaseStatus.IN_PROGRESS]
            allowed = context.coordination.policy(running[-1].name).timeout_seconds if running else 0.0
            limit = context.limit.when() if context.limit is not None else None
            ends = max(moved_at + allowed, limit if limit is not None and running else 0.0) + STANDSTILL_SECONDS
            if now < ends or moved_at == told or context.deployment.is_waiting:
                continue
            told, phase = moved_at, running[-1].name.value if running else ""
            log.error("deployment stands still", phase=phase, seconds=round(now - moved_at))
            context.publish(DeploymentStoodStill(phase=phase, seconds=now - moved_at, **context.origin))


def _release_states(deployment: Deployment, outcome: Outcome) -> dict[int, ReleaseState]:
    """Return the final state of the release that a deployment created, by number.

    A rollback of all creates none, nor does what changes nothing of the release.
    """
    created = deployment.to_release not in {None, deployment.from_release}
    goes_back = deployment.request.kind is DeploymentKind.ROLLBACK and not deployment.request.services
    if deployment.to_release is None or not created or goes_back:
        return {}
    succeeded = outcome is Outcome.SUCCEEDED
    return {deployment.to_release: ReleaseState.SUCCEEDED if succeeded else ReleaseState.FAILED}
