"""Sample a stack: what its release wants, what the engine shows, and the resulting verdicts."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from roas.errors import EngineError, EngineUnavailableError
from roas.health.probes import ProbeHistory
from roas.health.usage import ClusterUsage, Usage, UsageHistory
from roas.health.verdicts import RestartHistory, assumed_definition, judge_service, judge_stack
from roas.health.wanted_services import Definitions, WantedServices
from roas.log import get_logger
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState, ServiceHealth, StackHealth, Verdict
from roas.stack.containers.statistics import StatisticsReader
from roas.stack.stacks import Stacks

log = get_logger(__name__)
# To read what a container uses costs its engine 3 ms of a core. Of more containers than these, a reading counts for a
# while: for who looks at each event, until the slow look after the next one; for a person, as long as that is not late.
MANY_CONTAINERS = 60
COUNTS_FOR_LOOKS_SECONDS = 50.0
COUNTS_FOR_PEOPLE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    """Hold the state of a stack at one moment, the reason of its verdict, and all of its containers."""

    stack: StackHealth
    reason: str
    containers: tuple[ContainerSnapshot, ...] = ()


class StackSampler:
    """Sample stacks; remembers for each of them what shows whether a value grew."""

    def __init__(
        self,
        stacks: Stacks,
        statistics: StatisticsReader,
        wanted: WantedServices,
        probes: ProbeHistory | None = None,
        cluster: ClusterUsage | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._probes = probes or ProbeHistory()
        self._stacks = stacks
        self._statistics = statistics
        self._wanted = wanted
        self._cluster = cluster or ClusterUsage(None)
        self._restarts: dict[str, RestartHistory] = defaultdict(RestartHistory)
        self._usage: dict[str, UsageHistory] = defaultdict(UsageHistory)

    async def sample(
        self,
        environment: Environment,
        *,
        reads_usage: bool = True,
        moving: Collection[str] = (),
        checks_again: bool = False,
    ) -> Sample:
        """Look at a stack now; where the engine is unavailable, all that is known to be part of it is unknown.

        What containers use is not read of services that are `moving`: those are busy with their start. Of a large
        stack, what was read a moment ago is not read again by who `checks_again` and again.
        """
        definitions = await self.definitions(environment)
        try:
            containers = await self._stacks.of(environment).containers()
            settled = [container for container in containers if container.service not in moving] if reads_usage else []
            counts_for = COUNTS_FOR_LOOKS_SECONDS if checks_again else COUNTS_FOR_PEOPLE_SECONDS
            usage = await self._read_usage(environment, settled, counts_for)
        except EngineUnavailableError as error:
            services = tuple(ServiceHealth(name, Verdict.UNKNOWN, error.message) for name in sorted(definitions))
            fault = error.whole
            stack = StackHealth(environment.name, Verdict.UNKNOWN, services, datetime.now(UTC), fault)
            return Sample(stack, error.message)
        services = self._judge(environment, definitions, containers, usage)
        verdict, reason = judge_stack(services, _critical(environment, definitions))
        manager = self._stacks.of(environment).answering
        health = StackHealth(environment.name, verdict, services, datetime.now(UTC), manager=manager)
        return Sample(health, reason, containers)

    async def definitions(self, environment: Environment) -> Definitions:
        """Return what each service should be; what was last known where the releases cannot be read."""
        return await self._wanted.read(environment.name)

    async def _read_usage(
        self, environment: Environment, containers: Sequence[ContainerSnapshot], counts_for_seconds: float
    ) -> Mapping[str, Usage]:
        running = [_engine_id(container) for container in containers if container.state is ContainerState.RUNNING]
        history = self._usage[environment.name]
        is_large = len(running) > MANY_CONTAINERS
        known = history.known_since(self._clock() - counts_for_seconds, running) if is_large else frozenset()
        try:
            readings = await self._statistics.read(
                environment, [container_id for container_id in running if container_id not in known]
            )
        except EngineUnavailableError:
            raise
        except EngineError as error:  # figures that are missing make no verdict wrong
            log.warning("statistics cannot be read", environment=environment.name, error=error.message)
            return {}
        usage = history.take(readings, known)
        on_nodes = {_engine_id(container) for container in containers if container.node}
        return {**usage, **await self._cluster.read(on_nodes.intersection(running).difference(usage))}

    def _judge(
        self,
        environment: Environment,
        definitions: Definitions,
        containers: Sequence[ContainerSnapshot],
        usage: Mapping[str, Usage],
    ) -> tuple[ServiceHealth, ...]:
        before = self._restarts[environment.name].take(containers)
        by_service: dict[str, list[ContainerSnapshot]] = defaultdict(list)
        for container in containers:
            by_service[container.service].append(container)
        judged = []
        for name in sorted(set(definitions) | set(by_service)):
            own = by_service[name]
            definition = definitions.get(name) or assumed_definition(name, own)
            if definition.on_each_node and self._stacks.of(environment).replaces_by_itself:
                definition = replace(definition, replicas=max(1, len(own)))
            health = judge_service(definition, own, restarts_before=before)
            judged.append(_with_usage(self._probes.judge(environment.name, health, definition), usage))
        return tuple(judged)


def _critical(environment: Environment, definitions: Definitions) -> frozenset[str]:
    return environment.critical_services | {name for name, definition in definitions.items() if definition.critical}


def _with_usage(health: ServiceHealth, usage: Mapping[str, Usage]) -> ServiceHealth:
    running = [container for container in health.containers if container.state is ContainerState.RUNNING]
    own = [usage[_engine_id(container)] for container in health.containers if _engine_id(container) in usage]
    percents = [reading.cpu_percent for reading in own if reading.cpu_percent is not None]
    return replace(
        health,
        cpu_percent=sum(percents) if percents and len(percents) == len(own) else None,
        memory_bytes=sum(reading.memory_bytes for reading in own) if own else None,
        unmeasured=sum(bool(container.node) and _engine_id(container) not in usage for container in running),
    )


def _engine_id(container: ContainerSnapshot) -> str:
    """Return what an engine calls it: a Swarm's task has an id of its own, and its container is on one node only."""
    return container.container_id or container.id
