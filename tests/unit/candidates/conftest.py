"""A coordinator over a real journal; only the orchestrator is played."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roas.candidates.coordinator import CandidateCoordinator
from roas.errors import RoasError
from roas.events import EventBus
from roas.models.candidate import Candidate, CandidateState
from roas.models.deployment import Deployment, DeploymentRequest, Outcome, Problem
from roas.models.environment import Environment
from roas.models.events import DeploymentEnded
from roas.models.plan import Plan, ServiceAction, ServicePlan
from roas.models.stored import new_id
from roas.state.manager import StateManager
from roas.state.transaction import Fence


class PlayedOrchestrator:
    """Plan one service, and write deployments down without carrying them; `finish` ends one."""

    def __init__(self, state: StateManager, bus: EventBus) -> None:
        self.state, self.bus = state, bus
        self.requests: list[DeploymentRequest] = []
        self.fault: RoasError | None = None
        self.unmet: RoasError | None = None  # of a plan that is shown all the same
        self.digest = "digest"
        self.current = ""
        self.configuration: dict[str, str] = {}
        self.fences: dict[str, Fence] = {}
        self.dies_after_start = False
        self.new_powers: tuple[str, ...] = ()
        self.started = asyncio.Event()

    async def plan(self, request: DeploymentRequest, *, keep: bool = True) -> Plan:
        if self.fault is not None:
            raise self.fault
        action = ServiceAction.KEEP if request.version == self.current else ServiceAction.RECREATE
        service = ServicePlan("web", action, "web:v0", f"web:{request.version}")
        plan = Plan(request.environment, request.version or "", 1, None, (service,), ("web",), (), self.digest)
        return replace(plan, new_powers=self.new_powers, configuration=dict(self.configuration))

    async def start(self, request: DeploymentRequest) -> Deployment:
        if (fault := self.fault or self.unmet) is not None:
            raise fault
        self.requests.append(request)
        deployment = Deployment(
            new_id(request.kind.value), request, "standard", new_id("COR"), datetime.now(UTC), from_release=1
        )
        self.fences[deployment.id] = await self.state.deployments.create(deployment, "deploy")
        self.started.set()
        if self.dies_after_start:
            raise asyncio.CancelledError
        return deployment

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


@pytest.fixture
def orchestrator(state: StateManager, bus: EventBus) -> PlayedOrchestrator:
    return PlayedOrchestrator(state, bus)


@pytest.fixture
def known(tmp_path: Path) -> dict[str, Environment]:
    return {
        name: Environment(name, f"shop-{name}", tmp_path, (), needs_approval=name == "prod") for name in ("dev", "prod")
    }


@pytest.fixture
def make_coordinator(state, orchestrator, bus, known):
    """Return what makes a coordinator: that of another process on the same journal, too."""
    return lambda: CandidateCoordinator(state, orchestrator, bus, known)


@pytest.fixture
async def coordinator(make_coordinator) -> AsyncIterator[CandidateCoordinator]:
    coordinator = make_coordinator()
    await coordinator.start()
    yield coordinator
    await coordinator.stop()


@pytest.fixture
def reaches(state: StateManager):
    """Return what waits until a candidate is in one of some states."""

    async def wait(candidate: Candidate, *states: CandidateState) -> Candidate:
        changed = asyncio.Event()
        unsubscribe = state.subscribe(lambda _change: changed.set())
        try:
            async with asyncio.timeout(8):
                while True:
                    changed.clear()
                    found = await state.candidates.get(candidate.id)
                    assert found is not None
                    if found.state in states:
                        return found
                    await changed.wait()
        except TimeoutError:
            raise AssertionError(f"{found.state}: {found.note}") from None
        finally:
            unsubscribe()

    return wait
