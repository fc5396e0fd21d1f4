"""Run one deployment through its phases to a recorded outcome."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import stamina

from roas.backoff import PHASE
from roas.concurrency import end_tasks, pause, wait_for
from roas.deployment.context import DeploymentContext
from roas.deployment.phases import ALL_PHASES, Phase
from roas.deployment.phases.completion import not_tidied_up
from roas.deployment.phases.preparation import load_release
from roas.deployment.stale_instances import remove_stale_instances
from roas.engine.container_watch import ENGINE_GRACE_SECONDS
from roas.errors import (
    DeploymentCancelledError,
    EngineUnavailableError,
    FencedOffError,
    ImageNotFoundError,
    InternalFaultError,
    JournalUnusableError,
    PhaseTimeoutError,
    ReleaseNotRestorableError,
    RoasError,
    StateError,
)
from roas.log import correlated, get_logger
from roas.models.change import ChangeType, StateChange
from roas.models.coordination import PhaseName, PhasePolicy
from roas.models.deployment import Deployment, DeploymentKind, Outcome, PhaseResult, PhaseStatus, Problem, ServiceStep
from roas.models.events import DeploymentEnded
from roas.models.release import Release, ReleaseState

log = get_logger(__name__)

# How often the journal is asked whether another process wants this deployment cancelled.
CANCEL_POLL_SECONDS = 1.0


class DeploymentRun:
    """Run the phases of one deployment, retry transient faults, roll back on failure, and write the outcome."""

    def __init__(self, context: DeploymentContext, phases: Sequence[Phase] = ALL_PHASES) -> None:
        self._context = context
        self._phases: Mapping[PhaseName, Phase] = {phase.name: phase for phase in phases}

    async def run(self) -> Deployment:
        """Run the rest of the deployment and return its record. Raises FencedOffError if another process took over."""
        deployment = self._context.deployment
        with correlated(deployment.correlation_id, deployment_id=deployment.id):
            watcher = asyncio.create_task(self._watch_for_cancel(), name="cancel watcher")
            try:
                await self._context.components.stop_recovery(self._context.environment)
                return await self._run()
            finally:
                await end_tasks(watcher)
                await self._context.end_watch()

    async def _run(self) -> Deployment:
        context = self._context
        if context.deployment.problem is not None:  # an earlier attempt was rolling back already
            return await self._roll_back(context.deployment.problem)
        try:
            for policy in context.coordination.phases:
                if policy.name is not PhaseName.COMPLETION and not context.phase_succeeded(policy.name):
                    await self._run_phase(policy)
        except (FencedOffError, JournalUnusableError):  # of the second kind is what passes: it is resumed
            raise
        except RoasError as error:
            return await self._handle_failure(error)
        await self._complete()
        release = context.release or await load_release(context)  # not loaded when a resume had little left to do
        return await self._finish(Outcome.SUCCEEDED, None, active=release)

    async def _complete(self) -> None:
        """Clean up after a verified release; no failure or cancellation here rolls it back.

        A journal that cannot be written interrupts the deployment, as in any phase: after a resume it cleans up again.
        """
        context = self._context
        for policy in context.coordination.phases:
            if policy.name is PhaseName.COMPLETION and not context.phase_succeeded(policy.name):
                await self._run_phase(policy)
        if context.cancel.is_set():
            name = context.environment.name
            context.warn(
                f"The request to cancel came too late: the release was verified. `/rollback {name}` undoes it."
            )

    async def _tidy_up(self, policy: PhasePolicy, attempted: "Callable[[int], object]") -> str:
        """Try completion; what it cannot do becomes a warning. Raises StateError."""
        try:
            return await self._run_with_retries(policy, attempted)
        except StateError:
            raise
        except RoasError as error:
            log.warning("completion failed", key=error.key, error=error.message)
            self._context.warn(not_tidied_up(error.message))
        except Exception as error:
            self._context.warn(not_tidied_up(_to_internal_error(error).message))
        return "not all was tidied up"

    async def _run_phase(self, policy: PhasePolicy) -> None:
        """Run one phase within its time and retries, and write how it went."""
        context = self._context
        started, result = _begun(context.deployment.phase(policy.name), policy.name)
        warnings_before = len(context.warnings)

        async def attempted(number: int) -> None:
            nonlocal result
            result = replace(result, attempts=number)
            await context.save_phase(result)

        try:
            if policy.name is PhaseName.COMPLETION:
                summary = await self._tidy_up(policy, attempted)
            else:
                context.checkpoint()
                summary = await self._run_with_retries(policy, attempted)
        except (FencedOffError, JournalUnusableError):
            raise
        except Exception as error:  # an unexpected error must be recorded as the outcome, too
            known = error if isinstance(error, RoasError) else _to_internal_error(error)
            status = PhaseStatus.CANCELLED if isinstance(known, DeploymentCancelledError) else PhaseStatus.FAILED
            await context.save_phase(_ended(result, status, started, problem=known.problem()))
            raise known from error.__cause__ if known is error else error
        own_warnings = tuple(context.warnings[warnings_before:])
        await context.save_phase(_ended(result, PhaseStatus.SUCCESS, started, summary=summary, warnings=own_warnings))

    async def _run_with_retries(self, policy: PhasePolicy, attempted: "Callable[[int], object]") -> str:
        """Try the phase; only transient faults are tried again, and all tries share the phase's time."""
        phase = self._phases[policy.name]
        try:
            async with asyncio.timeout(policy.timeout_seconds):
                async for attempt in stamina.retry_context(
                    on=_is_transient,
                    attempts=policy.retries + 1,
                    timeout=None,
                    wait_initial=PHASE.first_seconds,
                    wait_max=PHASE.longest_seconds,
                    wait_jitter=PHASE.first_seconds,
                ):
                    with attempt:
                        await attempted(attempt.num)  # type: ignore[misc]
                        # Later phases follow the engine's events, and wait for it by themselves.
                        waits = policy.name is PhaseName.PREPARATION and attempt.num == 1
                        return await self._run_once(phase, waits=waits)
        except TimeoutError as error:
            raise PhaseTimeoutError(
                f"{policy.name} did not end within {policy.timeout_seconds:g} s.{self._describe_waiting()}",
                hint="Fix what was still waiting, then deploy again.",
            ) from error
        raise PhaseTimeoutError(f"{policy.name} was not tried.")  # unreachable: the loop returns or raises

    async def _run_once(self, phase: Phase, *, waits: bool) -> str:
        """Run a phase; one that `waits` does so, not for long, until an engine that went away is back."""
        try:
            return await phase.run(self._context)
        except EngineUnavailableError:
            deadline = time.monotonic() + (ENGINE_GRACE_SECONDS if waits else 0.0)
            while time.monotonic() < deadline:
                with suppress(EngineUnavailableError):
                    await self._context.components.engine.containers(self._context.environment)
                    break
                await pause(PHASE.first_seconds)
            raise

    def _describe_waiting(self) -> str:
        moving = {
            ServiceStep.CREATING,
            ServiceStep.STARTING,
            ServiceStep.WAITING,
            ServiceStep.PULLING,
            ServiceStep.BUILDING,
        }
        waiting = [f"{p.service} ({p.step})" for p in self._context.deployment.services if p.step in moving]
        return f" Still under way: {', '.join(waiting)}." if waiting else ""

    async def _handle_failure(self, error: RoasError) -> Deployment:
        """Decide what a failure leads to: nothing was touched, a rollback, or an operator."""
        context = self._context
        problem = error.problem()
        log.warning("deployment failed", key=problem.key, error=problem.message, service=problem.service)
        cancelled = isinstance(error, DeploymentCancelledError)
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
        if context.deployment.request.kind is DeploymentKind.ROLLBACK and not cancelled:
            if isinstance(error, ImageNotFoundError | ReleaseNotRestorableError):
                return await self._roll_back(problem)  # a prune took its images since they were looked at
            return await self._finish_failed_rollback(problem)
        if not context.coordination.rollback_on_failure and not cancelled:
            return await self._finish(Outcome.FAILED, _needs_operator(problem, context))
        return await self._roll_back(problem)

    async def _finish_failed_rollback(self, problem: Problem) -> Deployment:
        """Leave a rollback that somebody asked for where it is: on its release, if all of that was brought up.

        That is the release which runs then, however its verification went: status, recovery and the next rollback go
        by it.
        """
        context = self._context
        phase = context.deployment.phase(PhaseName.ROLLBACK)
        if phase is not None and phase.status is PhaseStatus.FAILED and await self._runs_target():
            # The release before reads the summary.
            summary = "all of it runs, and not all of it is well"
            await context.save_phase(replace(phase, brought_up=True, summary=summary))
        if not context.deployment.brought_back:
            return await self._finish(Outcome.FAILED, _needs_operator(problem, context))
        release, name = context.release or await load_release(context), context.environment.name
        hint = f"{name} is on {release.label} now. Fix the cause, then `/rollback {name}` or deploy again."
        unproven = replace(problem, hint=f"{problem.hint}\n{hint}".strip())
        return await self._finish(Outcome.FAILED, unproven, active=release)

    async def _runs_target(self) -> bool:
        """Return whether the containers of every service are those of the release that was to be brought back."""
        context, engine = self._context, self._context.components.engine
        try:
            wanted = await engine.wanted_services(
                context.environment, await engine.load_model(context.deployment.applied_model or "")
            )
            there = await engine.containers(context.environment)
        except RoasError:
            return False
        return all(
            sum(one.service == name and service.fits(one) for one in there) >= service.definition.replicas
            for name, service in wanted.items()
        )

    async def _roll_back(self, problem: Problem | None) -> Deployment:
        """Roll back to the old release; a failed rollback is never rolled back, but left to an operator."""
        context = self._context
        cancelled = problem is not None and problem.key == DeploymentCancelledError.key
        await context.update(problem=problem)
        context.restore()
        try:
            await self._run_phase(context.coordination.policy(PhaseName.ROLLBACK))
        except (FencedOffError, JournalUnusableError):
            raise
        except RoasError as error:
            log.error("rollback failed", key=error.key, error=error.message)
            return await self._finish(Outcome.FAILED, _rollback_failed(problem, error, context))
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
        """Check in the journal whether cancellation was requested, perhaps through another process."""
        context = self._context
        while not (context.restoring or context.cancel.is_set()):
            with suppress(RoasError):
                deployment = await context.components.state.deployments.get(context.deployment.id)
                if deployment is not None and deployment.cancel_requested_by is not None:
                    context.request_stop()
                    return
            await wait_for(context.cancel, CANCEL_POLL_SECONDS)


