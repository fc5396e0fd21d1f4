"""Wait until an engine that went away is back, or a Swarm has its quorum again, and say what that took."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from roas.concurrency import begun, pause
from roas.deploy.context import DeploymentContext
from roas.errors import (
    DeploymentCancelledError,
    EngineError,
    EnginePartAwayError,
    EngineUnavailableError,
    RolloutPausedError,
    ServiceFailedError,
    StateError,
    TakenBackError,
)
from roas.limits import ENGINE_GRACE_SECONDS, QUORUM_SECONDS, RETURNED_NODES_SECONDS, SOON
from roas.log import get_logger
from roas.messages.message import said
from roas.models.swarm import LOCKED_HINT, MANAGER_HINT, QUORUM_HINT, Absence, QuorumLosses, SwarmFacts
from roas.shortages import find_passing
from roas.stack.docker.api_errors import PART_AWAY_HINT

log = get_logger(__name__)

LOOK_SECONDS = 2.0
# What is shorter nobody has to know: a leader was elected.
SHORT_SECONDS = 5.0
ABSENCES: Mapping[Absence, str] = {
    Absence.NO_QUORUM: said("no quorum"),
    Absence.NO_MANAGER: said("the engine that is asked is no manager"),
    Absence.LOCKED: said("the Swarm is locked"),
}
REMEDIES: Mapping[Absence, str] = {
    Absence.NO_QUORUM: QUORUM_HINT,
    Absence.NO_MANAGER: MANAGER_HINT,
    Absence.LOCKED: LOCKED_HINT,
}
WITHOUT_ENGINE = (DeploymentCancelledError, RolloutPausedError, StateError, TakenBackError)


async def find_passing_fault(context: DeploymentContext, error: Exception) -> EngineUnavailableError | None:
    """Return what passes by itself, where a phase failed for that: a part of the engine is away, or something ran out.

    Neither the release nor a service is to blame then, whatever failed: where the engine cannot even run the health
    checks, what they say of a service says nothing of it.
    """
    if isinstance(error, StateError):  # a deployment that only the journal stopped is resumed
        return None
    if (passing := find_passing(error)) is not None:
        return passing
    if isinstance(error, ServiceFailedError):
        with suppress(EngineError):
            there = await context.stack.containers()
            if unchecked := sorted({container.service for container in there if container.unchecked}):
                return EnginePartAwayError(
                    said(
                        "A part of the engine is away: it cannot run the health check of {service}.",
                        service=unchecked[0],
                    ),
                    hint=PART_AWAY_HINT,
                )
    return None


async def wait_for_engine(context: DeploymentContext) -> None:
    """Wait, not for long, until an engine answers, or somebody cancels."""
    deadline = time.monotonic() + ENGINE_GRACE_SECONDS
    while time.monotonic() < deadline and (context.restoring or not context.cancel.is_set()):
        with suppress(EngineUnavailableError):
            await context.stack.containers()
            break
        await pause(SOON.first_seconds)


def quorum_losses(context: DeploymentContext) -> QuorumLosses:
    """Return how often, and for how long, the environment's Swarm was seen without a quorum; never where it is none."""
    return context.stack.quorum_losses()


def warn_of_absence(context: DeploymentContext, waited: float = 0.0) -> None:
    """Say for how long a Swarm had no quorum, beyond what was said of it before, whoever bore it.

    It is what was `waited` for it just now, with what was waited before by who writes to it, or follows a write. A
    write may get no answer at all when its manager loses the others. It was longer, perhaps: one that led goes on to
    answer for ten seconds and more until it knows that it has lost them.
    """
    known, context.absence_told = context.absence_told, quorum_losses(context)
    away = max(waited, context.absence_told.seconds - known.seconds)
    if away <= SHORT_SECONDS:
        return
    absence, cause = context.absence_told.absence, ABSENCES[context.absence_told.absence]
    if absence is Absence.NO_QUORUM and not (waited or context.absence_told.times > known.times):
        cause = said("its manager did not answer")
    context.warn(
        said("For at least {seconds} s nothing was written to the Swarm: {cause}.", seconds=f"{away:.0f}", cause=cause)
    )


