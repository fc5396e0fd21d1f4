"""Judge a service and a stack by what the engine shows: plain functions, without clock and without memory.

Each reason goes on where the service's name stands: `web` `fails its health check`.
"""

from collections.abc import Iterable, Mapping, Sequence

from roas.messages.message import said
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
    on_swarm: bool = False,
) -> ServiceHealth:
    """Judge one service; its worst replica decides, since each of them answers a part of its users.

    Fewer replicas than wanted is unhealthy, more is degraded (two of them side by side are a deployment under way or
    one that was left lying); a job without a container has nothing to do. `starting` is degraded: it serves nobody yet,
    but nothing is wrong. `restarts_before` are the restart counts by container id that the growth is measured from.
    What a service has `on_swarm` are tasks.
    """
    containers = tuple(snapshots)
    findings = [(judge_container(definition, one, restarts_before), one) for one in containers]
    wanted = sorted((finding for finding, _ in findings), key=_rank)[: definition.replicas]
    nothing = said("has no tasks, as it should") if on_swarm else said("has no containers, as it should")
    verdict, reason = max(wanted, key=_rank, default=(Verdict.HEALTHY, nothing))
    if definition.replicas > 1 and wanted:
        alike = sum(finding == (verdict, reason) for finding in wanted)
        reason = said("{reason} ({alike} of {replicas})", reason=reason, alike=alike, replicas=definition.replicas)
    if definition.one_shot:
        pass  # what it has done is done, in however many containers
    elif len(containers) < definition.replicas:
        verdict, reason = Verdict.UNHEALTHY, _missing(definition, len(containers), on_swarm=on_swarm)
    elif len(containers) > definition.replicas and verdict in {Verdict.HEALTHY, Verdict.UNVERIFIED}:
        verdict, reason = Verdict.DEGRADED, _too_many(definition, len(containers), on_swarm=on_swarm)
    return ServiceHealth(definition.name, verdict, reason, containers)


def judge_container(
    definition: ServiceDefinition, container: ContainerSnapshot, restarts_before: Mapping[str, int] | None = None
) -> Finding:
    """Judge one container, and return the reason."""
    match container.state:
        case ContainerState.RUNNING:
            before = (restarts_before or {}).get(container.id, container.restart_count)
            return _judge_running(definition, container, container.restart_count - before)
        case ContainerState.EXITED if definition.ends_well and container.exit_code == 0 and container.surplus_runs:
            times = container.surplus_runs
            return Verdict.DEGRADED, said("has ended with code 0, and Swarm ran it {times} times more", times=times)
        case ContainerState.EXITED if definition.ends_well and container.exit_code == 0:
            return Verdict.HEALTHY, said("has ended with code 0, as it should")
        case ContainerState.RESTARTING | ContainerState.CREATED if container.note:  # a Swarm's task, and why it waits
            return Verdict.UNHEALTHY, said("does not run yet: {note}", note=container.note)
        case ContainerState.EXITED | ContainerState.DEAD:
            return Verdict.UNHEALTHY, how_it_ended(container.exit_code, container.note, starved=container.oom_killed)
        case ContainerState.RESTARTING:
            return Verdict.UNHEALTHY, said(
                "is in a restart loop, ended{code}",
                code=_exit_text(container.exit_code, container.note, starved=container.oom_killed),
            )
        case ContainerState.CREATED:
            return Verdict.UNHEALTHY, said("was created but never started")
        case ContainerState.PAUSED:
            return Verdict.UNHEALTHY, said("is paused")
        case _:
            return Verdict.UNHEALTHY, said("is being removed")


def how_it_ended(exit_code: int | None, note: str = "", *, starved: bool) -> str:
    """Say how a container has ended; of a task of a Swarm, there is a note."""
    return said("has ended{code}", code=_exit_text(exit_code, note, starved=starved))


def reason_of(service: str, reason: str) -> str:
    """Say whose reason it is."""
    return said("{service} {reason}", service=service, reason=reason)


def _judge_running(definition: ServiceDefinition, container: ContainerSnapshot, restarts: int) -> Finding:
    times = said(
        "has restarted {restarts} time{plural} recently", restarts=restarts, plural="s" if restarts > 1 else ""
    )
    if restarts >= RESTARTS_OF_A_LOOP:
        return Verdict.UNHEALTHY, times
    match container.health:
        case _ if container.unchecked:
            return Verdict.UNKNOWN, said("cannot be checked, since a part of the engine is away")
        case HealthStatus.UNHEALTHY:
            return Verdict.UNHEALTHY, said("fails its health check")
        case HealthStatus.STARTING:
            return Verdict.DEGRADED, said("has not passed its health check yet")
        case _ if definition.one_shot:
            return Verdict.DEGRADED, said("has not ended yet")
        case _ if restarts > 0:
            return Verdict.DEGRADED, times
        case HealthStatus.HEALTHY:
            return Verdict.HEALTHY, said("passes its health check")
        case _:
            return Verdict.UNVERIFIED, said("runs, and has no health check")


def judge_stack(services: Sequence[ServiceHealth], critical: frozenset[str]) -> Finding:
    """Judge a stack: a critical service counts in full, any other can at most degrade it, unless all fail."""
    if not services:
        return Verdict.UNKNOWN, said("nothing runs here")
    weighed = [(_weigh(service, critical), reason_of(service.service, service.reason)) for service in services]
    verdict, reason = max(weighed, key=_rank)
    if all(service.verdict is Verdict.UNHEALTHY for service in services):
        return Verdict.UNHEALTHY, reason if len(services) == 1 else said("every service is unhealthy")
    if verdict is Verdict.HEALTHY:
        return verdict, said("every service is healthy")
    if verdict is Verdict.UNVERIFIED:
        names = ", ".join(service.service for service in services if service.verdict is Verdict.UNVERIFIED)
        return verdict, said("without a health check: {names}", names=names)
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


def _too_many(definition: ServiceDefinition, count: int, *, on_swarm: bool) -> str:
    if on_swarm:
        return said("has {count} tasks instead of {replicas}", count=count, replicas=definition.replicas)
    return said("has {containers} containers instead of {replicas}", containers=count, replicas=definition.replicas)


def _missing(definition: ServiceDefinition, count: int, *, on_swarm: bool) -> str:
    if count == 0:
        return said("has no task") if on_swarm else said("has no container")
    if on_swarm:
        return said("has {count} of {replicas} tasks", count=count, replicas=definition.replicas)
    return said("has {count} of {replicas} containers", count=count, replicas=definition.replicas)


def _exit_text(exit_code: int | None, note: str, *, starved: bool) -> str:
    if starved:
        return said(" because it ran out of memory")
    if exit_code is None:
        return said(": {note}", note=note) if note else ""
    return said(" with code {exit_code}", exit_code=exit_code)