def _begun(known: PhaseResult | None, name: PhaseName) -> tuple[float, PhaseResult]:
    """Return since when a phase runs, on the monotonic clock, and its record; another process may have begun it.

    The duration is known from the wall clock only: the monotonic clock of the other process is gone.
    """
    now, begun_at = time.monotonic(), datetime.now(UTC)
    if known is not None and known.status is PhaseStatus.IN_PROGRESS and known.started_at is not None:
        now -= max(0.0, (begun_at - known.started_at).total_seconds())
        begun_at = known.started_at
    return now, PhaseResult(name, PhaseStatus.IN_PROGRESS, attempts=1, started_at=begun_at)


def _to_internal_error(error: Exception) -> InternalFaultError:
    log.error("a phase broke", exc_info=error)
    return InternalFaultError(
        f"Unexpected internal error ({type(error).__name__}).", hint="See the bot's log, and report it."
    )


def _is_transient(error: Exception) -> bool:
    return isinstance(error, RoasError) and error.transient


def _ended(
    result: PhaseResult,
    status: PhaseStatus,
    started: float,
    *,
    summary: str = "",
    warnings: tuple[str, ...] = (),
    problem: Problem | None = None,
) -> PhaseResult:
    return replace(
        result,
        status=status,
        ended_at=datetime.now(UTC),
        duration_seconds=time.monotonic() - started,
        summary=summary,
        warnings=warnings,
        problem=replace(problem, report="") if problem else None,
        brought_up=False if status is PhaseStatus.FAILED else None,
    )


