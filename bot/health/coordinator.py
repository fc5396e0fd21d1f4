"""Keep one verdict per service and one per stack, and announce it when it changes."""

import time
from dataclasses import dataclass, replace

from roas.concurrency import run_concurrently
from roas.errors import RoasError
from roas.events import EventBus
from roas.health.verdicts import Clock, HysteresisRules, SteadyVerdict, judge_service, judge_stack
from roas.log import get_logger
from roas.messages.message import said
from roas.models.events import ServiceHealthChanged, StackHealthChanged
from roas.models.health import ServiceHealth, StackHealth, Verdict
from roas.models.state_change import ChangeType, StateChange
from roas.state.manager import StateManager

__all__ = ["HealthChange", "HealthCoordinator", "judge_service", "judge_stack"]

log = get_logger(__name__)

SOURCE = "health"
STACK = ""  # the key of the stack's own verdict beside those of its services


@dataclass(frozen=True, slots=True)
class HealthChange:
    """Describe a changed verdict; `service` is empty for the stack's own."""

    environment: str
    service: str
    old: Verdict
    new: Verdict
    reason: str


class HealthCoordinator:
    """Turn samples into stable verdicts; write each change to the journal and publish it on the bus, once."""

    def __init__(
        self,
        bus: EventBus,
        journal: StateManager | None = None,
        *,
        rules: HysteresisRules | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._bus = bus
        self._journal = journal
        self._rules = rules or HysteresisRules()
        self._clock = clock
        self._verdicts: dict[str, dict[str, SteadyVerdict]] = {}
        self._stacks: dict[str, StackHealth] = {}

    async def observe(
        self, stack: StackHealth, reason: str = "", *, moving: frozenset[str] = frozenset()
    ) -> tuple[HealthChange, ...]:
        """Process a sample of a stack and publish what changed by it; `reason` is the stack's own.

        `moving` are the services that a deployment is changing: they are as they are seen, and it counts for nothing
        afterwards, so that a service restored by a rollback does not stay unhealthy for as long as one that flaps.
        """
        known = self._verdicts.setdefault(stack.environment, {})
        stack = _with_unseen(stack, set(known) - {STACK}, reason)
        changes = self._forget(stack.environment, set(known) - {service.service for service in stack.services})
        for service in stack.services:
            moved, unstarted = service.service in moving, any(container.never_ran for container in service.containers)
            changes += self._offer(
                stack.environment, service.service, service.verdict, service.reason, moved=moved, unstarted=unstarted
            )
        unstarted = any(container.never_ran for service in stack.services for container in service.containers)
        changes += self._offer(stack.environment, STACK, stack.verdict, reason, moved=bool(moving), unstarted=unstarted)
        self._stacks[stack.environment] = self._steady(stack)
        # At the same time, so that they share a commit: of a large stack all may change at once.
        await run_concurrently(self._record(change) for change in changes if change.service != STACK)
        for change in changes:
            self._publish(change)
        return tuple(changes)

    def stack(self, environment: str) -> StackHealth | None:
        """Return the last sample with the verdicts that hold, or None where nothing was observed yet."""
        return self._stacks.get(environment)

    def verdict(self, environment: str, service: str) -> Verdict:
        """Return the verdict that holds for a service."""
        steady = self._verdicts.get(environment, {}).get(service)
        return steady.current if steady else Verdict.UNKNOWN

    def due_in(self, environment: str) -> float | None:
        """Return the seconds after which a pending verdict would hold, so that the observer looks again then."""
        pending = (steady.due_in() for steady in self._verdicts.get(environment, {}).values())
        return min((seconds for seconds in pending if seconds is not None), default=None)

    def _offer(
        self, environment: str, service: str, verdict: Verdict, reason: str, *, moved: bool, unstarted: bool
    ) -> list[HealthChange]:
        steady = self._verdicts[environment].setdefault(service, SteadyVerdict(self._rules, self._clock))
        old = steady.current
        changed = steady.take(verdict) if moved else steady.offer(verdict, is_unstarted=unstarted)
        return [HealthChange(environment, service, old, verdict, reason)] if changed else []

    def _forget(self, environment: str, services: set[str]) -> list[HealthChange]:
        """Drop services that are in the stack no more."""
        gone = {service: self._verdicts[environment].pop(service).current for service in sorted(services - {STACK})}
        return [
            HealthChange(environment, service, old, Verdict.UNKNOWN, said("is not part of the stack any more"))
            for service, old in gone.items()
            if old is not Verdict.UNKNOWN
        ]

    def _steady(self, stack: StackHealth) -> StackHealth:
        """Put the verdicts that hold in the place of those just seen."""
        known = self._verdicts[stack.environment]
        services = tuple(_with_verdict(service, known[service.service].current) for service in stack.services)
        return replace(stack, verdict=known[STACK].current, services=services)

    def _publish(self, change: HealthChange) -> None:
        place, old, new, reason = change.environment, change.old, change.new, change.reason
        if change.service == STACK:
            self._bus.publish(StackHealthChanged(environment=place, old=old, new=new, reason=reason, source=SOURCE))
            return
        self._bus.publish(
            ServiceHealthChanged(
                environment=place, service=change.service, old=old, new=new, reason=reason, source=SOURCE
            )
        )

    async def _record(self, change: HealthChange) -> None:
        if self._journal is None:
            return
        try:
            await self._journal.record(
                StateChange(
                    ChangeType.SERVICE_HEALTH_CHANGED,
                    SOURCE,
                    change.environment,
                    change.service,
                    str(change.old),
                    str(change.new),
                    {"reason": change.reason},
                )
            )
        except RoasError as error:  # subscribers must be notified even when the journal cannot be written
            log.error("health change was not recorded", service=change.service, error=error.message)


def _with_unseen(stack: StackHealth, known: set[str], reason: str) -> StackHealth:
    """Add the services that were seen before, where nothing can be seen: they have not left the stack."""
    if not stack.fault:
        return stack
    unseen = sorted(known - {service.service for service in stack.services})
    services = tuple(ServiceHealth(name, Verdict.UNKNOWN, reason) for name in unseen)
    return replace(stack, services=stack.services + services)


def _with_verdict(service: ServiceHealth, verdict: Verdict) -> ServiceHealth:
    return service if service.verdict is verdict else replace(service, verdict=verdict)
