"""An application with a real journal and bus, whose orchestrator and engine only pretend."""

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from roas.alerts.alert_service import AlertService
from roas.candidates.coordinator import CandidateCoordinator
from roas.configuration.settings import Settings
from roas.deploy.schedule import Schedule
from roas.errors import ImageChangedError, RoasError
from roas.events import EventBus
from roas.metrics.integration_monitor import IntegrationFigures
from roas.models.actor import Actor
from roas.models.deployment import (
    Deployment,
    DeploymentRequest,
    Draft,
    Outcome,
    PhaseResult,
    PhaseStatus,
)
from roas.models.environment import Environment
from roas.models.events import ApprovalChanged, DeploymentBegan, DeploymentEnded, PhaseChanged, origin
from roas.models.health import ContainerSnapshot, ServiceSeries, Verdict
from roas.models.phases import PhaseName
from roas.models.plan import Plan, PlanState
from roas.models.release import Release
from roas.redaction import Redactor
from roas.state.leadership import Leadership
from roas.state.manager import StateManager
from tests.unit.one_stack import OneStack
from tests.unit.played_orchestrator import PlayedOrchestrator
from tests.unit.ui.samples import a_container, a_deployment, a_plan, a_release, a_stack
from tests.unit.ui.story import Story

DEPLOYER, APPROVER, HOTFIXER = 501, 502, 503
SERVICES = ("web", "redis", "worker")


class FakeOrchestrator(PlayedOrchestrator):
    """Announce what a deployment would, too; nothing is deployed.

    `hold` keeps a deployment in its first phase, `thinking` keeps a plan from being made.
    """

    def __init__(self, state: StateManager, bus: EventBus) -> None:
        super().__init__(state, bus)
        self.approved: list[str] = []
        self.shown: list[DeploymentRequest] = []
        self.digest = "d" * 64
        self.to_release: int | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self.thinking = asyncio.Event()
        self.thinking.set()
        self.tasks: list[asyncio.Task[None]] = []

    async def plan(self, request: DeploymentRequest, *, keep: bool = True) -> Plan:
        (self.planned if keep else self.shown).append(request)
        await self.thinking.wait()
        if self.fault is not None:
            raise self.fault
        return replace(
            a_plan(),
            environment=request.environment,
            version=request.version or "v1",
            to_release=request.target_release or self.to_release,
            digest=self.digest,
        )

    async def start(self, request: DeploymentRequest) -> Deployment:
        await self.thinking.wait()
        if self.start_fault is not None:
            raise self.start_fault
        if request.plan_digest not in {None, self.digest}:
            raise ImageChangedError("Something changed.")
        deployment = replace(
            a_deployment(request.kind, created_at=datetime.now(UTC)), request=request, from_release=1, to_release=2
        )
        fence = await self.state.deployments.create(deployment, f"{request.kind.value.lower()} {request.version}")
        self.requests.append(request)
        self.bus.publish(DeploymentBegan(kind=request.kind, **origin(deployment, "fake")))
        # Like a real one, it outlives the command that asked for it, and has nothing of that command's context.
        self.tasks.append(contextvars.Context().run(asyncio.create_task, self._run(deployment, fence)))
        return deployment

    async def approve(self, deployment_id: str, actor: Actor) -> Deployment:
        await self.thinking.wait()
        if self.start_fault is not None:
            raise self.start_fault
        deployment, fence = await self.state.drafts.approve(deployment_id, actor, "what was drafted")
        self.approved.append(deployment_id)
        self.tasks.append(contextvars.Context().run(asyncio.create_task, self._run(deployment, fence)))
        return deployment

    async def cancel(self, deployment_id: str, actor: Actor, reason: str = "") -> Deployment:
        deployment = await super().cancel(deployment_id, actor, reason)
        self._tell(deployment, deployment.phases[0].name)
        self.hold.set()
        return deployment

    async def resume(self) -> tuple[Deployment, ...]:
        return ()

    async def close(self) -> None:
        self.hold.set()
        await asyncio.gather(*self.tasks)

    async def _run(self, deployment: Deployment, fence: Any) -> None:
        await self.hold.wait()
        if deployment.asks:
            drafted = replace(deployment, draft=Draft("m" * 64))
            waiting, void = await self.state.drafts.wait_for_approval(drafted, fence)
            for other in (waiting, *void):
                self._tell_approval(other, PlanState.DRAFTED)
            return
        if deployment.request.approved_by is not None:
            await self.state.drafts.conclude(deployment)
            self._tell_approval(deployment, PlanState.STARTED)
        for phase in deployment.phases:
            if phase.name is not PhaseName.ROLLBACK:
                done = PhaseResult(phase.name, PhaseStatus.SUCCESS, 1, duration_seconds=0.1)
                await self.state.deployments.save_phases(deployment, (done,), fence)
                self._tell(deployment, phase.name)
        cancelled = any(one == deployment.id for one, _actor in self.cancelled)
        outcome = Outcome.CANCELLED if cancelled else Outcome.SUCCEEDED
        ended = replace(deployment, outcome=outcome, ended_at=datetime.now(UTC), duration_seconds=0.5)
        await self.state.deployments.finish(ended, fence)
        self.bus.publish(DeploymentEnded(outcome=outcome, kind=deployment.request.kind, **origin(deployment, "fake")))

    def _tell_approval(self, deployment: Deployment, state: PlanState) -> None:
        plan_id = deployment.request.interaction_id or ""
        self.bus.publish(ApprovalChanged(plan_id=plan_id, state=state.value, **origin(deployment, "fake")))

    def _tell(self, deployment: Deployment, phase: PhaseName) -> None:
        status = PhaseStatus.SUCCESS
        self.bus.publish(PhaseChanged(phase=phase, status=status, **origin(deployment, "fake")))


