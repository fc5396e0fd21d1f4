"""An orchestrator that writes deployments down without carrying them."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from roas.events import EventBus
from roas.models.actor import Actor
from roas.models.deployment import Deployment, DeploymentRequest, Outcome, Problem
from roas.models.events import DeploymentEnded
from roas.models.plan import Plan, ServiceAction, ServicePlan
from roas.models.rollout import Choice
from roas.models.stored import new_id
from roas.state.manager import StateManager
from roas.state.transaction import Fence


class PlayedOrchestrator:
    """Plan one service, and journal what is asked for; `finish` ends the last deployment."""

    def __init__(self, state: StateManager, bus: EventBus | None = None) -> None:
        self.state, self.bus = state, bus or EventBus()
        self.planned: list[DeploymentRequest] = []
        self.requests: list[DeploymentRequest] = []  # of what was started
        self.cancelled: list[tuple[str, Actor]] = []
        self.decisions: list[tuple[str, Choice, Actor]] = []
        self.fences: dict[str, Fence] = {}
        self.fault: Exception | None = None
        self.start_fault: Exception | None = None  # of a plan that is shown all the same
        self.digest = "digest"
        self.current = ""
        self.missing: tuple[str, ...] = ()
        self.configuration: dict[str, str] = {}
        self.new_powers: tuple[str, ...] = ()
        self.dies_after_start = False
        self.started = asyncio.Event()

    async def plan(self, request: DeploymentRequest, *, keep: bool = True) -> Plan:
        self.planned.append(request)
        if self.fault is not None:
            raise self.fault
        action = ServiceAction.KEEP if request.version == self.current else ServiceAction.RECREATE
        service = ServicePlan("web", action, "web:v0", f"web:{request.version}", changed_keys=("environment.A",))
        plan = Plan(request.environment, request.version or "", 1, None, (service,), ("web",), (), self.digest)
        return replace(plan, missing=self.missing, new_powers=self.new_powers, configuration=dict(self.configuration))

    async def start(self, request: DeploymentRequest) -> Deployment:
        if (fault := self.fault or self.start_fault) is not None:
            raise fault
        self.requests.append(request)
        deployment = Deployment(
            new_id(request.kind.value), request, "standard", new_id("COR"), datetime.now(UTC), from_release=1
        )
        self.fences[deployment.id] = await self.state.deployments.create(deployment, f"deploy {request.version}")
        self.started.set()
        if self.dies_after_start:
            raise asyncio.CancelledError
        return deployment

    async def cancel(self, deployment_id: str, actor: Actor, reason: str = "") -> Deployment:
        self.cancelled.append((deployment_id, actor))
        return await self.state.deployments.request_cancel(deployment_id, actor, reason)

    async def decide(
        self, deployment_id: str, choice: Choice, actor: Actor, reason: str = "", *, pause: int | None = None
    ) -> Deployment:
        self.decisions.append((deployment_id, choice, actor))
        return await self.state.deployments.decide(deployment_id, choice, actor, reason, pause=pause)

    async def finish(self, outcome: Outcome, key: str = "", *, to_release: int | None = None) -> Deployment:
        """End the last deployment."""
        deployment = await self.state.deployments.get(list(self.fences)[-1])
        assert deployment is not None
        problem = Problem(key, "web is unhealthy") if key else None
        ended = replace(deployment, outcome=outcome, problem=problem, ended_at=datetime.now(UTC), to_release=to_release)
        await self.state.deployments.finish(ended, self.fences[deployment.id])
        self.bus.publish(
            DeploymentEnded(
                outcome=outcome,
                kind=deployment.request.kind,
                deployment_id=deployment.id,
                environment=deployment.environment,
                source="test",
            )
        )
        await self.bus.drain()
        return ended
