"""Judge a service and a stack by what the engine shows: plain functions, without clock and without memory.

Each reason goes on where the service's name stands: `web` `fails its health check`.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from roas.messages.message import said
from roas.models.health import AT_WORK, ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, Verdict
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
    one that was left lying); a job without a container has nothing to do. `starting` is degraded: it serves nobody yet,
    but nothing is wrong. `restarts_before` are the restart counts by container id that the growth is measured from.
    """
    containers = tuple(snapshots)
    if definition.stopped and not any(container.state in AT_WORK for container in containers):
        return ServiceHealth(definition.name, Verdict.HEALTHY, definition.stopped, containers, stopped=True)
    findings = [(judge_container(definition, container, restarts_before), container) for container in containers]
    wanted = sorted((finding for finding, _ in findings), key=_rank)[: definition.replicas]
    nothing = said("has no containers, as it should")
    verdict, reason = max(wanted, key=_rank, default=(Verdict.HEALTHY, nothing))
    if definition.replicas > 1 and wanted:
        alike = sum(finding == (verdict, reason) for finding in wanted)
        reason = said("{reason} ({alike} of {replicas})", reason=reason, alike=alike, replicas=definition.replicas)
    if definition.one_shot:
        pass  # what it has done is done, in however many containers
    elif len(containers) < definition.replicas:
        verdict, reason = Verdict.UNHEALTHY, _missing(definition, len(containers))
    elif len(containers) > definition.replicas and verdict in {Verdict.HEALTHY, Verdict.UNVERIFIED}:
        verdict, reason = (
            Verdict.DEGRADED,
            said(
                "has {containers} {containers|container|containers} instead of {replicas}",
                containers=len(containers),
                replicas=definition.replicas,
            ),
        )
    return ServiceHealth(definition.name, verdict, reason, containers, note=definition.scaled)


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
            return Verdict.DEGRADED, said(
                "has ended with code 0, and Swarm ran it {times} more {times|time|times}", times=times
            )
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
    times = said("has restarted {restarts} {restarts|time|times} recently", restarts=restarts)
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
    newest = max(snapshots, key=lambda container: container.number)
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
        return said("has no container")
    return said("has {count} of {replicas} {replicas|container|containers}", count=count, replicas=definition.replicas)


def _exit_text(exit_code: int | None, note: str, *, starved: bool) -> str:
    if starved:
        return said(" because it ran out of memory")
    if exit_code is None:
        return said(": {note}", note=note) if note else ""
    return said(" with code {exit_code}", exit_code=exit_code)


Clock = Callable[[], float]
WELL = frozenset({Verdict.HEALTHY, Verdict.UNVERIFIED})


@dataclass(frozen=True, slots=True)
class HysteresisRules:
    """Set how long a new verdict must hold before it is accepted.

    Getting worse counts after `worse_after_seconds`, for who has just begun to look, too; what was created and not
    started after `unstarted_seconds`: whoever created it starts it, perhaps once something else is well. Getting better
    counts at once, unless the verdict has become worse `flaps` times within `flap_window_seconds`: then only after
    `better_after_seconds`.
    """

    worse_after_seconds: float = 2.0
    unstarted_seconds: float = 30.0
    better_after_seconds: float = 30.0
    flaps: int = 2
    flap_window_seconds: float = 300.0


class SteadyVerdict:
    """Hold the last accepted verdict, and the pending one."""

    def __init__(self, rules: HysteresisRules, clock: Clock = time.monotonic) -> None:
        self.current = Verdict.UNKNOWN
        self._rules = rules
        self._clock = clock
        self._candidate: Verdict | None = None
        self._since = 0.0
        self._is_unstarted = False
        self._worsened: deque[float] = deque()

    def offer(self, verdict: Verdict, *, is_unstarted: bool = False) -> bool:
        """Record what was just seen; returns whether the accepted verdict changed by it."""
        self._is_unstarted = is_unstarted
        if verdict is self.current:
            self._candidate = None
            return False
        now = self._clock()
        if self._candidate is None or self._is_worse(self._candidate) is not self._is_worse(verdict):
            self._since = now
        self._candidate = verdict
        if self._remaining(now) > 0:
            return False
        if self._is_worse(verdict) and self.current is not Verdict.UNKNOWN:
            self._worsened.append(now)
        self.current, self._candidate = verdict, None
        return True

    def take(self, verdict: Verdict) -> bool:
        """Accept what was seen at once and forget past flaps: a deployment changes it; returns whether it changed."""
        changed = verdict is not self.current
        self.current, self._candidate = verdict, None
        self._worsened.clear()
        return changed

    def due_in(self) -> float | None:
        """Return the seconds after which what was seen last would be believed; None where nothing is pending."""
        return None if self._candidate is None else max(0.0, self._remaining(self._clock()))

    def _remaining(self, now: float) -> float:
        return self._since + self._hold_seconds(now) - now

    def _hold_seconds(self, now: float) -> float:
        if self.current is Verdict.UNKNOWN and self._candidate is not Verdict.UNHEALTHY:
            return 0.0
        if {self.current, self._candidate} <= WELL:
            return 0.0
        if self._candidate is not None and self._is_worse(self._candidate):
            return self._rules.unstarted_seconds if self._is_unstarted else self._rules.worse_after_seconds
        while self._worsened and now - self._worsened[0] > self._rules.flap_window_seconds:
            self._worsened.popleft()
        return self._rules.better_after_seconds if len(self._worsened) >= self._rules.flaps else 0.0

    def _is_worse(self, verdict: Verdict) -> bool:
        """Not knowing counts as worse than anything that was known."""
        return verdict is Verdict.UNKNOWN or RANK[verdict] > RANK[self.current]


WINDOW_SECONDS = 300.0


class RestartHistory:
    """Keep the restart counts of the last minutes, by container."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def take(self, containers: Collection[ContainerSnapshot]) -> Mapping[str, int]:
        """Record the current counts, and return those at the beginning of the window by container id.

        A container that is seen for the first time counts from there: what it did before is not known. A Swarm's task
        takes the place of the one before, and that one's history.
        """
        now = self._clock()
        places = {container.id: _place(container) for container in containers}
        counts = {_place(container): container.restart_count for container in containers}
        self._seen = {key: self._seen.get(key, deque()) for key in counts}
        for value, count in counts.items():
            seen = self._seen[value]
            if not seen or seen[-1][1] != count:
                seen.append((now, count))
            while len(seen) > 1 and now - seen[1][0] > WINDOW_SECONDS:
                seen.popleft()
        return {key: self._seen[place][0][1] for key, place in places.items()}


def _place(container: ContainerSnapshot) -> str:
    """Return what stays when a Swarm starts another task for one that ended; on one machine, the container's id."""
    return container.name.removesuffix(f".{container.id}") if container.name.endswith(container.id) else container.id