def _release_states(deployment: Deployment, outcome: Outcome) -> dict[int, ReleaseState]:
    """Return the final state of the release that a deployment created, by number; a rollback creates none."""
    if deployment.to_release is None or deployment.request.kind is DeploymentKind.ROLLBACK:
        return {}
    succeeded = outcome is Outcome.SUCCEEDED
    return {deployment.to_release: ReleaseState.SUCCEEDED if succeeded else ReleaseState.FAILED}


def _needs_operator(problem: Problem, context: DeploymentContext) -> Problem:
    name = context.environment.name
    hint = f"{name} may run parts of two releases. Fix the cause, then `/rollback {name}` or deploy again."
    return replace(problem, hint=f"{problem.hint}\n{hint}".strip())


def _rollback_failed(problem: Problem | None, error: RoasError, context: DeploymentContext) -> Problem:
    """Report both faults: what made the rollback necessary, and what stopped it."""
    name = context.environment.name
    first = f"{problem.message}\n" if problem else ""
    return Problem(
        key="rollback_failed",
        message=f"{first}The rollback failed too: {error.message}",
        hint=f"An operator is needed. {error.hint}\nThen run `/rollback {name}`, or `roas rollback {name}`.",
        service=error.service,
        report=error.report or (problem.report if problem else ""),
    )
