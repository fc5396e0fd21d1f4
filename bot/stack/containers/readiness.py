"""Judge whether a service that was just started is ready, wait until it is, and say why it is not, or who did that."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from functools import partial
from types import MappingProxyType

from roas.errors import RoasError, ServiceFailedError
from roas.limits import HEALTHY_AGAIN_SECONDS, TOLERATED_RESTARTS
from roas.messages.message import said
from roas.models.health import ENDED, ContainerSnapshot, ContainerState, HealthStatus
from roas.models.stack import ServiceDefinition
from roas.stack.containers.repair import is_of_others
from roas.stack.containers.watch import ContainerWatch
from roas.stack.interface import ContainerSource

# Policies under which the engine leaves an ended container as it is.
ENDS_FOR_GOOD = frozenset({"no", "", "on-failure"})
# The time of an event is not quite the one that the container has.
NOTED_WITHIN = timedelta(seconds=0.5)
FIND_OUT_WHO = said("Find out who did that, a person or a program, then deploy again.")
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
    ran = tuple(container for container in containers if not container.never_ran)
    containers = ran if len(ran) >= max(1, definition.replicas) else containers
    if len(containers) < definition.replicas:
        return ServiceReadiness(
            Readiness.WAITING,
            said(
                "{containers} of {replicas} {replicas|container exists|containers exist}",
                containers=len(containers),
                replicas=definition.replicas,
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
            return ServiceReadiness(Readiness.COMPLETED, said("it ended with code {code}", code=0), container.id)
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
            return _failed(container, said("it is {state}", state=container.state))
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
    return said("it restarted {times} {times|time|times}", times=times)


def _exit_text(container: ContainerSnapshot) -> str:
    if container.oom_killed:
        return said(" because it ran out of memory")
    return "" if container.exit_code is None else said(" with code {exit_code}", exit_code=container.exit_code)


async def wait_until_ready(
    stack: ContainerSource,
    definition: ServiceDefinition,
    watch: ContainerWatch,
    *,
    fits: Callable[[ContainerSnapshot], bool] = lambda _: True,
    only: str | None = None,
    old: frozenset[str] = frozenset(),
    without: frozenset[str] = frozenset(),
    limit: float | None = None,
    were_there: bool = False,
) -> ServiceReadiness:
    """Wait until a service is ready; only containers that are as is wanted count, which is what `fits` says.

    With `only`, no other container than that one counts. Once all are there, one that goes has failed; who has started
    them knows that they `were_there`, though nobody has looked since. The `old` ones, by id, and those that are
    suspended meanwhile, have HEALTHY_AGAIN_SECONDS to be well. It is ready `without` those for which nobody waits. What
    is not ready within the `limit` has failed. Raises ServiceFailedError with the container's failure output.
    """
    restarts_before = _restarts(watch.of_service(definition.name))
    were_there = were_there and not stack.replaces_by_itself
    judge = _Judge(stack, definition, fits, only, without, restarts_before, set(old), were_there)
    patience = HEALTHY_AGAIN_SECONDS if limit is None else min(limit, HEALTHY_AGAIN_SECONDS)
    try:
        readiness = await watch.until(partial(judge, patient=True), patience, service=definition.name)
    except TimeoutError:
        left = None if limit is None else limit - patience
        try:
            readiness = await watch.until(judge, left, service=definition.name)
        except TimeoutError:
            if left is None:
                raise
            late = next((c.id for c in watch.of_service(definition.name) if fits(c)), None)
            readiness = ServiceReadiness(Readiness.FAILED, said("it was not ready in time"), late)
    if readiness.state is Readiness.FAILED:
        raise await service_failure(stack, definition.name, readiness)
    return readiness


def _restarts(containers: tuple[ContainerSnapshot, ...]) -> Mapping[str, int]:
    return {container.id: container.restart_count for container in containers}


@dataclass(slots=True)
class _Judge:
    """Judge a service while it is waited for; None where it is to be waited for longer."""

    stack: ContainerSource
    definition: ServiceDefinition
    fits: Callable[[ContainerSnapshot], bool]
    only: str | None
    without: frozenset[str]
    restarts_before: Mapping[str, int]
    suspended: set[str]
    were_all_there: bool = False

    def __call__(self, containers: tuple[ContainerSnapshot, ...], *, patient: bool = False) -> ServiceReadiness | None:
        """Judge by what there is; who is `patient` excuses what is, or was, suspended."""
        self.suspended.update(c.id for c in containers if c.state is ContainerState.PAUSED)
        counted = tuple(c for c in containers if self.fits(c) and self.only in {None, c.id})
        own = tuple(c for c in counted if c.id not in self.without)
        fewer = replace(self.definition, replicas=self.definition.replicas - (len(counted) - len(own)))
        if self.were_all_there and len(own) < fewer.replicas:
            return removed()
        self.were_all_there = len(own) >= fewer.replicas and not self.stack.replaces_by_itself
        excused = frozenset(self.suspended if patient else ())
        readiness = judge_readiness(fewer, own, restarts_before=self.restarts_before, excused=excused)
        if readiness.stopped and not patient:  # whoever restarts it would have done so by now
            return replace(readiness, state=Readiness.FAILED)
        return None if readiness.state is Readiness.WAITING else readiness


async def service_failure(stack: ContainerSource, service: str, readiness: ServiceReadiness) -> ServiceFailedError:
    """Create the error that says why a service failed, with its last log lines and health check output."""
    report, has_output = "", False
    by_somebody = (readiness.container_id is None or readiness.removed) and not stack.replaces_by_itself
    if readiness.container_id is not None and not by_somebody:  # of that one, nothing can be read
        try:
            report = await stack.failure_output(readiness.container_id)
            has_output = not report.isspace() and len(report) > 0
        except RoasError as error:
            report = said("(its log cannot be read: {reason})", reason=error.message)
    if by_somebody or readiness.stopped:
        hint = FIND_OUT_WHO
    elif has_output:
        hint = said(
            "Read the last lines of {service} in the report, correct the release, and deploy again.", service=service
        )
    else:
        hint = said("Correct the release, and deploy again: {service} has written nothing.", service=service)
    failure = ServiceFailedError(
        said("{service} failed: {reason}.", service=service, reason=readiness.reason),
        hint=hint,
        service=service,
        report=report,
    )
    failure.container_id = readiness.container_id
    failure.by_somebody = by_somebody or readiness.stopped
    return failure


def find_disturbance(
    first: Mapping[str, ContainerSnapshot], containers: Collection[ContainerSnapshot]
) -> ServiceReadiness | None:
    """Return what somebody else did to the containers of a service since they were observed `first`, or None."""
    failed = Readiness.FAILED
    for container in containers if first else ():
        before = first.get(container.id)
        if before is None or is_of_others(container):
            return ServiceReadiness(failed, said("its container was replaced by somebody else"), removed=True)
        if container.was_stopped and container.state in ENDED:
            return ServiceReadiness(failed, said("somebody else stopped it"), container.id, stopped=True)
        if container.restart_count > before.restart_count:  # it ended by itself
            continue
        if was_restarted(before, container):
            return ServiceReadiness(failed, said("somebody else restarted it"), container.id, stopped=True)
        if container.state is ContainerState.PAUSED or _is_checked_again(before, container):
            return ServiceReadiness(failed, said("somebody else paused it"), container.id, stopped=True)
    return removed() if first.keys() - {snapshot.id for snapshot in containers} else None


def is_starting(container: ContainerSnapshot) -> bool:
    """Return whether a container runs, and waits for its first health check."""
    return container.state is ContainerState.RUNNING and container.health is HealthStatus.STARTING


def _is_checked_again(before: ContainerSnapshot, after: ContainerSnapshot) -> bool:
    """Return whether a container that was not started again waits for its first check: it was paused meanwhile."""
    return before.health is HealthStatus.HEALTHY and is_starting(after) and not after.unchecked


def was_restarted(before: ContainerSnapshot, after: ContainerSnapshot) -> bool:
    """Return whether a container was started again; the time of its event is not quite the one that is noted."""
    if before.started_at is None or after.started_at is None:
        return False
    return after.started_at - before.started_at > NOTED_WITHIN
