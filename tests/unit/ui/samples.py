"""Deployments, plans and stacks to draw, small ones and the largest allowed."""

from dataclasses import replace
from datetime import UTC, datetime

from roas.limits import COORDINATIONS
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    DeploymentRequest,
    Lock,
    Outcome,
    PhaseResult,
    PhaseStatus,
    Problem,
    ServiceProgress,
    ServiceStep,
)
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, StackHealth, Verdict
from roas.models.phases import PhaseName
from roas.models.plan import Plan, ServiceAction, ServicePlan
from roas.models.release import ImagePin, Release, ReleaseService, ReleaseState
from roas.models.stored import new_id

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DORA = Actor(ActorKind.DISCORD, "123456789012345678", "dora")

# What somebody may type or a container may log to break the message around it.
NASTY = "@everyone @here <@123456789012345678> **bold** `code` ```block``` [link](https://example.org) # title\n> quote"
LONG_NAME = "a-service-with-the-longest-name-that-anybody-would-give-to-one-1"[:63]


def a_deployment(
    kind: DeploymentKind = DeploymentKind.DEPLOY,
    *,
    environment: str = "staging",
    version: str | None = "v2",
    outcome: Outcome | None = None,
    statuses: dict[PhaseName, PhaseStatus] | None = None,
    services: tuple[ServiceProgress, ...] = (),
    problem: Problem | None = None,
    deployment_id: str | None = None,
    created_at: datetime = NOON,
    reason: str = "",
    part_of: str = "",
) -> Deployment:
    """Make a deployment; phases are pending unless `statuses` says otherwise."""
    statuses = statuses or {}
    phases = tuple(_phase(policy.name, statuses) for policy in COORDINATIONS[kind].phases)
    return Deployment(
        id=deployment_id or new_id(kind.value),
        request=DeploymentRequest(environment, kind, DORA, version=version, reason=reason, part_of=part_of),
        coordination=COORDINATIONS[kind].name,
        correlation_id=new_id("COR"),
        created_at=created_at,
        phases=phases,
        services=services,
        from_release=1,
        to_release=2,
        outcome=outcome,
        problem=problem,
        ended_at=datetime.now(UTC) if outcome else None,
        duration_seconds=12.3 if outcome else None,
    )


def _phase(name: PhaseName, statuses: dict[PhaseName, PhaseStatus]) -> PhaseResult:
    status = statuses.get(name, PhaseStatus.PENDING)
    if status is PhaseStatus.PENDING:
        return PhaseResult(name)
    running = status is PhaseStatus.IN_PROGRESS
    return PhaseResult(name, status, 1, NOON, None if running else NOON, None if running else 1.5, "all is well")


def failed_deployment() -> Deployment:
    """Make one whose web service did not become healthy, and that was rolled back."""
    problem = Problem(
        "service_failed", "web did not become healthy", "Look at its health check.", "web", "boom\nhealth: exit 1"
    )
    return a_deployment(
        outcome=Outcome.ROLLED_BACK,
        problem=problem,
        services=(
            ServiceProgress("redis", ServiceStep.UNCHANGED),
            ServiceProgress(
                "web", ServiceStep.FAILED, "unhealthy", old_image="shop/web:v1", new_image="shop/web:v2", changed=True
            ),
        ),
    )


def largest_deployment(outcome: Outcome | None = None) -> Deployment:
    """Make one with 64 services, the longest names and 10 kB log lines."""
    image = f"registry.example.org/{'team/' * 20}{LONG_NAME}:{'9' * 128}"
    services = tuple(
        ServiceProgress(
            f"{LONG_NAME[:-2]}{number:02}",
            ServiceStep.FAILED if number == 40 else ServiceStep.HEALTHY,
            NASTY * 4,
            0.5,
            image,
            image.replace("9", "8"),
            changed=True,
        )
        for number in range(64)
    )
    line = "x" * 10_240
    problem = Problem("service_failed", NASTY * 50, NASTY * 50, LONG_NAME, f"{NASTY}\n{line}\n{line}\n{NASTY}")
    deployment = a_deployment(
        version="v" + "1" * 127, environment="e" * 32, outcome=outcome, services=services, problem=problem,
        reason=NASTY * 10,
    )  # fmt: skip
    phases = tuple(replace(phase, summary=NASTY * 10, attempts=3) for phase in deployment.phases)
    return replace(deployment, phases=phases, warnings=(NASTY * 10,) * 64)


def a_plan(count: int = 3, warnings: tuple[str, ...] = ()) -> Plan:
    """Make a plan: every third service stays, is created, is recreated."""
    actions = (ServiceAction.KEEP, ServiceAction.CREATE, ServiceAction.RECREATE)
    services = tuple(
        ServicePlan(
            service=f"service-{number}",
            action=actions[number % 3],
            old_image="shop/web:v1" if actions[number % 3] is not ServiceAction.CREATE else None,
            new_image="shop/web:v2" if actions[number % 3] is not ServiceAction.KEEP else "shop/web:v1",
            changed_keys=("environment.LOG_LEVEL",),
        )
        for number in range(count)
    )
    names = tuple(service.service for service in services)
    return Plan("staging", "v2", 1, None, services, names, warnings, digest="d" * 64)


def a_release(number: int = 3, version: str = "v3", services: tuple[str, ...] = ("web", "redis")) -> Release:
    """Make a release that succeeded."""
    pins = tuple(
        ReleaseService(name, ImagePin(f"shop/{name}:{version}", "sha256:" + "a" * 64), "h") for name in services
    )
    return Release("staging", number, version, ReleaseState.SUCCEEDED, pins, "f" * 64, NOON, DORA)


def a_container(service: str = "web", *, restarts: int = 0) -> ContainerSnapshot:
    """Make a container that runs and is healthy."""
    return ContainerSnapshot(
        id="c" * 64,
        name=f"shop-{service}-1",
        service=service,
        state=ContainerState.RUNNING,
        health=HealthStatus.HEALTHY,
        image_id="sha256:" + "a" * 64,
        image_reference=f"shop/{service}:v3",
        config_hash="h",
        restart_count=restarts,
        started_at=NOON,
    )


def a_stack(*verdicts: tuple[str, Verdict, str], environment: str = "staging") -> StackHealth:
    """Make a stack's health of services, their verdicts and reasons."""
    services = tuple(
        ServiceHealth(name, verdict, reason, (a_container(name, restarts=2),), 12.34, 64 * 1024 * 1024)
        for name, verdict, reason in verdicts
    )
    worst = Verdict.UNHEALTHY if any(v is Verdict.UNHEALTHY for _n, v, _r in verdicts) else Verdict.HEALTHY
    return StackHealth(environment, worst, services, NOON)


def a_lock(deployment: Deployment) -> Lock:
    """Make the lock that a deployment holds."""
    return Lock(deployment.environment, deployment.id, DORA, "deploy v2", NOON, "BOT-1", 1)
