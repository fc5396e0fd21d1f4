"""Run one phase of a deployment within its time and retries, and write how it went."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime

import stamina
from stamina.instrumentation import RetryDetails, get_on_retry_hooks, set_on_retry_hooks
from stamina.typing import RetryHook

from roas.concurrency import wait_for
from roas.deploy.context import DeploymentContext
from roas.deploy.engine_return import (
    find_passing_fault,
    has_lost_quorum,
    quorum_losses,
    reporting_absence,
    wait_for_engine,
    wait_for_quorum,
    warn_of_absence,
)
from roas.deploy.phases import ALL_PHASES, Phase
from roas.deploy.phases.completion import not_tidied_up
from roas.errors import (
    DeploymentCancelledError,
    EngineUnavailableError,
    FencedOffError,
    JournalUnusableError,
    PhaseTimeoutError,
    RoasError,
    RolloutPausedError,
    StateError,
)
from roas.limits import MOST_QUORUM_LOSSES, PASSING_SECONDS, SOON, Backoff
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.deployment import PhaseResult, PhaseStatus, Problem, ServiceStep
from roas.models.phases import PhaseName, PhasePolicy
from roas.shortages import fault_of
from roas.state.living_processes import boot_id, boot_seconds

log = get_logger(__name__)

# Steps of a service that are not done yet, by which a phase that took too long says what it waited for.
MOVING = frozenset(
    {ServiceStep.CREATING, ServiceStep.STARTING, ServiceStep.WAITING, ServiceStep.PULLING, ServiceStep.BUILDING}
)
# Phases that wait, once, for an engine that went away: the first ones are tried again anyway, and nothing is held up.
AWAITING_ENGINE = frozenset({PhaseName.PREPARATION, PhaseName.EXECUTION, PhaseName.VERIFICATION, PhaseName.ROLLBACK})


class PhaseRunner:
    """Run the phases of one deployment, one at a time; transient faults are tried again."""

    def __init__(self, context: DeploymentContext) -> None:
        self._context = context
        context.absence_told = quorum_losses(context)
        self._report: Callable[[str], Awaitable[None]] = _report_to_nobody
        # What passes by itself, and the phase that runs waited for last.
        self._awaited: EngineUnavailableError | None = None
        self._awaited_since = 0.0

    async def run(self, policy: PhasePolicy) -> None:
        """Run one phase, and write how it went. Raises what it raises, once that is written."""
        context = self._context
        started, result = begin_phase(context.deployment.phase(policy.name), policy.name)
        warnings_before = len(context.warnings)

        async def attempted(number: int) -> None:
            nonlocal result
            result = replace(result, attempts=number)
            await context.save_phases(result)

        async def report(summary: str) -> None:
            await context.save_phases(replace(result, summary=summary))

        try:
            self._report, self._awaited = report, None
            async with reporting_absence(context, report):
                if policy.name is PhaseName.COMPLETION:
                    summary = await self._tidy_up(policy, attempted)
                else:
                    context.checkpoint()
                    summary = await self._run_with_retries(policy, attempted)
        except (FencedOffError, JournalUnusableError, RolloutPausedError):  # after a pause, the phase goes on
            raise
        except Exception as error:  # an unexpected error must be recorded as the outcome, too
            warn_of_absence(context)
            known = _logged_fault(error)
            status = PhaseStatus.CANCELLED if isinstance(known, DeploymentCancelledError) else PhaseStatus.FAILED
            await context.save_phases(end_phase(result, status, started, problem=known.problem()))
            raise known from error.__cause__ if known is error else error
        warn_of_absence(context)
        own_warnings = tuple(context.warnings[warnings_before:])
        done = end_phase(result, PhaseStatus.SUCCESS, started, summary=summary, warnings=own_warnings)
        await context.save_phases(done)

    async def end_paused(self, name: PhaseName, error: RoasError) -> None:
        """Write that a phase that waits for a person does not go on, by what that person decided."""
        known = self._context.deployment.phase(name)
        if known is not None and known.status is PhaseStatus.IN_PROGRESS:
            ended = end_phase(known, PhaseStatus.CANCELLED, begin_phase(known, name)[0], problem=error.problem())
            await self._context.save_phases(ended)

    async def _tidy_up(self, policy: PhasePolicy, attempted: "Callable[[int], Awaitable[None]]") -> str:
        """Try completion; what it cannot do becomes a warning. Raises StateError."""
        try:
            return await self._run_with_retries(policy, attempted)
        except StateError:
            raise
        except Exception as error:
            fault = _logged_fault(error)
            log.warning("completion failed", key=fault.key, error=fault.message)
            self._context.warn(not_tidied_up(fault.message))
        return "not all was tidied up"

    async def _run_with_retries(self, policy: PhasePolicy, attempted: "Callable[[int], Awaitable[None]]") -> str:
        """Try the phase; all tries share its time, which begins again where it went by without a quorum."""
        context = self._context
        while True:
            losses, limit = quorum_losses(context), asyncio.timeout(policy.timeout_seconds)
            began = asyncio.get_running_loop().time()
            try:
                async with limit:
                    context.limit = limit
                    return await self._try(policy, attempted)
            except TimeoutError as error:
                if not await has_lost_quorum(context, error, losses):
                    raise self._timed_out(policy, (limit.when() or began) - began) from error
            context.was_away, context.limit = True, None
            await wait_for_quorum(context)
            context.checkpoint()

    def _timed_out(self, policy: PhasePolicy, seconds: float) -> PhaseTimeoutError:
        return PhaseTimeoutError(
            said(
                "{policy} did not end within {timeout_seconds} s.{describe_waiting}",
                policy=policy.name,
                timeout_seconds=f"{round(seconds, 2):g}",
                describe_waiting=self._describe_waiting(),
            ),
        )

    async def _try(self, policy: PhasePolicy, attempted: "Callable[[int], Awaitable[None]]") -> str:
        """Run the phase, and after a transient fault again, as often as its policy says."""
        async for attempt in stamina.retry_context(
            on=_is_transient,
            attempts=policy.retries + 1,
            timeout=None,
            wait_initial=SOON.first_seconds,
            wait_max=SOON.longest_seconds,
            wait_jitter=SOON.first_seconds,
        ):
            with attempt:
                await attempted(attempt.num)
                waits = policy.name in AWAITING_ENGINE and attempt.num == 1
                return await self._run_and_wait(ALL_PHASES[policy.name], waits=waits)
        raise AssertionError("the loop returns or raises")

    async def _run_and_wait(self, phase: Phase, *, waits: bool) -> str:
        """Run a phase; what passes by itself is waited for, and the phase is run again. That is none of its retries.

        What failed while a Swarm had no quorum says nothing of the release. One that `waits` does so, not for long,
        until an engine that went away is back, and ends all the same.
        """
        context, backoff = self._context, Backoff(SOON)
        losses, warned, times = quorum_losses(context), len(context.warnings), 0
        while True:
            try:
                return await phase.run(context)
            except Exception as error:
                passing = await find_passing_fault(context, error)
                awaited = passing if passing is not None and self._has_time_for(passing, phase) else None
                fault = error if passing is None else passing
                if isinstance(fault, EngineUnavailableError):
                    context.was_away = True
                if awaited is None and not (
                    times < MOST_QUORUM_LOSSES
                    and isinstance(fault, RoasError)
                    and await has_lost_quorum(context, fault, losses)
                ):
                    if waits and not context.stack.needs_quorum and _is_to_be_awaited(fault):
                        await wait_for_engine(context)
                    raise fault from (error.__cause__ if fault is error else error)
                log.warning("a phase waits for what passes by itself", phase=phase.name, error=str(fault))
            context.was_away = True
            del context.warnings[warned:]
            if awaited is not None:
                await self._report(said("goes on by itself once this has passed: {reason}", reason=awaited.message))
                await wait_for(context.cancel, backoff.failed())
                context.checkpoint()
                await self._report("")
                continue
            times += 1
            await wait_for_quorum(context)
            losses = quorum_losses(context)
            context.checkpoint()

    def _has_time_for(self, passing: EngineUnavailableError, phase: Phase) -> bool:
        """Return whether what passes by itself is waited for; once it took too long it blames no service."""
        if self._awaited is None:
            self._awaited_since = time.monotonic()
        waited = time.monotonic() - self._awaited_since
        if phase.name is PhaseName.COMPLETION or (waited > PASSING_SECONDS and not self._context.restoring):
            passing.was_awaited = True
            return False
        self._awaited = passing
        return True

    def _describe_waiting(self) -> str:
        if self._awaited is not None:
            return joined(" ", ("", self._awaited.message))
        moving = [progress for progress in self._context.deployment.services if progress.step in MOVING]
        waiting = [said("{service} ({step})", service=progress.service, step=progress.step) for progress in moving]
        return said(" Still under way: {waiting}.", waiting=joined(", ", waiting)) if waiting else ""


async def _report_to_nobody(summary: str) -> None:
    """Say nothing: no phase runs."""


def begin_phase(known: PhaseResult | None, name: PhaseName) -> tuple[float, PhaseResult]:
    """Return since when a phase runs, on the monotonic clock, and its record; another process may have begun it.

    What it took before it was done again counts.
    All processes of a machine share the clock of its boot. After another boot no more is sure than how long ago that
    was: the wall clock may have been set since.
    """
    now, begun_at = time.monotonic(), datetime.now(UTC)
    earlier = known.duration_seconds if known is not None else None
    if known is not None and known.status is PhaseStatus.IN_PROGRESS and known.started_at is not None:
        since_boot = min(boot_seconds(), (begun_at - known.started_at).total_seconds())
        now -= max(0.0, boot_seconds() - known.boot_seconds if known.boot_id == boot_id() else since_boot)
        started = (known.started_at, known.boot_id, known.boot_seconds)
    else:
        started = (begun_at, boot_id(), boot_seconds())
    begun = PhaseResult(name, PhaseStatus.IN_PROGRESS, attempts=1, duration_seconds=earlier)
    return now, replace(begun, started_at=started[0], boot_id=started[1], boot_seconds=started[2])


def _logged_fault(error: Exception) -> RoasError:
    fault = fault_of(error)
    if fault is not error:
        log.error("a phase broke", exc_info=error)
    return fault


def _is_to_be_awaited(fault: Exception) -> bool:
    """Return whether nobody has waited for an engine yet: who follows its events has, who acts has not."""
    return isinstance(fault, EngineUnavailableError) and not fault.was_awaited


def _is_transient(error: Exception) -> bool:
    log_retries()
    return isinstance(error, RoasError) and error.transient


def end_phase(
    result: PhaseResult,
    status: PhaseStatus,
    started: float,
    *,
    summary: str = "",
    warnings: tuple[str, ...] = (),
    problem: Problem | None = None,
) -> PhaseResult:
    """Return the record of a phase that ended now, `started` on the monotonic clock."""
    return replace(
        result,
        status=status,
        ended_at=datetime.now(UTC),
        duration_seconds=(result.duration_seconds or 0.0) + time.monotonic() - started,
        summary=summary,
        warnings=warnings,
        problem=replace(problem, report="") if problem else None,
        brought_up=False if status is PhaseStatus.FAILED else None,
    )


def log_retries() -> None:
    """Tell of what is tried again by our log from now on."""
    hooks = get_on_retry_hooks()
    if _log_ours not in hooks:
        set_on_retry_hooks((*map(_of_others, hooks), _log_ours))


def _log_ours(details: RetryDetails) -> None:
    error = details.caused_by
    if isinstance(error, RoasError):
        log.warning("a phase is tried again", key=error.key, error=error.message, attempt=details.retry_num + 1)


def _of_others(hook: RetryHook) -> RetryHook:
    def skip_ours(details: RetryDetails) -> AbstractContextManager[None] | None:
        return None if isinstance(details.caused_by, RoasError) else hook(details)

    return skip_ours
