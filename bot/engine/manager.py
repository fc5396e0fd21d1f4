"""Pull, build, and apply a release service by service: the DeploymentManager."""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from roas.concurrency import run_concurrently, run_uninterrupted
from roas.engine.behind_proxy import BehindProxy, still_open
from roas.engine.comparison import WantedService, compare_service
from roas.engine.containers.made_service import MadeService
from roas.engine.containers.readiness import Readiness
from roas.engine.containers.repair import is_of_others
from roas.engine.containers.service_wait import wait_until_ready
from roas.engine.containers.watch import ContainerWatch
from roas.engine.images.supply import ServiceReport, obtain_images
from roas.engine.interface import Engine, ResolvedStack
from roas.engine.model.services import services_of, shared_with
from roas.engine.release_keeper import ReleaseKeeper
from roas.engine.replica_replacement import is_rolled_out
from roas.engine.service_rollout import RolloutLog, ServiceRollout
from roas.engine.service_start import Replaced, ServiceStart, is_beside, waiting_steps
from roas.errors import (
    FencedOffError,
    JournalUnusableError,
    ProxyError,
    RoasError,
    RolloutPausedError,
    ServiceFailedError,
)
from roas.messages.message import said
from roas.models.deployment import ServiceStep
from roas.models.environment import EngineKind, Environment
from roas.models.health import ContainerSnapshot, ContainerState
from roas.models.stack import ServiceDefinition, WantedImage
from roas.state.manager import StateManager

READY_STEPS = {
    Readiness.HEALTHY: ServiceStep.HEALTHY,
    Readiness.UNVERIFIED: ServiceStep.UNVERIFIED,
    Readiness.COMPLETED: ServiceStep.COMPLETED,
}


