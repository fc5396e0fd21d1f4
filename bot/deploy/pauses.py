"""Hear what people decide about a deployment that runs, pause it until they do, and tell where it stands still.

All of it is in the journal: another process may be asked, and another one may go on.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from roas.concurrency import begun, end_tasks, pause, wait_for
from roas.deploy.context import DeploymentContext
from roas.errors import (
    BakeUndecidedError,
    CanaryUndecidedError,
    RoasError,
    RolloutPausedError,
    ServiceFailedError,
    TakenBackError,
)
from roas.log import get_logger
from roas.messages.message import Message, joined, said
from roas.models.canary import CanaryVerdict
from roas.models.events import DeploymentPaused, DeploymentStoodStill
from roas.models.health import ContainerState
from roas.models.rollout import Choice, Decision, Pause, RolloutRecord
from roas.stack.containers.readiness import Readiness, ServiceReadiness, service_failure
from roas.stack.updating.behind_proxy import Front
from roas.stack.updating.canary.service_canary import ServiceCanary, canary_of
from roas.stack.updating.rollout_rules import gone_on

log = get_logger(__name__)
TEND_SECONDS = 1.0
# How often the journal is asked whether another process wants this deployment cancelled.
CANCEL_POLL_SECONDS = 1.0
# How often the watchdog looks, and how long beyond a phase's limit, or between two phases, nothing need move.
STANDSTILL_LOOK_SECONDS = 5.0
STANDSTILL_SECONDS = 60.0


def came_too_late(environment: str) -> Message:
    """Say that nobody can cancel any more, and what undoes a release."""
    return said(
        "The request to cancel came too late: the release was verified. `/rollback {name}` undoes it.", name=environment
    )


async def pause_deployment(context: DeploymentContext, error: RolloutPausedError) -> None:
    """Write that a deployment waits for a person, and why; what runs is left as it is."""
    pauses = context.deployment.pauses
    pause = Pause(
        number=len(pauses) + 1,
        service=error.service or "",
        message=error.message,
        since=datetime.now(UTC),
        report=error.report,
        canary=isinstance(error, CanaryUndecidedError),
        bake=isinstance(error, BakeUndecidedError),
    )
    await context.set_pauses((*pauses, pause), paused=True)
    log.warning("deployment paused", service=pause.service, reason=pause.message)
    context.publish(DeploymentPaused(service=pause.service, reason=pause.message, **context.origin))


async def wait_for_decision(context: DeploymentContext) -> None:
    """Wait until a person resumes a paused deployment, and write that.

    Raises DeploymentCancelledError where it is cancelled, TakenBackError where it is to go back, and
    ServiceFailedError where the canary that waits is found to be worse than the old version.
    """
    async with begun(_tend_service(context)) as tending:
        while (decision := await _decision(context)) is None:
            await _first_of(tending, context.decided, context.cancel)
            context.checkpoint()
            if tending.done():
                raise tending.result()
    context.decided.clear()
    pause = context.deployment.pauses[-1]
    log.info("paused deployment decided", choice=decision.choice, by=decision.decided_by.name)
    if decision.choice is Choice.ROLL_BACK:
        took_back = said("{reason} {person} took it back.", reason=pause.message, person=decision.decided_by.name)
        raise TakenBackError(
            joined(" ", filter(None, (took_back, decision.reason))),
            service=pause.service,
            report=pause.report,
        )
    # What failed of another service at the same time is another pause: nobody has seen it yet.
    rolled = [progress for progress in context.deployment.services if progress.service == pause.service]
    await context.plan_services(
        replace(progress, rollout=gone_on(progress.rollout, decision.choice)) for progress in rolled if progress.rollout
    )
    went_on = replace(pause, decision=decision)
    await context.set_pauses((*context.deployment.pauses[:-1], went_on), paused=False)


async def _tend_service(context: DeploymentContext) -> ServiceFailedError:
    """Let the proxy of the service that waits send requests to what is well, and nothing to what is started again.

    Its canary is judged on; returns why that goes back without a person, which may never be.
    """
    asked, model_hash = context.deployment.pauses[-1], context.model_hash or context.deployment.applied_model
    rollout, judged = context.rollout(asked.service) or RolloutRecord(), None
    while model_hash is not None:
        with suppress(RoasError):  # what has run out, or is away, is there again at one of the next looks
            definition = (await context.definitions_to_apply(model_hash)).get(asked.service)
            if definition is None or (definition.proxy is None and not asked.canary):
                break
            front = Front(context.stack, definition)
            await front.settle(waits=False, holds=True)
            canary = canary_of(definition, front, rollout)
            if canary is not None and not canary.is_over:
                await canary.weigh(canary.record.old)
            if asked.canary and judged is None and canary is not None:
                judged = PausedCanary(context, replace(canary, read_figure=context.components.read_figure), asked)
            if judged is not None and (failure := await judged.find_failure()) is not None:
                return failure
        await pause(TEND_SECONDS)
    nothing_to_tend: asyncio.Future[ServiceFailedError] = asyncio.get_running_loop().create_future()
    return await nothing_to_tend


@dataclass(slots=True)
class PausedCanary:
    """Judge a canary, or a bake, that waits for a person: its users come to what is bad all the while."""

    context: DeploymentContext
    canary: ServiceCanary
    asked: Pause
    _seen: frozenset[tuple[object, ...]] = frozenset()

    async def find_failure(self) -> ServiceFailedError | None:
        """Judge it once more; returns why it goes back, where it is certainly worse than the old version."""
        canary, containers = self.canary, await self.context.stack.containers()
        there = [item for item in containers if item.service == self.asked.service]
        seen = frozenset((item.id, item.state, item.started_at, item.endpoints) for item in there)
        if seen != self._seen:  # what requests came to while somebody restarted one is no fault of the version
            canary.forget_counts()
        self._seen = seen
        running = {item.id for item in there if item.state is ContainerState.RUNNING}
        old = running.intersection(canary.record.old)
        if not (new := running - old):
            return None
        if self.asked.bake:
            canary.policy, old = canary.policy.of_bake, set()
        judgement = await canary.judge(old, new)
        if judgement.verdict is not CanaryVerdict.WORSE:
            return None
        reason = said("its new version is worse: {seen}", seen=judgement.reason)
        found = ServiceReadiness(Readiness.FAILED, reason, min(new))
        return await service_failure(self.context.stack, self.asked.service, found)


async def _decision(context: DeploymentContext) -> Decision | None:
    """Return what a person chose for this pause; an earlier one's decision is none."""
    context.checkpoint()
    context.decided.clear()
    known = await context.components.state.deployments.get(context.deployment.id)
    return None if known is None else known.decided


