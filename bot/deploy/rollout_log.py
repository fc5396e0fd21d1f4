"""Keep in the journal how far the rollout of a service has come, for a deployment that may die and be resumed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from roas.deploy.context import DeploymentContext
from roas.deploy.observation import observation_seconds
from roas.errors import RoasError
from roas.models.deployment import ServiceStep
from roas.models.rollout import ALL_AT_ONCE, FailureAction, RolloutRecord, RolloutState
from roas.models.stack import ServiceDefinition
from roas.stack.rollout import is_exceeded
from roas.stack.service_rollout import paused_error, warn_of_tolerated


@dataclass(slots=True)
class ServiceRolloutLog:
    """Follow the rollout of one service within a deployment."""

    context: DeploymentContext
    definition: ServiceDefinition
    announce: Callable[[], Awaitable[None]]

    @property
    def record(self) -> RolloutRecord | None:
        """Return what an earlier attempt, or a pause, left of this rollout."""
        return self.context.rollout(self.definition.name)

    @property
    def tolerated(self) -> frozenset[str]:
        """Return the new containers by which the service is not judged any more.

        Where one too many failed, and the process died before that led to anything, they are found once more.
        """
        record = self.record
        if record is None:
            return frozenset()
        return frozenset(record.accepted) if is_exceeded(self.definition.update, record) else record.tolerated

    @property
    def monitor_seconds(self) -> float:
        """Return for how long a new replica that was ready is watched."""
        return observation_seconds(self.definition, self.context.environment)

    @property
    def seconds_left(self) -> float | None:
        """Return how long new replicas have to become ready; None without a limit."""
        return self.context.seconds_left

    @property
    def may_pause(self) -> bool:
        """Return whether a person can be asked: not in the middle of the way back from a failure."""
        return not self.context.failed

    async def save(self, record: RolloutRecord) -> None:
        """Write how far it has come, before what follows from it is done."""
        await self.context.save_rollout(self.definition.name, replace(record, back=self.context.failed))

    async def step(self, step: ServiceStep, detail: str = "") -> None:
        """Report a step of the service."""
        await self.context.report(self.definition.name, step, detail)

    async def started(self) -> None:
        """Note that containers of the service were started."""
        await self.announce()

    def allow(self, seconds: float) -> None:
        """Allow the phase more time."""
        self.context.allow(seconds)

    def watched_from(self, at: float) -> None:
        """Note that the new replicas are watched from then on, and that the old ones wait for that."""
        self.context.watched_from[self.definition.name] = at

    def warn(self, text: str) -> None:
        """Keep a warning for the outcome."""
        self.context.warn(text)

    async def late_failure(self, container_id: str | None, error: RoasError) -> RoasError | None:
        """Count a replica that failed after its rollout, in the time in which it is watched.

        Returns what is to be raised, or None where the policy lets it pass. What was not rolled out fails at once.
        """
        policy, record = self.definition.update, self.record
        if record is None or container_id is None or policy == ALL_AT_ONCE:
            return error
        record = replace(record, failed=tuple(dict.fromkeys((*record.failed, container_id))))
        exceeded = is_exceeded(policy, record)
        pauses = exceeded and policy.failure_action is FailureAction.PAUSE and self.may_pause
        await self.save(replace(record, state=RolloutState.PAUSED) if pauses else record)
        if not exceeded:
            warn_of_tolerated(self.definition, record, self)
            return None
        if pauses:
            await self.step(ServiceStep.PAUSED)
            return paused_error(self.definition.name, record, error)
        return error


async def no_news() -> None:
    """Say nothing of a start: what is only watched was started before."""