class DeploymentManager:
    """Do with an engine what the phases of a deployment ask for, and report each step before it is taken."""

    def __init__(self, engine: Engine, state: StateManager) -> None:
        self._engine = engine
        self.behind_proxy = BehindProxy(engine)
        self._start = ServiceStart(engine, self.behind_proxy)
        self.releases = ReleaseKeeper(engine, state)

    async def obtain_images(
        self, stack: ResolvedStack, wanted: Mapping[str, WantedImage], report: ServiceReport, *, builds: bool
    ) -> Mapping[str, str]:
        """Pull and build, at the same time, each within its limit, what is not here; returns image IDs by service.

        Raises the first failure, with the others stopped; PhaseTimeoutError for a limit that was passed.
        """
        return await obtain_images(self._engine, stack, wanted, report, builds=builds)

    async def apply_service(
        self,
        environment: Environment,
        model_hash: str,
        definition: ServiceDefinition,
        watch: ContainerWatch,
        report: ServiceReport,
        started: Callable[[], Awaitable[None]],
        *,
        restart: bool = False,
        anew: bool = False,
        restoring: bool = False,
        rollout: RolloutLog | None = None,
        made: MadeService | None = None,
        deployment: str = "",
        model_before: str = "",
        keeps: bool = False,
    ) -> Readiness:
        """Bring one service to what a model says and wait until it is ready; `started` is called when it runs.

        With `restart`, containers that run as they should are restarted; with `anew`, they are recreated. A container
        that was there before, of a release that is restored, or suspended, has a moment to be well again. What was
        `made` for it already, together with others, is only started. Where a release that is restored fails, what
        was well before runs again: made by the `model_before`, or, where it `keeps` what it can, only stopped so far.
        Creating and starting belong together: a caller that is cancelled meanwhile waits for their end. With a
        `rollout`, replicas are replaced as the definition's policy says. Raises ServiceFailedError with the container's
        failure output, RolloutPausedError where that policy asks a person. A Swarm is told the id of the `deployment`.
        """
        wanted = (
            replace(made.wanted, definition=definition)
            if made
            else await self._wanted(environment, model_hash, definition, watch, anew=anew)
        )
        before = watch.of_service(definition.name)
        if not anew and compare_service(wanted, before).is_only_unread:
            await report(definition.name, ServiceStep.WAITING, said("until it has read its configuration again"), None)
            # One that cannot is replaced.
            anew = not await run_uninterrupted(
                self._engine.reload_configuration(environment, model_hash, definition.name)
            )
            restart = False
        on_swarm = environment.engine is EngineKind.SWARM  # which replaces replicas, and takes back, by itself
        replaced = Replaced(self._engine, environment, wanted, before, model_before)
        with self.behind_proxy.working(environment, definition):
            try:
                if rollout is not None and not anew and not on_swarm and is_rolled_out(wanted, before, rollout.record):
                    aside = replaced if keeps and replaced.can_be_kept else None
                    return await self._roll_out(
                        environment, model_hash, wanted, watch, report, rollout, restoring, aside
                    )
                if rollout is not None and definition.proxy is not None and restart:
                    rollout.allow(definition.proxy.limit_seconds * definition.replicas)  # they are drained one by one
                beside = is_beside(definition, watch, anew=anew)
                if beside:
                    await self.behind_proxy.hold(environment, wanted, before, forgiving=restoring)
                elif keeps and not (on_swarm or made) and replaced.can_be_kept:
                    stopping = said("stopping the one that is replaced")
                    await report(definition.name, ServiceStep.RESTORING, stopping, None)
                    await run_uninterrupted(replaced.set_aside())
                    beside = True
                created = await run_uninterrupted(
                    self._start.start_made(environment, model_hash, definition.name, made, report)
                    if made
                    else self._start.create_and_start(
                        environment, model_hash, definition, watch, report, restart, anew, deployment, beside=beside
                    )
                )
                await started()
                await watch.look_at(
                    _to_look_at(watch.of_service(definition.name), created, has_events_alone=made is not None)
                )
                await report(definition.name, ServiceStep.WAITING, "", None)
                old = _old(before, restoring=restoring)
                limit = rollout.seconds_left if restoring and rollout is not None else None
                readiness = await wait_until_ready(
                    self._engine, environment, definition, watch, wanted.config_hash, old=old, limit=limit
                )
                if rollout is not None and definition.proxy is not None:
                    rollout.allow(definition.proxy.limit_seconds)
                left = await self._remove_others(environment, wanted, watch, report, before, forgiving=restoring)
                await self.behind_proxy.settle(environment, definition)
            except (FencedOffError, JournalUnusableError, RolloutPausedError):
                raise
            except RoasError:
                if restoring and not on_swarm:
                    await run_uninterrupted(replaced.put_back())
                raise
        await report(definition.name, READY_STEPS[readiness.state], still_open(readiness.reason, left), None)
        return readiness.state

    async def _roll_out(
        self,
        environment: Environment,
        model_hash: str,
        wanted: WantedService,
        watch: ContainerWatch,
        report: ServiceReport,
        log: RolloutLog,
        restoring: bool,
        aside: Replaced | None,
    ) -> Readiness:
        """Replace the replicas of a service as its policy says; what is too many goes after, and what is set aside."""
        definition = wanted.definition
        before = watch.of_service(definition.name)
        in_front = _InFront(self, environment, wanted, watch, report, log, aside, forgiving=restoring)
        old = _old(watch.of_service(definition.name), restoring=restoring)
        rollout = ServiceRollout(
            self._engine, environment, model_hash, wanted, watch, log, in_front, old, keeps=aside is not None
        )
        try:
            readiness = await rollout.run()
        except RolloutPausedError:
            # It may wait for long: what is well gets requests, and what is not gets none, however often it starts.
            await self.behind_proxy.settle(environment, definition, holds=True)
            raise
        left = in_front.left + await self._remove_others(
            environment, wanted, watch, report, before, forgiving=restoring
        )
        await self.behind_proxy.settle(environment, definition)
        await report(definition.name, READY_STEPS[readiness.state], still_open(readiness.reason, left), None)
        return readiness.state

    async def remove_service(
        self,
        environment: Environment,
        service: str,
        watch: ContainerWatch,
        report: ServiceReport,
        definition: ServiceDefinition | None = None,
    ) -> None:
        """Stop and remove all containers of a service; with its `definition`, its proxy sends nothing more first."""
        await report(service, ServiceStep.REMOVING, "", None)
        containers = watch.of_service(service)
        if definition is None:
            await self._remove_all(environment, service, containers, watch)
        else:
            with self.behind_proxy.working(environment, definition):
                await self.behind_proxy.drain(environment, definition, containers, waiting_steps(report, definition))
                await self._remove_all(environment, service, containers, watch)
                await self.behind_proxy.settle(environment, definition)
        await report(service, ServiceStep.REMOVED, "", None)

    async def _remove_all(
        self, environment: Environment, service: str, containers: tuple[ContainerSnapshot, ...], watch: ContainerWatch
    ) -> None:
        ids = [one.id for one in containers]
        await self._engine.remove_service(environment, service, ids)
        await watch.look_at(ids)

    async def settle_proxies(self, environment: Environment, definitions: Iterable[ServiceDefinition]) -> None:
        """Leave nothing held or drained at the proxies of services that nobody replaces at this moment."""
        await self.behind_proxy.settle_idle(environment, definitions, waits=True)

    async def require_served(
        self, environment: Environment, definition: ServiceDefinition, watch: ContainerWatch, report: ServiceReport
    ) -> None:
        """Wait until the proxy of a service, which was just replaced, sends requests to its containers.

        Both are reported of the proxy: what is waited for, and its failure. Raises ProxyError, ServiceFailedError.
        """
        if definition.proxy is None:
            return
        proxy, service = definition.proxy.service, definition.name

        async def say(_text: str) -> None:
            waited_for = said("until it sends requests to {service}", service=service)
            await report(proxy, ServiceStep.WAITING, waited_for, None)

        try:
            await self.behind_proxy.require(environment, definition, watch.of_service(service), say)
        except (ProxyError, ServiceFailedError) as error:
            await report(proxy, ServiceStep.FAILED, error.message, None)
            raise

    async def remove_containers(self, environment: Environment, containers: tuple[ContainerSnapshot, ...]) -> None:
        """Stop and remove containers by id."""
        await run_concurrently(self._engine.remove(environment, container.id) for container in containers)

    async def stop_containers(self, environment: Environment, containers: tuple[ContainerSnapshot, ...]) -> None:
        """Stop containers by id; their replacements take over the anonymous volumes."""
        await run_concurrently(self._engine.stop(environment, container.id) for container in containers)

    async def _wanted(
        self,
        environment: Environment,
        model_hash: str,
        definition: ServiceDefinition,
        watch: ContainerWatch,
        *,
        anew: bool,
    ) -> WantedService:
        """Return what a model wants of a service; the caller may have given it another order of updating.

        How its containers are hashed that are to be made `anew` does not count.
        """
        model = await self._engine.load_model(model_hash)
        if shared_with(services_of(model).get(definition.name, {})):
            # Compose hashes the id of that container, and who took its place may not have been seen yet.
            await watch.refresh()
        counting = tuple(one for one in watch.containers if not (anew and one.service == definition.name))
        wanted = await self._engine.wanted_services(environment, model, counting, as_it_is=True)
        return replace(wanted[definition.name], definition=definition)

    async def _remove_others(
        self,
        environment: Environment,
        wanted: WantedService,
        watch: ContainerWatch,
        report: ServiceReport,
        before: tuple[ContainerSnapshot, ...],
        *,
        forgiving: bool,
    ) -> int:
        """After a start-first update the new containers serve; the old ones go, and those that are too many.

        What somebody else has created since `before`, and is about to start, is left to them.
        """
        definition, there = wanted.definition, watch.of_service(wanted.definition.name)
        known = {one.id for one in before}
        there = tuple(one for one in there if one.id in known or not is_of_others(one))
        difference = compare_service(wanted, there)
        going = difference.unlike + difference.surplus
        staying = [one for one in there if one not in going]
        return await self.retire(environment, definition, going, staying, watch, report, forgiving=forgiving) or 0

    async def retire(
        self,
        environment: Environment,
        definition: ServiceDefinition,
        containers: tuple[ContainerSnapshot, ...],
        staying: Collection[ContainerSnapshot],
        watch: ContainerWatch,
        report: ServiceReport,
        *,
        forgiving: bool = False,
        failing: Coroutine[Any, Any, Collection[str]] | None = None,
        seconds: float = 0.0,
        removes: bool = True,
        aside: Replaced | None = None,
    ) -> int | None:
        """Take old replicas out of service, then stop and remove them: every replica that is replaced goes this way.

        Those that are `staying` have to get requests first, and go on being well until the old ones are gone: where
        any is found `failing`, these serve again, and None is returned. Returns how many connections were still open.
        Raises ProxyError, with nothing taken away, unless `forgiving`. What is set `aside` is only stopped.
        """
        left = await self.behind_proxy.take_out(
            environment,
            definition,
            containers,
            staying,
            waiting_steps(report, definition),
            forgiving=forgiving,
            failing=failing,
            seconds=seconds,
        )
        if left is not None and aside is not None:
            await run_uninterrupted(aside.set_aside(containers))
            await watch.look_at(one.id for one in containers)
        elif left is not None and removes:
            await run_uninterrupted(self._remove_watched(environment, containers, watch))
        return left

    async def _remove_watched(
        self, environment: Environment, containers: tuple[ContainerSnapshot, ...], watch: ContainerWatch
    ) -> None:
        """Remove containers, and see to it that nobody judges a service by what the watch saw of their end."""
        await self.remove_containers(environment, containers)
        await watch.look_at(one.id for one in containers)


