"""Judge a service and a stack by what the engine shows: plain functions, without clock and without memory."""

from collections.abc import Iterable, Mapping, Sequence

from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, Verdict
from roas.models.stack import ServiceDefinition

# Restarts since a container was last healthy: a few are tolerated, this many are a restart loop.
RESTARTS_OF_A_LOOP = 3
RANK = {
    Verdict.HEALTHY: 0,
    Verdict.UNVERIFIED: 1,
    Verdict.DEGRADED: 2,
    Verdict.UNKNOWN: 3,
    Verdict.UNHEALTHY: 4,
}

Finding = tuple[Verdict, str]


def judge_service(
    definition: ServiceDefinition,
    snapshots: Iterable[ContainerSnapshot],
    *,
    restarts_before: Mapping[str, int] | None = None,
) -> ServiceHealth:
    """Judge one service; its worst replica decides, since each of them answers a part of its users.

    Fewer replicas than wanted is unhealthy, more is degraded (two of them side by side are a deployment under way or
    one that was left lying). `starting` is degraded: it serves nobody yet, but nothing is wrong. `restarts_before` are
    the restart counts by container id that the growth is measured from.
    """
    containers = tuple(snapshots)
    findings = [(judge_container(definition, one, restarts_before), one) for one in containers]
    wanted = sorted((finding for finding, _ in findings), key=_rank)[: definition.replicas]
    verdict, reason = max(wanted, key=_rank, default=(Verdict.HEALTHY, "no replicas are expected"))
    if definition.replicas > 1 and wanted:
        alike = sum(finding == (verdict, reason) for finding in wanted)
        reason = f"{alike} of {definition.replicas}: {reason}"
    if len(containers) < definition.replicas:
        verdict, reason = Verdict.UNHEALTHY, _missing(definition, len(containers))
    elif len(containers) > definition.replicas and verdict in {Verdict.HEALTHY, Verdict.UNVERIFIED}:
        verdict, reason = Verdict.DEGRADED, f"{len(containers)} containers, {definition.replicas} expected"
    return ServiceHealth(definition.name, verdict, reason, containers)


def judge_container(
    definition: ServiceDefinition, container: ContainerSnapshot, restarts_before: Mapping[str, int] | None = None
) -> Finding:
    """Judge one container, and return the reason."""
    match container.state:
        case ContainerState.RUNNING:
            before = (restarts_before or {}).get(container.id, container.restart_count)
            return _judge_running(definition, container, container.restart_count - before)
        case ContainerState.EXITED if definition.ends_well and container.exit_code == 0:
            return Verdict.HEALTHY, "has ended with code 0, as it should"
        case ContainerState.EXITED | ContainerState.DEAD:
            return Verdict.UNHEALTHY, f"has ended{_exit_text(container)}"
        case ContainerState.RESTARTING:
            return Verdict.UNHEALTHY, f"is in a restart loop, ended{_exit_text(container)}"
        case ContainerState.CREATED:
            return Verdict.UNHEALTHY, "was created but never started"
        case ContainerState.PAUSED:
            return Verdict.UNHEALTHY, "is paused"
        case _:
            return Verdict.UNHEALTHY, "is being removed"


def _judge_running(definition: ServiceDefinition, container: ContainerSnapshot, restarts: int) -> Finding:
    times = f"has restarted {restarts} time{'s' if restarts > 1 else ''} recently"
    if restarts >= RESTARTS_OF_A_LOOP:
        return Verdict.UNHEALTHY, times
    match container.health:
        case HealthStatus.UNHEALTHY:
            return Verdict.UNHEALTHY, "its health check fails"
        case HealthStatus.STARTING:
            return Verdict.DEGRADED, "its health check has not passed yet"
        case _ if definition.one_shot:
            return Verdict.DEGRADED, "has not ended yet"
        case _ if restarts > 0:
            return Verdict.DEGRADED, times
        case HealthStatus.HEALTHY:
            return Verdict.HEALTHY, "its health check passes"
        case _:
            return Verdict.UNVERIFIED, "runs, and has no health check"


def judge_stack(services: Sequence[ServiceHealth], critical: frozenset[str]) -> Finding:
    """Judge a stack: a critical service counts in full, any other can at most degrade it."""
    if not services:
        return Verdict.UNKNOWN, "nothing runs here"
    weighed = [(_weigh(service, critical), f"{service.service} {service.reason}") for service in services]
    verdict, reason = max(weighed, key=_rank)
    if verdict is Verdict.HEALTHY:
        return verdict, "every service is healthy"
    if verdict is Verdict.UNVERIFIED:
        names = ", ".join(service.service for service in services if service.verdict is Verdict.UNVERIFIED)
        return verdict, f"without a health check: {names}"
    return verdict, reason


def assumed_definition(service: str, snapshots: Sequence[ContainerSnapshot]) -> ServiceDefinition:
    """Guess the intended state of a service from its containers, where no release of ours describes it."""
    newest = max(snapshots, key=lambda one: one.number)
    ends = newest.state is ContainerState.EXITED and newest.exit_code == 0
    return ServiceDefinition(
        name=service,
        image=newest.image_reference,
        definition_hash=newest.config_hash,
        replicas=len(snapshots),
        has_health_check=newest.health is not HealthStatus.NONE,
        one_shot=ends and newest.restart_policy in {"no", ""},
    )


def _weigh(service: ServiceHealth, critical: frozenset[str]) -> Verdict:
    if service.service in critical or RANK[service.verdict] <= RANK[Verdict.DEGRADED]:
        return service.verdict
    return Verdict.DEGRADED


def _rank(finding: Finding) -> int:
    return RANK[finding[0]]


def _missing(definition: ServiceDefinition, count: int) -> str:
    if count == 0:
        return "has no container"
    return f"has {count} of {definition.replicas} containers"


def _exit_text(container: ContainerSnapshot) -> str:
    if container.oom_killed:
        return " because it ran out of memory"
    return "" if container.exit_code is None else f" with code {container.exit_code}"
