"""Replace the replicas of a service a few at a time, as its `update_config` or `rollback_config` says."""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from roas.concurrency import run_uninterrupted
from roas.errors import RoasError, RolloutPausedError, ServiceFailedError
from roas.limits import HEALTHY_AGAIN_SECONDS
from roas.log import get_logger
from roas.messages.message import said
from roas.models.canary import CanaryVerdict
from roas.models.deployment import ServiceStep
from roas.models.health import ContainerSnapshot, ContainerState
from roas.models.rollout import RolloutRecord, RolloutState
from roas.models.stack import ServiceDefinition
from roas.stack.containers.readiness import (
    Readiness,
    ServiceReadiness,
    is_starting,
    judge_readiness,
    removed,
    service_failure,
    was_restarted,
)
from roas.stack.containers.watch import ContainerWatch
from roas.stack.service_comparison import WantedService, rank, serves
from roas.stack.stack import Stack
from roas.stack.updating.behind_proxy import Front
from roas.stack.updating.canary.service_canary import READ_SECONDS, ServiceCanary, canary_of, canary_undecided
from roas.stack.updating.rollout_rules import Replica, Rollout, RolloutVerdict, RolloutView, Step, is_gradual, policy_of

log = get_logger(__name__)
NOT_RUNNING = frozenset({ContainerState.CREATED, ContainerState.EXITED})
# A replica that is not ready as seen here, though it may be on its way.
UNREADY = frozenset({Readiness.FAILED, Readiness.WAITING})


class RolloutLog(Protocol):
    """Keep how far a rollout has come, and say what becomes of it."""

    @property
    def record(self) -> RolloutRecord | None:
        """Return what an earlier attempt, or a pause, left of this rollout."""
        ...

    @property
    def monitor_seconds(self) -> float:
        """Return for how long a new replica that was ready is watched."""
        ...

    @property
    def seconds_left(self) -> float | None:
        """Return how long new replicas have to become ready; None without a limit."""
        ...

    @property
    def may_pause(self) -> bool:
        """Return whether a person can be asked: not in the middle of the way back from a failure."""
        ...

    @property
    def others_are_judged(self) -> bool:
        """Return whether canaries of other services are yet to come to a verdict."""
        ...

    async def save(self, record: RolloutRecord) -> None:
        """Write how far it has come, before what follows from it is done."""
        ...

    async def step(self, step: ServiceStep, detail: str = "") -> None:
        """Report a step of the service."""
        ...

    async def started(self) -> None:
        """Note that containers of the service were started."""
        ...

    async def read_figure(self, query: str) -> float | None:
        """Return the one value of a query of Prometheus; None where there is none."""
        ...

    def allow(self, seconds: float) -> None:
        """Allow the phase more time: its limit is about what hangs, and a rollout that gets on does not."""
        ...

    def watched_from(self, at: float) -> None:
        """Note that the new replicas are watched from then on, and that the old ones wait for that."""
        ...

    def warn(self, text: str) -> None:
        """Keep a warning for the outcome."""
        ...