@dataclass
class FakeEngine(OneStack):
    """Know three services, and the versions of some images."""

    fault: RoasError | None = None
    versions: tuple[str, ...] = ()
    running: tuple[str, ...] = SERVICES
    log: str = "2026-03-01T12:00:00Z hello"
    pruned: dict[int, tuple[str, ...]] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def local_versions(self) -> tuple[str, ...]:
        self.asked.append({"environment": self.environment.name, "versions": True})
        if self.fault is not None:
            raise self.fault
        return self.versions

    async def missing_images(self, release: Release) -> tuple[str, ...]:
        if self.fault is not None:
            raise self.fault
        return self.pruned.get(release.number, ())

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        return tuple(replace(a_container(name), id=name) for name in self.running)

    async def read_log(self, container_id: str, *, lines: int, since: datetime | None = None) -> str:
        self.asked.append({"environment": self.environment.name, "id": container_id, "lines": lines, "since": since})
        return self.log

    async def failure_output(self, container_id: str, *, lines: int) -> str:
        return self.log

    async def resolve(self, version: str | None, *, write_contents: bool = True) -> Any:
        assert not write_contents
        self.asked.append({"environment": self.environment.name, "resolved": version})
        if self.fault is not None:
            raise self.fault
        return SimpleNamespace(definitions=dict.fromkeys(SERVICES))


@dataclass
class FakeCollector:
    """Say that all is well, or fail."""

    fault: RoasError | None = None
    series: tuple[ServiceSeries, ...] = ()

    async def collect_all_metrics(self, environment: Environment) -> Any:
        if self.fault is not None:
            raise self.fault
        return a_stack(("web", Verdict.HEALTHY, ""), ("redis", Verdict.HEALTHY, ""), environment=environment.name)

    def last_hour(self, environment: Environment) -> tuple[ServiceSeries, ...]:
        return tuple(deployment for deployment in self.series if deployment.environment == environment.name)


class FakeIntegrationMonitor:
    """Say that the parts work together well."""

    firing: frozenset[str] = frozenset()

    def figures(self) -> IntegrationFigures:
        return IntegrationFigures(0.004, "live messages")


@dataclass
class FakeApplication:
    """Have what the cogs use of an application."""

    settings: Settings
    environments: dict[str, Environment]
    bus: EventBus
    state: StateManager
    orchestrator: FakeOrchestrator
    stacks: FakeEngine = field(default_factory=FakeEngine)
    collector: FakeCollector = field(default_factory=FakeCollector)
    leadership: Leadership = field(default_factory=Leadership)
    integration_monitor: FakeIntegrationMonitor = field(default_factory=FakeIntegrationMonitor)
    redactor: Redactor = field(default_factory=lambda: Redactor(["hunter_2*hunter_2"]))
    duplicate_token: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(met=lambda *_, **__: None))

    @cached_property
    def candidates(self) -> CandidateCoordinator:
        """Return the real thing over the real journal and bus."""
        return CandidateCoordinator(self.state, self.orchestrator, self.bus, self.environments)

    @cached_property
    def schedule(self) -> Schedule:
        """Return the real thing over the real journal and bus."""
        return Schedule(self.state, self.orchestrator, self.bus, self.environments, has_approvers=True)

    @property
    def alert_service(self) -> AlertService:
        """Return the real thing over the real journal and bus."""
        return AlertService(self.state.alerts, self.bus, self.redactor.redact)


def an_environment(name: str, *, needs_approval: bool = False) -> Environment:
    return Environment(
        name, f"shop-{name}", Path("stack"), (Path("docker-compose.yml"),), needs_approval=needs_approval
    )


@asynccontextmanager
async def open_fake_application(folder: Path, **settings: Any) -> AsyncIterator[FakeApplication]:
    """Open a journal in a folder and build the rest around it."""
    bus = EventBus()
    async with StateManager(folder) as state:
        orchestrator = FakeOrchestrator(state, bus)
        environments = {
            name: an_environment(name, needs_approval=name == "prod") for name in ("dev", "staging", "prod")
        }
        yield FakeApplication(Settings(_env_file=None, **settings), environments, bus, state, orchestrator)  # type: ignore[call-arg]
        await orchestrator.close()
        await bus.close()


async def kept_release(application: FakeApplication, environment: str, version: str) -> Release:
    """Write a release into the journal, as a deployment would."""
    story = await Story.begin(application.state, application.bus, environment=environment, version=version)
    draft = replace(a_release(-1, version), environment=environment, created_at=datetime.now(UTC))
    release = await application.state.releases.add(draft, story.fence)
    await application.state.deployments.finish(
        replace(story.deployment, outcome=Outcome.SUCCEEDED, ended_at=datetime.now(UTC)), story.fence, active=release
    )
    return release
