"""Leave recovery to Swarm where a stack runs on one: wait for what it does by itself, and say what that was."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from roas.errors import RoasError
from roas.messages.message import joined, said
from roas.models.alert import RecoveryStatus
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.recovery import Fault, RecoveryOutcome, RecoveryReport
from roas.recovery.handler import STEP_SECONDS, AlertNotes
from roas.recovery.refusals import Handler, RecoveryChecks, find_refusal
from roas.stack.containers.watch import ContainerWatch
from roas.stack.stacks import Stacks
from roas.state.manager import StateManager

# What runs again may end at once, and only a health check would say so.
SETTLE_SECONDS = 4.0
# Swarm may have replaced a task before its end was seen here, by another clock.
EARLIER = timedelta(seconds=15)


class SwarmRecovery:
    """Follow a service until its tasks run again; where Swarm does not manage that in time, people are called."""

    def __init__(
        self,
        stacks: Stacks,
        state: StateManager,
        notes: AlertNotes,
        checks: RecoveryChecks,
        *,
        seconds: float = STEP_SECONDS,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._stacks = stacks
        self._state = state
        self._notes = notes
        self._checks = checks
        self._seconds = seconds
        self._settle_seconds = settle_seconds

    async def handle(self, fault: Fault, environment: Environment) -> RecoveryReport:
        """Wait for Swarm, and report what it did. Raises StateError."""
        if (refusal := await find_refusal(self._state, self._checks, fault, environment)) is not None:
            return refusal
        await self._notes.note(fault.alert_id, healing=RecoveryStatus.UNDER_WAY)
        problem = await self._wait(fault, environment)
        if (refusal := await find_refusal(self._state, self._checks, fault, environment)) is not None:
            return refusal
        done = await self._what_swarm_did(fault, environment)
        if problem is None:
            text = done or said("its tasks run again")
            await self._notes.note(fault.alert_id, text)
            return RecoveryReport(fault, RecoveryOutcome.RECOVERED, text)
        text = joined("; ", [part for part in (problem, done) if part])
        return RecoveryReport(fault, RecoveryOutcome.ESCALATED, text)

    async def _wait(self, fault: Fault, environment: Environment) -> str | None:
        """Wait until the tasks run; returns why that cannot be said, or None."""
        well_since: float | None = None
        ids: frozenset[str] = frozenset()
        try:
            async with asyncio.timeout(self._seconds), ContainerWatch(self._stacks.of(environment)) as watch:
                while True:
                    own = watch.of_service(fault.service)
                    if any(
                        container.state is ContainerState.EXITED and container.restart_policy == "no"
                        for container in own
                    ):
                        return said("Swarm starts it not again: its restart policy says so")
                    if not all(map(_runs, own)) or not own:
                        well_since = None
                    elif well_since is None or ids != {container.id for container in own}:
                        well_since, ids = time.monotonic(), frozenset(container.id for container in own)
                    elif time.monotonic() - well_since >= self._settle_seconds:
                        return None
                    await watch.changed_within(self._settle_seconds)
        except TimeoutError:
            seconds = f"{self._seconds:g}"
            return said("Swarm starts its tasks again by itself, and within {seconds} s none stayed", seconds=seconds)
        except RoasError as error:
            return error.message

    async def _what_swarm_did(self, fault: Fault, environment: Environment) -> str:
        alert = await self._state.alerts.get(fault.alert_id)
        since = (datetime.now(UTC) if alert is None else alert.started_at) - EARLIER
        try:
            return joined("; ", await self._stacks.of(environment).replacements(fault.service, since))
        except RoasError as error:
            return error.message


def _runs(task: ContainerSnapshot) -> bool:
    return task.state is ContainerState.RUNNING and task.health in {HealthStatus.NONE, HealthStatus.HEALTHY}


class RecoveryByEngine:
    """Hand a fault to who deals with it on the engine that its stack runs on."""

    def __init__(self, stacks: Stacks, by_us: Handler, by_engine: Handler) -> None:
        self._stacks = stacks
        self._by_us, self._by_engine = by_us, by_engine

    async def handle(self, fault: Fault, environment: Environment) -> RecoveryReport:
        """Recover a service or say why not. Raises StateError."""
        is_done = self._stacks.of(environment).replaces_by_itself
        return await (self._by_engine if is_done else self._by_us).handle(fault, environment)
