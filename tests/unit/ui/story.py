"""Let a deployment happen in a real journal, step by step, with the events that a real one publishes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from roas.events import EventBus
from roas.models.deployment import Deployment, Outcome, PhaseResult, PhaseStatus, Problem, ServiceProgress
from roas.models.events import (
    DeploymentBegan,
    DeploymentEnded,
    DeploymentOrigin,
    PhaseChanged,
    ServiceProgressed,
    origin,
)
from roas.models.phases import PhaseName
from roas.state.manager import StateManager
from roas.state.transaction import Fence
from testbed.waiting import rest_after
from tests.unit.ui.samples import a_deployment


class Story:
    """Drive one deployment from outside; every step is journalled first and announced after."""

    def __init__(self, state: StateManager, bus: EventBus, deployment: Deployment, fence: Fence) -> None:
        self.state = state
        self.bus = bus
        self.deployment = deployment
        self.fence = fence

    @classmethod
    async def begin(cls, state: StateManager, bus: EventBus, **options: object) -> "Story":
        deployment = a_deployment(created_at=datetime.now(UTC), **options)  # type: ignore[arg-type]
        fence = await state.deployments.create(deployment, "deploy v2")
        story = cls(state, bus, deployment, fence)
        bus.publish(DeploymentBegan(kind=deployment.request.kind, **story.origin))
        return story

    @property
    def id(self) -> str:
        return self.deployment.id

    @property
    def origin(self) -> DeploymentOrigin:
        return origin(self.deployment, "story")

    def tell_phase(self, status: PhaseStatus = PhaseStatus.IN_PROGRESS) -> None:
        self.bus.publish(PhaseChanged(phase=PhaseName.EXECUTION, status=status, **self.origin))

    def tell_end(self, outcome: Outcome = Outcome.SUCCEEDED) -> None:
        self.bus.publish(DeploymentEnded(outcome=outcome, kind=self.deployment.request.kind, **self.origin))

    async def phase(self, name: PhaseName, status: PhaseStatus, **more: Any) -> None:
        await self.state.deployments.save_phases(self.deployment, (PhaseResult(name, status, 1, **more),), self.fence)
        self.bus.publish(PhaseChanged(phase=name, status=status, **self.origin))

    async def service(self, progress: ServiceProgress) -> None:
        await self.state.deployments.save_service(self.deployment, progress, self.fence)
        self.bus.publish(ServiceProgressed(service=progress.service, step=progress.step, **self.origin))

    async def finish(
        self,
        outcome: Outcome = Outcome.SUCCEEDED,
        problem: Problem | None = None,
        *,
        announced: bool = True,
        seconds: float = 75.0,  # so long that its outcome is a message of its own
    ) -> None:
        now = datetime.now(UTC)
        ended = replace(self.deployment, outcome=outcome, problem=problem, ended_at=now, duration_seconds=seconds)
        await self.state.deployments.finish(ended, self.fence)
        if announced:
            self.tell_end(outcome)


async def until(condition: Callable[[], bool | Awaitable[bool]], within_seconds: float = 10.0) -> None:
    """Wait for something that no event tells of."""
    async with asyncio.timeout(within_seconds):
        while True:
            begun = time.monotonic()
            result = condition()
            if result if isinstance(result, bool) else await result:
                return
            await asyncio.sleep(rest_after(time.monotonic() - begun, poll=0.01))
