"""Run one phase of a deployment within its time and retries, and write how it went."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

from roas.concurrency import pause, wait_for
from roas.deploy.context import DeploymentContext
from roas.deploy.engine_absence import (
    find_passing_fault,
    has_lost_quorum,
    quorum_losses,
    reporting_absence,
    wait_for_engine,
    wait_for_quorum,
    warn_of_absence,
)
from roas.deploy.phase_failure import Follows, Tries, awaits_engine, what_follows
from roas.deploy.phases import ALL_PHASES
from roas.deploy.phases.completion import not_tidied_up
from roas.errors import (
    DeploymentCancelledError,
    EngineUnavailableError,
    FencedOffError,
    JournalUnusableError,
    PhaseTimeoutError,
    RoasError,
    RolloutPausedError,
    ServiceFailedError,
    StateError,
)
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


class _PhaseRecord:
    """Write of a phase that runs which attempt it is, and what it waits for."""

    def __init__(self, context: DeploymentContext, result: PhaseResult) -> None:
        self._context = context
        self.result = result

    async def attempted(self, number: int) -> None:
        """Write that an attempt begins."""
        self.result = replace(self.result, attempts=number)
        await self._context.save_phases(self.result)

    async def report(self, summary: str) -> None:
        """Write what the phase waits for; nothing once it does not."""
        await self._context.save_phases(replace(self.result, summary=summary))


class PhaseRunner:
    """Run the phases of one deployment, one at a time; `what_follows` decides what is tried again.

    What is written of the phase that runs is in its record: the number of its attempt, and what it waits for.
    """

    def __init__(self, context: DeploymentContext) -> None:
        self._context = context
        context.absence_told = quorum_losses(context)

    async def run(self, policy: PhasePolicy) -> None:
        """Run one phase, and write how it went. Raises what it raises, once that is written."""
        context = self._context
        started, begun = begin_phase(context.deployment.phase(policy.name), policy.name)
        record = _PhaseRecord(context, begun)
        warnings_before = len(context.warnings)
        try:
            async with reporting_absence(context, record.report):
                if policy.name is PhaseName.COMPLETION:
                    summary = await self._tidy_up(policy, record)
                else:
                    context.checkpoint()
                    summary = await self._run_until_done(policy, record)
        except (FencedOffError, JournalUnusableError, RolloutPausedError):  # after a pause, the phase goes on
            raise
        except Exception as error:  # an unexpected error must be recorded as the outcome, too
            warn_of_absence(context)
            known = _logged_fault(error)
            status = PhaseStatus.CANCELLED if isinstance(known, DeploymentCancelledError) else PhaseStatus.FAILED
            await context.save_phases(end_phase(record.result, status, started, problem=known.problem()))
            raise known from error.__cause__ if known is error else error
        warn_of_absence(context)
        own_warnings = tuple(context.warnings[warnings_before:])
        done = end_phase(record.result, PhaseStatus.SUCCESS, started, summary=summary, warnings=own_warnings)
        await context.save_phases(done)

    async def end_paused(self, name: PhaseName, error: RoasError) -> None:
        """Write that a phase that waits for a person does not go on: that person decided so, or it has failed."""
        known = self._context.deployment.phase(name)
        if known is not None and known.status is PhaseStatus.IN_PROGRESS:
            status = PhaseStatus.FAILED if isinstance(error, ServiceFailedError) else PhaseStatus.CANCELLED
            ended = end_phase(known, status, begin_phase(known, name)[0], problem=error.problem())
            await self._context.save_phases(ended)

    async def _tidy_up(self, policy: PhasePolicy, record: _PhaseRecord) -> str:
        """Try completion; what it cannot do becomes a warning. Raises StateError."""
        try:
            return await self._run_until_done(policy, record)
        except StateError:
            raise
        except Exception as error:
            fault = _logged_fault(error)
            log.warning("completion failed", key=fault.key, error=fault.message)
            self._context.warn(not_tidied_up(fault.message))
        return "not all was tidied up"

    async def _run_until_done(self, policy: PhasePolicy, record: _PhaseRecord) -> str:
        """Run a phase within its time, again and again for as long as `what_follows` says so.

        Returns its summary. Raises what it failed for, or PhaseTimeoutError.
        """
        context, tries = self._context, Tries(policy, self._context)
        while True:
            async with self._within_time(tries):
                if not tries.is_recorded:
                    tries.is_recorded = True
                    await record.attempted(tries.number)
                try:
                    return await ALL_PHASES[policy.name].run(context)
                except Exception as error:
                    fault = await find_passing_fault(context, error) or error
                    follows = await self._follows(fault, tries)
                    if follows is Follows.FAILURE:
                        raise fault from (error.__cause__ if fault is error else error)
                if follows is Follows.RETRY:
                    await pause(tries.retries.failed())
                    tries.begin_try(context)
                else:
                    await self._wait(follows, fault, tries, record)

    async def _follows(self, fault: Exception, tries: Tries) -> Follows:
        """Return what a fault leads to, once the engine that it was for is back."""
        context = self._context
        if isinstance(fault, EngineUnavailableError):
            context.was_away = True
        follows, known = await what_follows(context, tries, fault), fault_of(fault)
        if follows is Follows.RETRY:
            log.warning("a phase is tried again", key=known.key, error=known.message, attempt=tries.number + 1)
        if follows in {Follows.RETRY, Follows.FAILURE} and awaits_engine(context, tries, fault):
            await wait_for_engine(context)
        return follows

    async def _wait(self, follows: Follows, fault: Exception, tries: Tries, record: _PhaseRecord) -> None:
        """Wait for what passes by itself, or for a quorum: what was warned of meanwhile is past then."""
        context = self._context
        log.warning("a phase waits for what passes by itself", phase=tries.policy.name, error=str(fault))
        context.was_away = True
        del context.warnings[tries.warnings :]
        if follows is Follows.ONCE_QUORUM:
            tries.quorum_waits += 1
            await wait_for_quorum(context)
            tries.losses = quorum_losses(context)
            context.checkpoint()
            return
        await record.report(said("goes on by itself once this has passed: {reason}", reason=fault_of(fault).message))
        await wait_for(context.cancel, tries.passing.failed())
        context.checkpoint()
        await record.report("")

    @asynccontextmanager
    async def _within_time(self, tries: Tries) -> AsyncIterator[None]:
        """Limit the block to what is left of a phase's time, which begins again where it went by without a quorum.

        Raises PhaseTimeoutError.
        """
        context, limit = self._context, asyncio.timeout_at(tries.ends_at)
        try:
            async with limit:
                context.limit = limit
                yield
        except TimeoutError as error:
            tries.ends_at = limit.when() or tries.ends_at
            if not await has_lost_quorum(context, error, tries.losses_before):
                raise self._timed_out(tries) from error
            context.was_away, context.limit = True, None
            await wait_for_quorum(context)
            context.checkpoint()
            tries.begin_time(context)
        else:
            tries.ends_at = limit.when() or tries.ends_at  # somebody may have moved it

    def _timed_out(self, tries: Tries) -> PhaseTimeoutError:
        return PhaseTimeoutError(
            said(
                "{policy} did not end within {timeout_seconds} s.{describe_waiting}",
                policy=tries.policy.name,
                timeout_seconds=f"{round(tries.ends_at - tries.began_at, 2):g}",
                describe_waiting=self._describe_waiting(tries),
            ),
        )

    def _describe_waiting(self, tries: Tries) -> str:
        if tries.awaited is not None:
            return joined(" ", ("", tries.awaited.message))
        moving = [progress for progress in self._context.deployment.services if progress.step in MOVING]
        waiting = [said("{service} ({step})", service=progress.service, step=progress.step) for progress in moving]
        return said(" Still under way: {waiting}.", waiting=joined(", ", waiting)) if waiting else ""


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
