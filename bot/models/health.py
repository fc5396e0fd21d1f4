"""Describe how a service and its containers are."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Verdict(StrEnum):
    """How a service or a stack is; `unverified` runs, but has no health check that could say more."""

    HEALTHY = "healthy"
    UNVERIFIED = "unverified"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


WORST_FIRST = (Verdict.UNHEALTHY, Verdict.DEGRADED, Verdict.UNKNOWN, Verdict.UNVERIFIED, Verdict.HEALTHY)


class Rest(StrEnum):
    """How a service is that shall not run: neither well nor ill."""

    STOPPED = "stopped"


class ContainerState(StrEnum):
    """The states that the Docker Engine knows."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


# Its process runs, or the engine keeps restarting it.
# Exit codes of a normal end, Ctrl-C, SIGKILL and SIGTERM: how containers end that are stopped on request.
ORDERLY_CODES = frozenset({0, 130, 137, 143})
AT_WORK = frozenset({ContainerState.RUNNING, ContainerState.RESTARTING})
# It is running, or paused.
ALIVE = AT_WORK | {ContainerState.PAUSED}
# Its process is gone, and nobody brings it back.
ENDED = frozenset({ContainerState.EXITED, ContainerState.DEAD})


class HealthStatus(StrEnum):
    """What a container's own health check says; `none` where it has none."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class ContainerSnapshot:
    """Record how one container of a stack is, read from the engine at one moment.

    Of a Swarm's task, `node` is where it is, `container_id` what the engine there calls its container, and `note` what
    Swarm says of one that does not run, and `surplus_runs` how often Swarm ran a job more often than it was asked to.
    `left_on` are nodes that are down, on which earlier tasks of its service may still run, with the images `left_as`.
    """

    id: str
    name: str
    service: str
    state: ContainerState
    health: HealthStatus
    image_id: str
    image_reference: str
    config_hash: str
    restart_count: int = 0
    exit_code: int | None = None
    oom_killed: bool = False
    started_at: datetime | None = None
    number: int = 1
    restart_policy: str = "no"
    project: str = ""
    unnamed_volumes: bool = False  # what it has there is lost to others with it
    stop_signal: int | None = None  # where it is not the usual one
    shares_with: tuple[str, ...] = ()  # the ids of containers whose namespaces it joins
    endpoints: tuple[str, ...] = ()  # its places in networks, where the engine lists it: others after each start
    node: str = ""
    container_id: str = ""
    note: str = ""
    surplus_runs: int = 0
    left_on: tuple[str, ...] = ()
    left_as: tuple[str, ...] = ()
    created_at: datetime | None = None
    of_release: bool = False  # made from the model of a release, by this bot or `roas compose`
    was_stopped: bool = False  # the engine was asked to end it, as far as whoever follows it saw
    unchecked: bool = False  # its health check could not be run: a part of the engine is away, or something ran out

    @property
    def called(self) -> str:
        """Return its name, and on a Swarm its node, as `docker service logs` has it."""
        return f"{self.name}@{self.node}" if self.node else self.name

    @property
    def never_ran(self) -> bool:
        """Return whether it was created and never started."""
        return self.state is ContainerState.CREATED and self.started_at is None


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """Hold the verdict on one service and its reason.

    Of `unmeasured` tasks of a Swarm nobody said what they use, and CPU and memory are those of the others. The `note`
    is what people should know beside the verdict. One that is `stopped`, by a person through the bot, is well: nothing
    is wrong.
    """

    service: str
    verdict: Verdict
    reason: str
    containers: tuple[ContainerSnapshot, ...] = ()
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    unmeasured: int = 0
    note: str = ""
    stopped: bool = False

    @property
    def state(self) -> Verdict | Rest:
        """Return what people read: the verdict, unless nothing is there to be judged."""
        return Rest.STOPPED if self.stopped and self.verdict is Verdict.HEALTHY else self.verdict

    @property
    def nodes(self) -> tuple[str, ...]:
        """Return the names of the Swarm's nodes that it is on; none on one machine."""
        return tuple(sorted({container.node for container in self.containers if container.node}))

    @property
    def whole_usage(self) -> tuple[float | None, int | None]:
        """Return CPU and memory of all that runs of it, which is not known where a task was not measured."""
        return (None, None) if self.unmeasured else (self.cpu_percent, self.memory_bytes)

    @property
    def restart_count(self) -> int:
        """Return how often its containers were restarted."""
        return sum(container.restart_count for container in self.containers)


@dataclass(frozen=True, slots=True)
class ServiceDrift:
    """Say how what runs of a service differs from the release: somebody changed it by hand, or a failed deployment did.

    `keys` are those of its configuration that differ, such as `ports` or `environment: GREETING`; never a value.
    `reason` is all `reasons` in one text, for a command line of the release before. `left_by` is the deployment.
    """

    service: str
    reason: str
    keys: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    left_by: str = ""


@dataclass(frozen=True, slots=True)
class StackHealth:
    """Hold the verdict on a whole stack, and on each of its services.

    `fault` says why nothing is known: without it, a stack of no services is one of which nothing runs. `drift` lists
    what is not as the release has it, `lost` the kept releases that cannot be restored, since their images are gone.
    Where a Swarm has several addresses, `manager` is the one that answers.
    """

    environment: str
    verdict: Verdict
    services: tuple[ServiceHealth, ...]
    taken_at: datetime
    fault: str = ""
    drift: tuple[ServiceDrift, ...] = ()
    lost: tuple[str, ...] = ()
    remembered: bool = False
    manager: str = ""


@dataclass(frozen=True, slots=True)
class ServicePoint:
    """Describe a service during one step, `age_seconds` ago; `cpu_percent` counts 100 for a whole processor."""

    age_seconds: float
    verdict: Verdict
    cpu_percent: float | None
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class ServiceSeries:
    """Hold the points of one service, oldest first; gaps have no point."""

    environment: str
    service: str
    points: tuple[ServicePoint, ...]
