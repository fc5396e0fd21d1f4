"""Judge whether a service that was just started is ready, not ready yet, or failed."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from roas.messages.message import said
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.stack import ServiceDefinition

# A service may need a start or two to find what it depends on; more than this is a loop.
TOLERATED_RESTARTS = 2
# Policies under which the engine leaves an ended container as it is.
ENDS_FOR_GOOD = frozenset({"no", "", "on-failure"})
NOT_MEANT_TO_END = said("and nothing says that it may (a service that does gets `x-deploy: {one_shot: true}`)")


class Readiness(StrEnum):
    """How far a service is from being ready."""

    WAITING = "waiting"
    HEALTHY = "healthy"
    UNVERIFIED = "unverified"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ServiceReadiness:
    """Hold the verdict, its reason, and the container that a failure is about.

    Somebody may have `removed` it, or `stopped` it and perhaps started it again.
    """

    state: Readiness
    reason: str = ""
    container_id: str | None = None
    removed: bool = False
    stopped: bool = False


def judge_readiness(
    definition: ServiceDefinition,
    containers: tuple[ContainerSnapshot, ...],
    *,
    tolerated_restarts: int = TOLERATED_RESTARTS,
    restarts_before: Mapping[str, int] = MappingProxyType({}),
    excused: frozenset[str] = frozenset(),
) -> ServiceReadiness:
    """Judge a service by its containers; the worst container decides.

    The engine counts restarts over a container's whole life: `restarts_before` is the number of earlier ones. Of those
    that are `excused`, by id, a failing health check is waited for. What somebody left that never ran is no matter,
    where there are enough without it.
    """
    ran = tuple(one for one in containers if not one.never_ran)
    containers = ran if len(ran) >= max(1, definition.replicas) else containers
    if len(containers) < definition.replicas:
        return ServiceReadiness(
            Readiness.WAITING,
            said(
                "{containers} of {replicas} containers exist", containers=len(containers), replicas=definition.replicas
            ),
        )
    verdicts = [
        _judge(definition, container, tolerated_restarts + restarts_before.get(container.id, 0), excused)
        for container in containers
    ]
    order = (Readiness.FAILED, Readiness.WAITING, Readiness.UNVERIFIED, Readiness.HEALTHY, Readiness.COMPLETED)
    none = ServiceReadiness(Readiness.HEALTHY, said("no replicas are expected"))
    return min(verdicts, key=lambda verdict: order.index(verdict.state), default=none)


def _judge(
    definition: ServiceDefinition, container: ContainerSnapshot, tolerated_restarts: int, excused: frozenset[str]
) -> ServiceReadiness:
    match container.state:
        case ContainerState.RUNNING if container.restart_count > tolerated_restarts:
            return _failed(container, _restarted(container))
        case ContainerState.RUNNING:
            return _judge_running(definition, container, excused)
        case ContainerState.RESTARTING if container.restart_count > tolerated_restarts:
            return _failed(container, said("it is in a restart loop{code}", code=_exit_text(container)))
        case ContainerState.EXITED if container.exit_code == 0 and definition.ends_well:
            return ServiceReadiness(Readiness.COMPLETED, said("it ended with code 0"), container.id)
        case ContainerState.EXITED if container.was_stopped:
            ended = container.restart_policy in ENDS_FOR_GOOD or definition.one_shot
            state = Readiness.FAILED if ended else Readiness.WAITING
            return ServiceReadiness(state, said("somebody else stopped it"), container.id, stopped=True)
        case ContainerState.EXITED if container.exit_code == 0 and container.restart_policy in ENDS_FOR_GOOD:
            return _failed(container, said("it ended with code 0, {reason}", reason=NOT_MEANT_TO_END))
        case ContainerState.EXITED if container.restart_policy in ENDS_FOR_GOOD or definition.one_shot:
            return _failed(container, said("it ended{code}", code=_exit_text(container)))
        case ContainerState.REMOVING:
            return removed(container.id)
        case ContainerState.DEAD:
            return _failed(container, said("its container is {state}", state=container.state))
        case _:
            return ServiceReadiness(Readiness.WAITING, said("it is {state}", state=container.state), container.id)


def _judge_running(
    definition: ServiceDefinition, container: ContainerSnapshot, excused: frozenset[str]
) -> ServiceReadiness:
    match container.health:
        case HealthStatus.UNHEALTHY if container.id in excused:
            return ServiceReadiness(Readiness.WAITING, said("its health check has not passed again"), container.id)
        case HealthStatus.UNHEALTHY:
            return _failed(container, said("its health check fails"))
        case _ if container.unchecked:
            reason = said("its health check cannot be run: a part of the engine is away")
            return ServiceReadiness(Readiness.WAITING, reason, container.id)
        case HealthStatus.STARTING:
            return ServiceReadiness(Readiness.WAITING, said("its health check has not passed yet"), container.id)
        case _ if definition.one_shot:
            return ServiceReadiness(Readiness.WAITING, said("it has not ended yet"), container.id)
        case HealthStatus.HEALTHY:
            return ServiceReadiness(Readiness.HEALTHY, said("its health check passes"), container.id)
        case _:
            return ServiceReadiness(Readiness.UNVERIFIED, said("it runs, and has no health check"), container.id)


def removed(container_id: str | None = None) -> ServiceReadiness:
    """Return the verdict on a container that is gone, or going: no deployment removes what it waits for."""
    reason = said("its container was removed by somebody else")
    return ServiceReadiness(Readiness.FAILED, reason, container_id, removed=True)


def _failed(container: ContainerSnapshot, reason: str) -> ServiceReadiness:
    return ServiceReadiness(Readiness.FAILED, reason, container.id)


def _restarted(container: ContainerSnapshot) -> str:
    times = container.restart_count
    if container.oom_killed:
        return said("it ran out of memory (OOM-killed), and was restarted")
    return said("it restarted once") if times == 1 else said("it restarted {times} times", times=times)


def _exit_text(container: ContainerSnapshot) -> str:
    if container.oom_killed:
        return said(" because it ran out of memory (OOM-killed)")
    return "" if container.exit_code is None else said(" with code {exit_code}", exit_code=container.exit_code)