@dataclass(slots=True)
class _InFront:
    """Tell the proxy of one service that is rolled out, if it has one; counts the connections that were left open."""

    manager: DeploymentManager
    environment: Environment
    wanted: WantedService
    watch: ContainerWatch
    report: ServiceReport
    log: RolloutLog
    aside: Replaced | None
    forgiving: bool
    left: int = 0

    async def hold(self, new: int, *, in_place: bool) -> None:
        definition = self.wanted.definition
        await self.manager.behind_proxy.hold(
            self.environment,
            self.wanted,
            self.watch.of_service(definition.name),
            forgiving=self.forgiving or in_place,
            at_most=new,
        )

    async def admit(self, containers: tuple[ContainerSnapshot, ...]) -> None:
        definition = self.wanted.definition
        steps = waiting_steps(self.report, definition)
        await self.manager.behind_proxy.admit(self.environment, definition, containers, steps, forgiving=self.forgiving)

    async def retire(
        self,
        containers: tuple[ContainerSnapshot, ...],
        failing: Coroutine[Any, Any, frozenset[str]],
        seconds: float,
        *,
        removes: bool,
    ) -> bool:
        definition = self.wanted.definition
        if definition.proxy is not None:
            self.log.allow(max(seconds, definition.proxy.limit_seconds))
        there = [one for one in self.watch.of_service(definition.name) if one not in containers]
        left = await self.manager.retire(
            self.environment,
            definition,
            containers,
            [one for one in there if self.wanted.fits(one) or not self.forgiving],  # else the others are what failed
            self.watch,
            self.report,
            forgiving=self.forgiving,
            failing=failing,
            seconds=seconds,
            removes=removes,
            aside=self.aside,
        )
        self.left += left or 0
        return left is not None


def _old(before: Iterable[ContainerSnapshot], *, restoring: bool) -> frozenset[str]:
    """Return those, by id, that have a moment to be well again."""
    return frozenset(one.id for one in before if restoring or one.state is ContainerState.PAUSED)


def _to_look_at(
    there: Iterable[ContainerSnapshot], created: Collection[str], *, has_events_alone: bool
) -> frozenset[str]:
    """Return, by id, what may be other than it was seen: of what was just created the engine tells when it starts.

    With `has_events_alone`, nothing of that ran before, so that whatever has become of it had an event, too.
    """
    return frozenset(one.id for one in there if one.id not in created or not (has_events_alone or one.never_ran))
