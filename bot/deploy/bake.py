"""Watch a new version after its success: what its users, or its alerts, find later brings the release before back.

It is a last step of the canary, in which no old version is left. The deployment has succeeded, and bakes: it holds the
services that do, all else is looked after as ever, and whoever asks for something newer ends it.

| seen | then |
|---|---|
| its checks are worse than the old version's were, or its own alert fires | the release goes back |
| its checks are good until the time is over | it has baked |
| its checks tell nothing by then | a person is asked: keep it, observe it for as long again, or back |
| somebody asks for something newer | it ends, and a warning says how much too early |
"""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from roas.concurrency import run_concurrently
from roas.deploy.applier import ServiceRolloutLog, no_news
from roas.deploy.context import DeploymentContext
from roas.errors import BakeUndecidedError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.alert import Alert
from roas.models.canary import CanaryPolicy, CanaryRecord, CanaryVerdict
from roas.models.health import ContainerState
from roas.models.phases import PhaseName
from roas.models.rollout import RolloutRecord, RolloutState
from roas.models.stack import ServiceDefinition
from roas.stack.containers.readiness import Readiness, ServiceReadiness, service_failure
from roas.stack.containers.watch import ContainerWatch
from roas.stack.updating.behind_proxy import Front
from roas.stack.updating.canary.judge import CanaryJudgement
from roas.stack.updating.canary.service_canary import READ_SECONDS, ServiceCanary

log = get_logger(__name__)
# How often what was counted is written, and drawn: a bake takes long.
WRITE_SECONDS = 15.0

# Watch the containers of a service until a moment on the monotonic clock. Raises ServiceFailedError.
Observe = Callable[[ServiceDefinition, float], Awaitable[None]]


async def bake(
    context: DeploymentContext,
    watch: ContainerWatch,
    definitions: Mapping[str, ServiceDefinition],
    observe: Observe,
) -> tuple[str, ...]:
    """Let all services bake whose canary says so, at the same time; returns how that was.

    Raises ServiceFailedError where one has to go back, and BakeUndecidedError where a person decides.
    """
    undecided = set[str]()
    baking = [
        ServiceBake(context, watch, observe, definition, policy, record, undecided)
        for definition, policy, record in _to_bake(context, definitions)
    ]
    if not baking:
        return ()
    undecided |= {service.name for service in baking}
    for service in baking:
        await service.begin()
    await context.components.state.deployments.set_partial(context.deployment, context.fence, partial=True)
    log.info("baking", services=[service.name for service in baking])
    context.allow(max(service.seconds_left for service in baking))
    try:
        told = await context.run_unless_cancelled(run_concurrently(service.run() for service in baking))
    except BakeUndecidedError:
        for service in baking:
            if service.has_baked:
                await service.end()
        raise
    # What others looked after meanwhile is this deployment's again, until its end.
    await context.components.state.deployments.set_partial(context.deployment, context.fence, partial=False)
    await context.components.stop_recovery(context.environment)
    for service in baking:
        await service.end()
    return tuple(told)


def _to_bake(
    context: DeploymentContext, definitions: Mapping[str, ServiceDefinition]
) -> Iterator[tuple[ServiceDefinition, CanaryPolicy, CanaryRecord]]:
    """Yield the services that had a canary in this deployment, and have not baked yet."""
    for progress in context.deployment.services:
        rollout, definition = context.rollout(progress.service), definitions.get(progress.service)
        if definition is None or definition.canary is None or rollout is None or rollout.canary is None:
            continue
        if definition.canary.bake_seconds and rollout.canary.step <= len(definition.canary.shares):
            yield definition, definition.canary, rollout.canary