async def _first_of(tending: asyncio.Task[ServiceFailedError], *events: asyncio.Event) -> None:
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait([tending, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end_tasks(*tasks)


async def watch_for_requests(context: DeploymentContext) -> None:
    """Check in the journal what was asked for, perhaps through another process: to cancel, or to resume."""
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


async def watch_for_standstill(context: DeploymentContext) -> None:
    """Tell, once each time, when nothing has moved for longer than the phase that runs may take.

    Within its phases a deployment is ended by their limits. What stands still all the same waits for something
    that has no end, and only whoever ends its process lets the next one go on with it.
    """
    told = 0.0
    while True:
        await pause(STANDSTILL_LOOK_SECONDS)
        moved_at, now = context.moved_at, time.monotonic()
        running = context.deployment.current_phase
        allowed = context.coordination.policy(running.name).timeout_seconds if running is not None else 0.0
        limit = context.limit.when() if context.limit is not None else None
        ends = max(moved_at + allowed, limit if limit is not None and running is not None else 0.0) + STANDSTILL_SECONDS
        if now < ends or moved_at == told or context.deployment.waits_in is not None:
            continue
        told, phase = moved_at, running.name.value if running is not None else ""
        log.error("deployment stands still", phase=phase, seconds=round(now - moved_at))
        context.publish(DeploymentStoodStill(phase=phase, seconds=now - moved_at, **context.origin))
