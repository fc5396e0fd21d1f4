"""Sample the services of the environments: once on request, or continuously where they are watched."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from roas.concurrency import end_tasks
from roas.errors import RoasError
from roas.events import EventBus, Subscription
from roas.health.coordinator import HealthCoordinator
from roas.health.drift_finder import CHANGING, DriftFinder
from roas.health.probes import EVERY_SECONDS, NetworkProber, ProbeHistory, ProbeLoop
from roas.health.sampler import StackSampler
from roas.health.stack_watch import RECONCILE_SECONDS, StackWatch
from roas.health.usage import ClusterUsage
from roas.health.verdicts import RANK
from roas.health.wanted_services import Definitions, LostReleases, WantedServices
from roas.log import get_logger
from roas.metrics.bot_metrics import Metrics
from roas.metrics.prometheus import monitoring_warnings
from roas.models.deployment import Scale, Stop
from roas.models.environment import Environment
from roas.models.events import HealthChecked, HealthCheckRequested, MonitoringRequested
from roas.models.health import (
    ContainerSnapshot,
    ContainerState,
    HealthStatus,
    ServiceHealth,
    ServicePoint,
    ServiceSeries,
    StackHealth,
    Verdict,
)
from roas.stack.containers.statistics import StatisticsReader
from roas.stack.interface import ContainerEvent
from roas.stack.stacks import Stacks
from roas.state.deployments.locks import ServiceMarks
from roas.state.deployments.reader import DeploymentReader
from roas.state.deployments.releases import Releases
from roas.state.seen_stacks import SeenStacks

log = get_logger(__name__)

SPAN_SECONDS = 3600.0
STEP_SECONDS = 30.0
STEPS = int(SPAN_SECONDS / STEP_SECONDS)
# A stack of more services than this keeps those that were seen last.
MOST_SERVICES = 500

Number = TypeVar("Number", int, float)


@dataclass(slots=True)
class _Step:
    """Hold the worst and the highest values seen within one step, or the present ones."""

    number: int
    verdict: Verdict
    cpu_percent: float | None
    memory_bytes: int | None

    def add(self, health: ServiceHealth, verdict: Verdict) -> None:
        """Keep the worst verdict and the largest figures of the step."""
        self.verdict = max(self.verdict, verdict, key=RANK.__getitem__)
        cpu_percent, memory_bytes = health.whole_usage
        self.cpu_percent = _larger(self.cpu_percent, cpu_percent)
        self.memory_bytes = _larger(self.memory_bytes, memory_bytes)


class LastHour:
    """Record stacks as they are seen, and return the history of each of their services; times are monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._steps: OrderedDict[tuple[str, str], deque[_Step]] = OrderedDict()
        self._present: dict[tuple[str, str], _Step] = {}

    def take(self, stack: StackHealth, moving: Set[str] = frozenset()) -> None:
        """Record the current state of a stack; a short fault within a step is kept, not averaged away.

        `moving` are the services that a deployment is changing: that their containers come and go is no trouble.
        """
        number = int(self._clock() // STEP_SECONDS)
        for health in stack.services:
            key = (stack.environment, health.service)
            verdict = _while_moving(health) if health.service in moving else health.verdict
            steps = self._steps.setdefault(key, deque(maxlen=STEPS))
            if steps and steps[-1].number == number:
                steps[-1].add(health, verdict)
            else:
                steps.append(_step(number, health, verdict))
            self._present[key] = _step(number, health, verdict)
            self._steps.move_to_end(key)
        self._drop_old(number)

    def add(self, stack: StackHealth) -> None:
        """Make the present what was just shown to a person, in addition to what is recorded anyway."""
        number = int(self._clock() // STEP_SECONDS)
        seen = {(stack.environment, health.service): health for health in stack.services}
        if stack.fault:  # nothing is known of the others either
            unseen = (key for key in self._steps if key[0] == stack.environment and key not in seen)
            seen |= {key: ServiceHealth(key[1], Verdict.UNKNOWN, stack.fault) for key in unseen}
        for key, health in seen.items():
            if key in self._steps:
                self._present[key] = _step(number, health, health.verdict)

    def of(self, environment: str) -> tuple[ServiceSeries, ...]:
        """Return the last hour of an environment's services, in the order of their names.

        A step that is over shows the worst and the most of it, the one under way how it is at present.
        """
        now = self._clock()
        number = int(now // STEP_SECONDS)
        series = []
        for key in sorted(key for key in self._steps if key[0] == environment):
            present = self._present[key]
            steps = [step for step in self._steps[key] if step.number != number and _is_within(step, now)]
            steps += [present] if present.number == number else []
            if steps:
                series.append(ServiceSeries(*key, tuple(_point(step, now) for step in steps)))
        return tuple(series)

    def _drop_old(self, number: int) -> None:
        """Forget services that have been gone for an hour, and the oldest beyond the bound."""
        while self._steps:
            oldest = next(iter(self._steps))
            if len(self._steps) <= MOST_SERVICES and number - self._steps[oldest][-1].number <= STEPS:
                return
            del self._steps[oldest], self._present[oldest]


def _step(number: int, health: ServiceHealth, verdict: Verdict) -> _Step:
    return _Step(number, verdict, *health.whole_usage)


def _while_moving(health: ServiceHealth) -> Verdict:
    """Count a service under change as unhealthy only where a container that runs fails; else it just is not there."""
    if health.verdict is not Verdict.UNHEALTHY or any(_fails(container) for container in health.containers):
        return health.verdict
    return Verdict.DEGRADED


def _fails(container: ContainerSnapshot) -> bool:
    running = container.state is ContainerState.RUNNING
    return container.state is ContainerState.RESTARTING or (running and container.health is HealthStatus.UNHEALTHY)


def _larger(left: Number | None, right: Number | None) -> Number | None:
    known = [value for value in (left, right) if value is not None]
    return max(known) if known else None


def _is_within(step: _Step, now: float) -> bool:
    return now - step.number * STEP_SECONDS <= SPAN_SECONDS


def _point(step: _Step, now: float) -> ServicePoint:
    age = max(0.0, now - (step.number + 1) * STEP_SECONDS)
    return ServicePoint(age, step.verdict, step.cpu_percent, step.memory_bytes)


# How old what is on the disk may be, where nothing but the time has changed.
KEPT_SECONDS = 30.0


class LastKnown:
    """Keep the last sight of stacks of which nothing can be read without a quorum, here and on the disk."""

    def __init__(self, seen: SeenStacks | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._seen = seen
        self._clock = clock
        self._known: dict[str, StackHealth] = {}
        self._kept: dict[str, tuple[object, float]] = {}

    async def remember(self, environment: Environment, stack: StackHealth) -> None:
        """Keep a sight of a stack."""
        self._known[environment.name] = stack
        shown = [(service.service, service.verdict, service.reason, service.nodes) for service in stack.services]
        before, at = self._kept.get(environment.name, (None, 0.0))
        if self._seen is not None and (shown != before or self._clock() - at >= KEPT_SECONDS):
            self._kept[environment.name] = shown, self._clock()
            await self._seen.save(stack)

    async def recall(self, environment: Environment) -> StackHealth | None:
        """Return the last sight of a stack; None where there is none."""
        known = self._known.get(environment.name)
        return known if known is not None or self._seen is None else await self._seen.load(environment.name)


@dataclass(frozen=True, slots=True)
class Observation:
    """Record when a look at a stack began (monotonic seconds), and which services a deployment was changing then."""

    begun: float
    owned: frozenset[str] = frozenset()


class StackObserver(Protocol):
    """Receive the engine's container events immediately, and the result of every look at a stack."""

    async def container_event(self, environment: Environment, event: ContainerEvent, definitions: Definitions) -> None:
        """Process an event."""
        ...

    async def owned(self, environment: Environment) -> frozenset[str]:
        """Return the services that a deployment is changing right now."""
        ...

    async def observed(
        self, environment: Environment, stack: StackHealth, definitions: Definitions, observation: Observation
    ) -> None:
        """Process a stack with its stable verdicts."""
        ...


@dataclass(frozen=True, slots=True)
class StackSources:
    """Hold where a look at a stack comes from; what is None is not asked."""

    stacks: Stacks
    statistics: StatisticsReader
    releases: Releases
    holdings: DeploymentReader
    prober: NetworkProber | None = None
    drift: DriftFinder | None = None
    lost: LostReleases | None = None
    seen: SeenStacks | None = None
    stops: ServiceMarks[Stop] | None = None
    scales: ServiceMarks[Scale] | None = None


class MonitoringCollector:
    """Sample stacks, and watch those that are asked for until it is closed."""

    def __init__(
        self,
        sources: StackSources,
        bus: EventBus,
        health: HealthCoordinator,
        environments: Mapping[str, Environment],
        *,
        metrics: Metrics | None = None,
        prometheus_url: str | None = None,
        reconcile_seconds: float = RECONCILE_SECONDS,
    ) -> None:
        self._stacks = sources.stacks
        self._drift = sources.drift
        self._lost = sources.lost
        self._prober = sources.prober
        self._probes = ProbeHistory()
        self._releases = sources.releases
        wanted = WantedServices(sources.stacks, sources.releases, sources.holdings, sources.stops, sources.scales)
        cluster = ClusterUsage(prometheus_url)
        self._sampler = StackSampler(sources.stacks, sources.statistics, wanted, self._probes, cluster)
        self._bus = bus
        self._health = health
        self._environments = environments
        self._metrics = metrics
        self._last_hour = LastHour()
        self._last_known = LastKnown(sources.seen)
        self._prometheus_url = prometheus_url
        self._reconcile_seconds = reconcile_seconds
        self._watches: dict[str, tuple[asyncio.Task[None], ...]] = {}
        self._wakes: dict[str, Callable[[], None]] = {}
        self._subscriptions: list[Subscription] = []
        self._observer: StackObserver | None = None
        self._is_standby = False
        # The services that a deployment was changing at the last look, by environment.
        self._moving: dict[str, frozenset[str]] = {}

    def start(self) -> None:
        """Watch what a MonitoringRequested names, and look again when that is asked for.

        Each environment has a queue of its own: an engine that hangs holds up no look at another one.
        """
        self._subscriptions = [self._bus.subscribe(MonitoringRequested, self._service_started, name="collector")]
        self._subscriptions += [
            self._bus.subscribe(
                HealthCheckRequested, self._health_check, name="collector health checks", environment=environment
            )
            for environment in self._environments
        ]

    def observe_with(self, observer: StackObserver) -> None:
        """Send everything to an observer from now on."""
        self._observer, self._is_standby = observer, False

    async def stand_by(self) -> None:
        """End every watch, and begin none until there is an observer again: another process watches meanwhile."""
        self._observer, self._is_standby = None, True
        await self._end_watches()

    async def watch_released(self) -> None:
        """Watch every environment that is on a release; asked again, it finds those that came later."""
        for name in await self._releases.released() - self.watched:
            if name in self._environments:
                self.watch(self._environments[name])

    async def close(self) -> None:
        """Listen no more, and end every watch."""
        while self._subscriptions:
            await self._bus.unsubscribe(self._subscriptions.pop())
        await self._end_watches()

    async def _end_watches(self) -> None:
        watches, self._watches = [task for tasks in self._watches.values() for task in tasks], {}
        await end_tasks(*watches)

    @property
    def watched(self) -> frozenset[str]:
        """Return the names of the environments that are watched."""
        return frozenset(name for name, tasks in self._watches.items() if not tasks[0].done())

    async def prepare_monitoring_stack(self, environment: Environment) -> tuple[str, ...]:
        """Check that Prometheus runs and scrapes; returns what is wrong. Raises nothing."""
        return await monitoring_warnings(self._prometheus_url, await self._sampler.definitions(environment))

    async def collect_all_metrics(self, environment: Environment) -> StackHealth:
        """Take a sample of a stack: verdicts, restarts, memory and, from the second sample on, processor use.

        A sample is what was seen just now; `HealthCoordinator.stack` has the verdicts that hold. Of a Swarm without a
        quorum nothing can be read: then it is what was seen before, with the fault.
        """
        sample = await self._sampler.sample(environment)
        self._last_hour.add(sample.stack)
        is_kept = self._stacks.of(environment).needs_quorum
        if sample.stack.fault:
            known = await self._last_known.recall(environment) if is_kept else None
            return sample.stack if known is None else replace(known, fault=sample.stack.fault, remembered=True)
        if is_kept:
            await self._last_known.remember(environment, sample.stack)
        drift = () if self._drift is None else await self._drift.find(environment, sample.containers) or ()
        lost = () if self._lost is None else await self._lost.find(environment)
        return replace(sample.stack, drift=drift, lost=lost)

    def last_hour(self, environment: Environment) -> tuple[ServiceSeries, ...]:
        """Return how the services of an environment have been, as long as it was watched by this process.

        The last point is the last result of `collect_all_metrics`, if that is less than half a minute old.
        """
        return self._last_hour.of(environment.name)

    def watch(self, environment: Environment) -> None:
        """Start to watch an environment; no effect if it is watched already."""
        if self._is_standby or environment.name in self.watched:
            return

        async def observe() -> None:
            await self._observe(environment)

        def due_in() -> float | None:
            return self._health.due_in(environment.name)

        async def on_event(event: ContainerEvent) -> None:
            if event.action in CHANGING and self._drift is not None:
                self._drift.compare_closely(environment.name)
            if self._observer is not None:
                # When a large stack moves these are many; what is wanted of a service only counts at its end.
                known = await self._sampler.definitions(environment) if event.action == "die" else {}
                await self._observer.container_event(environment, event, known)

        watch = StackWatch(
            self._stacks,
            environment,
            observe,
            due_in,
            reconcile_seconds=self._reconcile_seconds,
            on_event=on_event,
            is_calm=lambda event: event.service in self._moving.get(environment.name, ()),
        )
        tasks = [asyncio.create_task(watch.run(), name=f"watch {environment.name}")]
        if self._prober is not None:
            probe_loop = ProbeLoop(
                environment,
                self._prober,
                self._probes,
                lambda: self._sampler.definitions(environment),
                watch.check_again,
                every_seconds=EVERY_SECONDS,
            )
            tasks.append(asyncio.create_task(probe_loop.run(), name=f"probes {environment.name}"))
        self._watches[environment.name], self._wakes[environment.name] = tuple(tasks), watch.check_again

    async def _service_started(self, event: MonitoringRequested) -> None:
        if event.environment in self.watched:
            return
        environment = self._environments.get(event.environment)
        if environment is None:
            log.warning("unknown environment is to be watched", environment=event.environment)
            return
        self.watch(environment)

    async def _health_check(self, event: HealthCheckRequested) -> None:
        """Look now, and return what was seen; the observer resolves what is over."""
        environment = self._environments[event.environment]
        if self._is_standby:
            return
        try:
            await self._observe(environment)
        except RoasError as error:
            log.warning("health check was not possible", environment=environment.name, error=error.message)
        if environment.name in self.watched and self._health.due_in(environment.name) is not None:
            self._wakes[environment.name]()  # what is seen here first is to be believed in time
        self._bus.publish(
            HealthChecked(
                environment=environment.name,
                service=event.service,
                verdict=self._health.verdict(environment.name, event.service),
                source="collector",
                correlation_id=event.correlation_id,
            )
        )

    async def _observe(self, environment: Environment) -> None:
        observer = self._observer
        # Checked before and after: a deployment that ended during the look may have changed what was seen.
        begun = time.monotonic()
        owned = await observer.owned(environment) if observer is not None else frozenset()
        # Without an observer nobody asks what containers use: a command line that carries out a deployment is such.
        sample = await self._sampler.sample(
            environment, reads_usage=observer is not None, moving=owned, checks_again=True
        )
        owned |= await observer.owned(environment) if observer is not None else frozenset()
        self._moving[environment.name] = owned
        await self._health.observe(sample.stack, sample.reason, moving=owned)
        steady = self._health.stack(environment.name)
        if steady is None:
            return
        self._last_hour.take(steady, owned)
        if not steady.fault and self._stacks.of(environment).needs_quorum:
            await self._last_known.remember(environment, steady)
        if self._metrics is not None:
            self._metrics.observe_stack(steady)
        if observer is not None:
            observation = Observation(begun, owned)
            await observer.observed(environment, steady, await self._sampler.definitions(environment), observation)