@dataclass(slots=True)
class ServiceBake:
    """Judge one service after its success.

    One that tells nothing by its end is watched on while others are `undecided`: a person may look hours later, and
    nobody would take them back till then.
    """

    context: DeploymentContext
    watch: ContainerWatch
    observe: Observe
    definition: ServiceDefinition
    policy: CanaryPolicy
    record: CanaryRecord
    undecided: set[str]
    has_baked: bool = False
    _written_at: float = float("-inf")

    @property
    def name(self) -> str:
        """Return the name of the service."""
        return self.definition.name

    @property
    def seconds_left(self) -> float:
        """Return how long it bakes from now on; a person may have let it be observed for longer."""
        seconds = self.record.seconds if self.record.bakes_until is not None else 0.0
        return max(0.0, self.policy.bake_seconds * (1 + self.record.extensions) - seconds)

    async def begin(self) -> None:
        """Write that it bakes, and until when: another process may go on with it."""
        steps = replace(self.record, steps=len(self.policy.shares))
        self.record = steps.baking(datetime.now(UTC) + timedelta(seconds=self.seconds_left))
        await self._save(RolloutState.DONE)

    async def end(self) -> None:
        """Write that it has baked."""
        self.record = self.record.next_step()
        await self._save(RolloutState.DONE)

    async def run(self) -> str:
        """Judge it until its time is over, or somebody asks for something newer; returns how it was.

        Raises ServiceFailedError, or BakeUndecidedError.
        """
        read = ServiceRolloutLog(self.context, self.definition, no_news).read_figure
        front = Front(self.context.stack, self.definition)
        canary = ServiceCanary(self.policy.of_bake, front, self.definition.replicas, self.record, read)
        while not self.context.superseded.is_set():
            judgement = await canary.judge((), self._containers)
            self.record = canary.record
            await self._require_good(judgement)
            if judgement.verdict is not CanaryVerdict.OPEN:
                self.undecided.discard(self.name)
            if judgement.verdict is CanaryVerdict.GOOD:
                self.has_baked = True
                return said("{service} has baked: {seen}", service=self.name, seen=judgement.reason)
            # One that fails where nobody asked the old version is not over yet: a person is asked at once.
            if judgement.verdict is CanaryVerdict.INCONCLUSIVE and (self.seconds_left or not self.undecided):
                await self._save(RolloutState.PAUSED)
                raise _undecided(self.name, judgement.reason)
            await self.observe(self.definition, time.monotonic() + READ_SECONDS)
        return self._ended_early()

    @property
    def _containers(self) -> tuple[str, ...]:
        there = self.watch.of_service(self.name)
        return tuple(container.id for container in there if container.state is ContainerState.RUNNING)

    async def _require_good(self, judgement: CanaryJudgement) -> None:
        """Write what was counted, and raise ServiceFailedError where the version is not to stay."""
        if (now := time.monotonic()) - self._written_at >= WRITE_SECONDS:
            self._written_at = now
            await self._save(RolloutState.DONE)
        if judgement.verdict is CanaryVerdict.WORSE:
            await self._fail(said("it got worse while it baked: {seen}", seen=judgement.reason))
        for alert in await self._alerts():
            await self._fail(said("an alert fired while it baked: {alert}", alert=alert.title))

    async def _fail(self, reason: str) -> None:
        await self._save(RolloutState.DONE)
        found = ServiceReadiness(Readiness.FAILED, reason, min(self._containers, default=None))
        raise await service_failure(self.context.stack, self.name, found)

    async def _alerts(self) -> list[Alert]:
        """Return the urgent alerts about the service that its new version can have caused; a silenced one counts not.

        Most are of Alertmanager or Grafana, by their label `service`. What fired before its first container was started
        is of the old version, and this deployment may be what ends it.
        """
        there = await self.context.components.state.alerts.open(self.context.environment.name)
        own = [alert for alert in there if alert.service == self.name and alert.is_urgent and alert.is_audible]
        execution = self.context.deployment.phase(PhaseName.EXECUTION)
        began = execution.started_at if execution is not None else None
        since = began or self.context.deployment.created_at
        return [alert for alert in own if (alert.relapsed_at or alert.started_at) >= since]

    def _ended_early(self) -> str:
        actor, seconds = self.context.superseded_by, self.seconds_left
        if actor is not None:
            self.context.warn(
                said(
                    "{person} asked for something newer: the bake of {service} ended {seconds} s early.",
                    person=actor.name,
                    service=self.name,
                    seconds=f"{seconds:.0f}",
                )
            )
        return said("the bake of {service} ended early", service=self.name)

    async def _save(self, state: RolloutState) -> None:
        rollout = self.context.rollout(self.name) or RolloutRecord()
        await self.context.save_bake(self.name, replace(rollout, canary=self.record, state=state))


def _undecided(service: str, reason: str) -> BakeUndecidedError:
    return BakeUndecidedError(
        said("The bake of {service} is inconclusive: {reason}.", service=service, reason=reason),
        hint=said("Look at {service}, then resume the deployment or roll it back.", service=service),
        service=service,
    )