async def has_lost_quorum(context: DeploymentContext, error: Exception, before: QuorumLosses | None = None) -> bool:
    """Return whether a Swarm has no quorum, or was seen without one since there were the losses `before`.

    Whatever failed then may have failed for that: a check, a service whose tasks died with the managers, a limit.
    Errors that say what a person wants, or are of the journal, never did.
    """
    if not context.stack.needs_quorum or isinstance(error, WITHOUT_ENGINE):
        return False
    return (before is not None and quorum_losses(context).times > before.times) or not await _has_quorum(context)


async def wait_for_quorum(context: DeploymentContext) -> None:
    """Wait until more than half of a Swarm's managers reach each other again, beyond the phase's limit.

    Nothing can be written meanwhile, neither forwards nor back. The nodes of the managers that are back get a moment to
    say so: what is given to one that is not there yet is not started. Raises EngineError where it takes too long.
    """
    began = time.monotonic()
    since = began - quorum_losses(context).away_seconds
    context.allow(QUORUM_SECONDS)
    try:
        if not await _wait_until_back(context, since):
            context.absence_told = quorum_losses(context)  # by what is raised
            raise _waited_in_vain(context, f"{time.monotonic() - since:.0f}")
        warn_of_absence(context, time.monotonic() - began)
        await _wait_for_nodes(context)
    finally:
        context.allow(time.monotonic() - began - QUORUM_SECONDS)


def _waited_in_vain(context: DeploymentContext, seconds: str) -> EngineError:
    absence = context.absence_told.absence
    text = said(
        "For {seconds} s nothing could be written to the Swarm: {cause}.", seconds=seconds, cause=ABSENCES[absence]
    )
    return EngineError(text, hint=REMEDIES[absence])


@asynccontextmanager
async def reporting_absence(
    context: DeploymentContext, report: Callable[[str], Awaitable[None]]
) -> AsyncIterator[None]:
    """Say during a phase that it waits for the managers of a Swarm, until when, and what to do; empty once it does not.

    Whoever waits: for a minute and more, that is who writes a service, or follows a write.
    """
    if not context.stack.needs_quorum:
        yield
        return
    async with begun(_report_absence(context, report)):
        yield


async def _report_absence(context: DeploymentContext, report: Callable[[str], Awaitable[None]]) -> None:
    told: Absence | None = None
    while True:
        losses = quorum_losses(context)
        absence = losses.absence if losses.away_seconds > SHORT_SECONDS else None
        if absence is not told:
            told = absence
            until = datetime.now(UTC) + timedelta(seconds=QUORUM_SECONDS - losses.away_seconds)
            await report("" if absence is None else _waits_for(absence, f"{until:%H:%M} UTC"))
        await pause(LOOK_SECONDS)


async def _wait_until_back(context: DeploymentContext, since: float) -> bool:
    """Return whether there is a quorum in time; a cancellation ends the wait."""
    while not await _has_quorum(context) and not context.cancel.is_set():
        waited = time.monotonic() - since
        if waited > QUORUM_SECONDS:
            return False
        log.warning("the Swarm has no quorum: nothing is written until it has", waited_seconds=round(waited))
        await pause(LOOK_SECONDS)
    return True


async def _wait_for_nodes(context: DeploymentContext) -> None:
    deadline = time.monotonic() + RETURNED_NODES_SECONDS
    while time.monotonic() < deadline and not context.cancel.is_set():
        facts = await _facts(context)
        if facts is not None and facts.is_settled:
            return
        await pause(LOOK_SECONDS)


async def _has_quorum(context: DeploymentContext) -> bool:
    facts = await _facts(context)
    return facts is not None and facts.spare_managers >= 0


async def _facts(context: DeploymentContext) -> SwarmFacts | None:
    with suppress(EngineUnavailableError):
        return await context.stack.swarm()
    return None


def _waits_for(absence: Absence, until: str) -> str:
    return said(
        "waits at most until {until}: {cause}. {remedy}", until=until, cause=ABSENCES[absence], remedy=REMEDIES[absence]
    )