@dataclass(slots=True)
class ServiceRollout:
    """Roll one service out: decides by `roas.stack.updating.rollout_rules`, and does what that says.

    Containers that ran before and are kept, which are `old`, have a moment to be well again. What it retires is given
    to `discard`; where it `keeps` that, it is only stopped, and stays until all are replaced. Where it is `restoring`,
    what it retires has failed.
    """

    stack: Stack
    model_hash: str
    wanted: WantedService
    watch: ContainerWatch
    log: RolloutLog
    front: Front
    discard: Callable[[tuple[ContainerSnapshot, ...]], Awaitable[None]]
    old: frozenset[str] = frozenset()
    keeps: bool = False
    restoring: bool = False
    rollout: Rollout = field(init=False)
    canary: ServiceCanary | None = field(init=False)
    _allowed_to: float = field(default_factory=time.monotonic)
    _restarts: dict[str, int] = field(default_factory=dict)
    _was_ready: set[str] = field(default_factory=set)
    _unstartable: dict[str, ServiceFailedError] = field(default_factory=dict)
    _reasons: dict[str, ServiceReadiness] = field(default_factory=dict)
    _overdue: set[str] = field(default_factory=set)
    _admitted: set[str] = field(default_factory=set)
    _retired: set[str] = field(default_factory=set)
    _taken_away: dict[str, tuple[float, ServiceReadiness]] = field(default_factory=dict)
    _seen: dict[str, ContainerSnapshot] = field(default_factory=dict)
    _excused_until: float = field(default_factory=lambda: time.monotonic() + HEALTHY_AGAIN_SECONDS)

    def __post_init__(self) -> None:
        definition, record = self.wanted.definition, self.log.record or RolloutRecord()
        policy = policy_of(definition, self._there)
        self.rollout = Rollout(policy, definition.replicas, definition.start_first, self.log.monitor_seconds, record)
        self._restarts = {container.id: container.restart_count for container in self._there}
        self.canary = canary_of(definition, self.front, record, self.log.read_figure)

    async def run(self) -> ServiceReadiness:
        """Replace all replicas; returns how the worst of those is that have not failed.

        Raises ServiceFailedError or RolloutPausedError where too many have.
        """
        await self._start_idle()
        if self.canary is not None and self._can_begin_canary:
            await self._run_canary(self.canary)
        elif self.canary is not None and self._view(self._there).old:
            self._warn_of_no_judgement()
        while True:
            view, now, step = await self._next_step()
            if step.verdict is RolloutVerdict.DONE:
                if await self._retire(step.retire):
                    return self._outcome()
                continue
            in_place = bool(step.begin) and self._is_in_place
            if in_place:
                await self.front.hold(step.begin, best_effort=True)
            if not await self._retire(step.retire, removes=not in_place):
                continue
            if step.begin:
                await run_uninterrupted(self._begin(step.begin, in_place=in_place))
            elif not step.retire:
                await self._changed(view, step, now)

    async def _next_step(self) -> tuple[RolloutView, float, Step]:
        """Look, and write what follows from it before it is done. Raises what it has failed with."""
        known, view, now = self.rollout.record, self._view(self._there), time.monotonic()
        if (found := self._left_to_us(view, now)) is not None:
            raise await service_failure(self.stack, self.wanted.definition.name, found)
        step = self.rollout.step(view, now)
        if self.rollout.record != known or self.log.record is None:
            await self.log.save(self.rollout.record)
        if step.verdict in {RolloutVerdict.FAILED, RolloutVerdict.PAUSED}:
            raise await self._failure(step)
        return view, now, step

    def _left_to_us(self, view: RolloutView, now: float) -> ServiceReadiness | None:
        """Return what somebody else took away, and did not bring back in time; it counts for no failure.

        Whoever applies the release again starts it.
        """
        there = {replica.id for replica in view.new}
        self._taken_away = {name: taken for name, taken in self._taken_away.items() if name in there}
        taken_away = self._taken_away.values()
        return next((found for since, found in taken_away if now - since >= HEALTHY_AGAIN_SECONDS), None)

    @property
    def _can_begin_canary(self) -> bool:
        """Return whether an old container serves, which it is judged beside; one that has begun goes on without."""
        old = self._view(self._there).old
        serving = any(serves(container) for container in self._there if container.id in old)
        return serving or self.rollout.record.canary is not None

    def _warn_of_no_judgement(self) -> None:
        """Say that a version took over that nobody has judged: there was nothing to judge it beside."""
        name = self.wanted.definition.name
        log.warning("no canary: no old container serves", service=name)
        text = said("The new version of {service} was not judged: no container of the old one served.", service=name)
        self.log.warn(text)

    async def _run_canary(self, canary: ServiceCanary) -> None:
        """Judge it step by step, while there are old containers that it stands beside."""
        while not canary.is_over and self._view(self._there).old:
            await self._advance_canary(canary)
        if not canary.is_over:
            self._warn_of_no_judgement()
        self.rollout.most_new = None
        await canary.end()

    async def _advance_canary(self, canary: ServiceCanary) -> None:
        """Begin what its step lacks, or wait until that is ready, or judge it."""
        self.rollout.most_new = canary.new_containers
        view, now, step = await self._next_step()
        if step.verdict is RolloutVerdict.JUDGED:
            await self._observe(canary, view)
        elif step.begin:
            await canary.weigh(view.old)
            await run_uninterrupted(self._begin(step.begin, in_place=False))
        else:
            canary.forget_counts()
            await self._changed(view, step, now)

    async def _observe(self, canary: ServiceCanary, view: RolloutView) -> None:
        """Judge the canary once more, and do what follows from it.

        Raises ServiceFailedError where it is worse than the old version, CanaryUndecidedError where a person decides.
        """
        there, name = self._there, self.wanted.definition.name
        await self._admit(there)
        good = self._good(there)
        if self._has_been_restarted(there):  # what its requests came to meanwhile is no fault of the version
            canary.forget_counts()
        self._allow(max(0.0, time.monotonic() + READ_SECONDS - self._allowed_to))
        judgement = await canary.observe(view.old, good)
        if judgement.verdict is CanaryVerdict.GOOD:
            canary.record = canary.record.next_step()
        # Until a person looks, nobody would judge the others: meanwhile it may come to a verdict yet.
        waits = canary.is_undecided and self.log.others_are_judged
        is_asked = judgement.verdict is CanaryVerdict.INCONCLUSIVE and not waits
        state = RolloutState.PAUSED if is_asked else self.rollout.record.state
        self.rollout.record = replace(self.rollout.record, canary=canary.record, state=state)
        if is_due := canary.is_due(CanaryVerdict.OPEN if waits else judgement.verdict):
            await self.log.save(self.rollout.record)
        if judgement.verdict is CanaryVerdict.WORSE:
            await self.front.send_back([container for container in there if container.id in view.old], good)
            reason = said("its new version is worse: {seen}", seen=judgement.reason)
            found = ServiceReadiness(Readiness.FAILED, reason, min(good, default=None))
            raise await service_failure(self.stack, name, found)
        if is_due:
            await self.log.step(ServiceStep.PAUSED if is_asked else ServiceStep.WAITING, judgement.reason)
        if is_asked:
            raise canary_undecided(name, canary, judgement.reason)
        if waits or judgement.verdict is CanaryVerdict.OPEN:
            with suppress(TimeoutError):
                await self.watch.until(lambda there: self._view(there) != view or None, READ_SECONDS, service=name)

    @property
    def _is_in_place(self) -> bool:
        """Return whether Compose replaces what differs, all of it at once: it passes unnamed volumes on."""
        definition = self.wanted.definition
        return not (self.keeps or definition.start_first or is_gradual(self.rollout.policy, definition.replicas))

    @property
    def _there(self) -> tuple[ContainerSnapshot, ...]:
        return self.watch.of_service(self.wanted.definition.name)

    def _view(self, there: tuple[ContainerSnapshot, ...]) -> RolloutView:
        there = tuple(container for container in there if container.id not in self._retired)
        old = [container for container in rank(self.wanted.fits, there) if not self.wanted.fits(container)]
        new = [self._judge(container) for container in there if self.wanted.fits(container)]
        return RolloutView(tuple(container.id for container in reversed(old)), tuple(new))

    def _judge(self, container: ContainerSnapshot) -> Replica:
        """Judge a new container: a start or two may fail before it is ready, and none after.

        One that somebody else has stopped or removed is waited for: that says nothing of the release.
        """
        if error := self._unstartable.get(container.id):
            return Replica(container.id, failure=error.message)
        was_ready = container.id in self._was_ready
        found = self._judge_again(container) if was_ready else self._judge_first(container)
        if found is not None and (found.stopped or found.removed):
            since, _ = self._taken_away.get(container.id, (time.monotonic(), found))
            self._taken_away[container.id] = since, found
            return Replica(container.id)
        self._taken_away.pop(container.id, None)
        if found is None:
            return Replica(container.id, ready=True)
        if found.state is Readiness.WAITING and container.id in self._overdue:
            found = ServiceReadiness(Readiness.FAILED, said("it was not ready in time"), container.id)
        self._reasons[container.id] = found
        if found.state is Readiness.FAILED:
            return Replica(container.id, failure=found.reason)
        if found.state is Readiness.WAITING:
            return Replica(container.id)
        if not was_ready:
            self._was_ready.add(container.id)
            self._restarts[container.id] = container.restart_count
        return Replica(container.id, ready=True)

    def _judge_first(self, container: ContainerSnapshot) -> ServiceReadiness:
        """Judge a container that was not ready yet."""
        single = replace(self.wanted.definition, replicas=1)
        excused = self.old if time.monotonic() < self._excused_until else frozenset[str]()
        return judge_readiness(single, (container,), restarts_before=self._restarts, excused=excused)

    def _judge_again(self, container: ContainerSnapshot) -> ServiceReadiness | None:
        """Judge a container that was ready; None where it goes on, and its check has begun again."""
        if container.restart_count > self._restarts.get(container.id, 0):
            return ServiceReadiness(Readiness.FAILED, said("it restarted while it was observed"), container.id)
        # Its health check has begun again where somebody paused or restarted it.
        if container.state is ContainerState.PAUSED or (is_starting(container) and not container.unchecked):
            return None
        single = replace(self.wanted.definition, replicas=1)
        found = judge_readiness(single, (container,), tolerated_restarts=2**31)
        return replace(found, state=Readiness.FAILED) if found.state in UNREADY else found

    async def _start_idle(self) -> None:
        """Start what an earlier attempt made and did not come to start, and what had failed before a person said go."""
        idle = [item for item in self._there if self.wanted.fits(item) and item.state in NOT_RUNNING]
        if idle:  # a proxy that was started again since may have forgotten what was held
            await self.front.hold(len(idle), best_effort=True)
        for container in idle:
            await self._start(container.id)
        await self.watch.inspect(container.id for container in self._there)

    async def _begin(self, count: int, *, in_place: bool) -> None:
        """Begin new replicas: nothing of that is left half done by a request to cancel."""
        definition = self.wanted.definition
        self._allow(max(0.0, time.monotonic() - self._allowed_to))
        if not in_place:
            await self.front.hold(count)
        await self.log.step(ServiceStep.CREATING, self._progress())
        known = {container.id for container in self._there}
        created = await self.stack.create_service(
            self.model_hash,
            definition.name,
            beside=not in_place,
            at_most=None if in_place else count,
        )
        new = [name for name in created if name not in known]
        await self.log.step(ServiceStep.STARTING, self._progress())
        for container_id in new:
            await self._start(container_id)
        await self.watch.inspect({*new, *known})
        await self.log.started()
        await self.log.step(ServiceStep.WAITING, self._progress())

    async def _start(self, container_id: str) -> None:
        """Start a container; one that cannot run is a replica that failed."""
        try:
            await self.stack.start(container_id)
        except ServiceFailedError as error:
            self._unstartable[container_id] = error

    async def _retire(self, ids: tuple[str, ...], *, removes: bool = True) -> bool:
        """Retire old replicas; returns False where fewer new ones are good before they are gone: then they serve on.

        The last of them serve until the new ones have been watched, which could still fail. Unless this `removes` them,
        they are left to whoever replaces them in place.
        """
        there = self._there
        if not self.wanted.definition.start_first:
            await self._admit(there)
        going = tuple(container for container in there if container.id in ids)
        if not going:
            return True
        good = self._good(there)

        def failing(there: tuple[ContainerSnapshot, ...]) -> frozenset[str] | None:
            return good - self._good(there) or None

        is_last = len(going) == len(self._view(there).old)
        seconds = self._seconds_to_watch() if is_last else 0.0
        if (proxy := self.wanted.definition.proxy) is not None:
            self.log.allow(seconds + proxy.limit_seconds)
        # Of a release that is restored, the others are what failed.
        staying = [
            container
            for container in there
            if container not in going and (self.wanted.fits(container) or not self.restoring)
        ]
        found = self.watch.until(failing, service=self.wanted.definition.name)
        if not await self.front.take_out(going, staying, failing=found, seconds=seconds):
            return False
        if removes:
            await self.discard(going)
        self._retired.update(container.id for container in going if self.keeps)
        return True

    def _seconds_to_watch(self) -> float:
        ready_at, definition = self.rollout.ready_at, self.wanted.definition
        if definition.proxy is None or ready_at is None or self.restoring:
            return 0.0
        if definition.start_first:  # else the last new one is still to come
            self.log.watched_from(ready_at)
        return max(0.0, ready_at + self.log.monitor_seconds - time.monotonic())

    def _good(self, there: tuple[ContainerSnapshot, ...]) -> frozenset[str]:
        return frozenset(replica.id for replica in self._view(there).new if replica.ready and not replica.failure)

    def _has_been_restarted(self, there: tuple[ContainerSnapshot, ...]) -> bool:
        """Return whether somebody restarted a container since the last look; one that ends by itself has failed."""
        known, self._seen = self._seen, {container.id: container for container in there}
        return any(
            was_restarted(before, after) and after.restart_count == before.restart_count
            for name, after in self._seen.items()
            if (before := known.get(name)) is not None
        )

    async def _admit(self, there: tuple[ContainerSnapshot, ...]) -> None:
        """Send requests to new replicas as they get ready, where there are fewer old ones meanwhile."""
        if ready := self._good(there) - self._admitted:
            self._admitted |= ready
            await self.front.admit(container for container in there if container.id in ready)

    async def _changed(self, view: RolloutView, step: Step, now: float) -> None:
        """Wait until the containers are others than they were, or a worker's delay is over.

        Where the phase's limit comes first, what is under way has failed: its policy says what that leads to.
        """
        name = self.wanted.definition.name
        under_way = [replica.id for replica in view.new if not replica.ready and not replica.failure]
        wake_in = None if step.wake_at is None else max(0.0, step.wake_at - now)
        if wake_in is not None:
            self._allow(wake_in)
        overdue_in = self.log.seconds_left if under_way else None
        excused_in = self._excused_until - now if self.old & {*under_way} and now < self._excused_until else None
        taken = [since for name, (since, _) in self._taken_away.items() if name in under_way]
        back_in = max(0.0, min(taken) + HEALTHY_AGAIN_SECONDS - now) if taken else None
        moments = (overdue_in, wake_in, excused_in, back_in)
        seconds = min((number for number in moments if number is not None), default=None)
        try:
            await self.watch.until(lambda there: self._view(there) != view or None, seconds, service=name)
        except TimeoutError:
            if seconds is None:
                raise
            if overdue_in is not None and seconds == overdue_in:
                self._overdue.update(under_way)

    def _allow(self, seconds: float) -> None:
        self.log.allow(seconds)
        self._allowed_to += seconds

    def _progress(self) -> str:
        new = sum(self.wanted.fits(container) for container in self._there)
        return said("{done} of {count} {count|replica|replicas}", done=new, count=self.wanted.definition.replicas)

    async def _failure(self, step: Step) -> ServiceFailedError | RolloutPausedError:
        """Return what is raised where too many replicas failed."""
        name, record = self.wanted.definition.name, self.rollout.record
        error = self._unstartable.get(step.cause)
        if error is None:
            found = self._reasons.get(step.cause) or removed(step.cause)
            error = await service_failure(self.stack, name, found)
        if step.verdict is RolloutVerdict.PAUSED and self.log.may_pause:
            await self.log.step(ServiceStep.PAUSED, self._progress())
            return paused_error(name, record, error)
        return error

    def _outcome(self) -> ServiceReadiness:
        """Return how the worst of the replicas is that did not fail; of those that did, a warning says."""
        definition, record = self.wanted.definition, self.rollout.record
        warn_of_tolerated(definition, record, self.log)
        well = [found for value, found in self._reasons.items() if value not in record.tolerated]
        worst = next((readiness for readiness in well if readiness.state is Readiness.UNVERIFIED), None)
        none = ServiceReadiness(Readiness.UNVERIFIED, said("all of its new replicas failed"))
        return worst or next(iter(well), none)


def paused_error(service: str, record: RolloutRecord, cause: RoasError) -> RolloutPausedError:
    """Return the error by which a rollout pauses."""
    return RolloutPausedError(
        said(
            "The rollout of {service} paused: {failed} of {slots} new {slots|replica|replicas} failed. {reason}",
            service=service,
            failed=len(record.failed),
            slots=record.slots,
            reason=cause.message,
        ),
        hint=said("Look at {service}, then resume the deployment or roll it back.", service=service),
        service=service,
        report=cause.report,
    )


def warn_of_tolerated(definition: ServiceDefinition, record: RolloutRecord, log: RolloutLog) -> None:
    """Say which replicas failed without stopping the rollout."""
    if not record.tolerated:
        return
    log.warn(
        said(
            "{count} of {replicas} new {replicas|replica|replicas} of {service} failed; {why}.",
            count=len(record.tolerated),
            replicas=definition.replicas,
            service=definition.name,
            why=said("a person let the rollout go on")
            if record.accepted
            else said("its `update_config` lets that pass"),
        )
    )
