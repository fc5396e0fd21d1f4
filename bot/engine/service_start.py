"""Start the containers of one service: those that are made for it, and those that are there already."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from roas.concurrency import run_concurrently
from roas.engine.behind_proxy import BehindProxy
from roas.engine.comparison import WantedService
from roas.engine.containers.made_service import MadeService
from roas.engine.containers.service_wait import wait_until_ready
from roas.engine.containers.watch import ContainerWatch
from roas.engine.images.supply import ServiceReport
from roas.engine.interface import Engine
from roas.engine.proxied_service import ProxyReport
from roas.errors import RoasError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.deployment import ServiceStep
from roas.models.environment import Environment
from roas.models.health import ORDERLY_CODES, ContainerSnapshot, ContainerState, HealthStatus
from roas.models.stack import ServiceDefinition

log = get_logger(__name__)


class ServiceStart:
    """Create and start, or start again, and report each step before it is taken."""

    def __init__(self, engine: Engine, behind_proxy: BehindProxy) -> None:
        self._engine = engine
        self._behind_proxy = behind_proxy

    async def create_and_start(
        self,
        environment: Environment,
        model_hash: str,
        definition: ServiceDefinition,
        watch: ContainerWatch,
        report: ServiceReport,
        restart: bool,
        anew: bool,
        deployment: str,
        *,
        beside: bool,
    ) -> tuple[str, ...]:
        """Create what a service lacks, start it, and return the ids of that; what runs may be started again."""
        await report(definition.name, ServiceStep.CREATING, said("beside the old one") if beside else "", None)
        seen = watch.of_service(definition.name)
        created = await self._engine.create_service(
            environment, model_hash, definition.name, beside=beside, anew=anew, seen=seen, deployment=deployment
        )
        if created:
            await report(definition.name, ServiceStep.STARTING, "", None)
        for container_id in created:
            await self._engine.start(environment, container_id)
        if restart and not created:
            await report(
                definition.name, ServiceStep.STARTING, said("again, since what it depends on was replaced"), None
            )
            await self._restart_all(environment, definition, watch, report)
        return created

    async def start_made(
        self, environment: Environment, model_hash: str, service: str, made: MadeService, report: ServiceReport
    ) -> tuple[str, ...]:
        """Start what was created together with others; today's policy is asked, since that may be a while ago."""
        await self._engine.check_release(environment, model_hash)
        await report(service, ServiceStep.STARTING, "", None)
        for container_id in made.containers:
            await self._engine.start(environment, container_id)
        return made.containers

    async def _restart_all(
        self, environment: Environment, definition: ServiceDefinition, watch: ContainerWatch, report: ServiceReport
    ) -> None:
        """Restart all containers of a service; behind a proxy one after the other, so that some always serve."""
        containers = watch.of_service(definition.name)
        if definition.proxy is None:
            await run_concurrently(self._restart(environment, one.id) for one in containers)
            return
        behind, steps = self._behind_proxy, waiting_steps(report, definition)
        for one in containers:
            await behind.drain(environment, definition, (one,), steps, even_last=False)
            await self._restart(environment, one.id)
            await watch.look_at({one.id})
            await wait_until_ready(self._engine, environment, replace(definition, replicas=1), watch, only=one.id)
            again = [each for each in watch.of_service(definition.name) if each.id == one.id]
            await behind.admit(environment, definition, again, steps, forgiving=True)

    async def _restart(self, environment: Environment, container_id: str) -> None:
        await self._engine.stop(environment, container_id)
        await self._engine.start(environment, container_id)


@dataclass(slots=True)
class Replaced:
    """Hold the containers of a service that an earlier release replaces, so that they serve again if that fails.

    Those that can be kept are stopped, and removed once the others are ready. What only one container can have, and
    what would lose a volume, Compose replaces; then the model before makes the old ones again.
    """

    engine: Engine
    environment: Environment
    wanted: WantedService
    before: tuple[ContainerSnapshot, ...]
    model_before: str
    _aside: dict[str, ContainerSnapshot] = field(default_factory=dict)

    @property
    def can_be_kept(self) -> bool:
        """Return whether some that serve are replaced, and new ones can be made beside them once they are stopped."""
        definition = self.wanted.definition
        going = [one for one in self.before if _runs_well(one) and not self.wanted.fits(one)]
        shares = definition.fixed_name or definition.shared_by or definition.linked_by or not definition.replicas
        return bool(going) and not shares and not any(one.unnamed_volumes for one in self.before)

    async def set_aside(self, containers: Iterable[ContainerSnapshot] | None = None) -> None:
        """Stop containers, by default all that are not as the release says."""
        going = [one for one in (self.before if containers is None else containers) if not self.wanted.fits(one)]
        self._aside |= {one.id: one for one in going}
        await run_concurrently(self.engine.stop(self.environment, one.id) for one in going)

    async def put_back(self) -> None:
        """Let what was well before run again in place of what was made; where nothing was, that stays as it is."""
        well = [one for one in self.before if _was_well(one) and not self.wanted.fits(one)]
        if not well:
            return
        service, stays = self.wanted.definition.name, {one.id for one in self.before if _was_well(one)}
        try:
            there = [one for one in await self.engine.containers(self.environment) if one.service == service]
            ids = {one.id for one in there}
            if ids.issuperset(one.id for one in well):
                made = [one.id for one in there if one.id not in stays and self.wanted.fits(one)]
                await run_concurrently(self.engine.remove(self.environment, one, grace_seconds=2.0) for one in made)
                again = [one.id for one in well]
            elif self.model_before:
                again = [*await self.engine.create_service(self.environment, self.model_before, service)]
            for container_id in again:
                await self.engine.start(self.environment, container_id)
        except RoasError as error:
            log.warning("what was well before does not run again", service=service, error=error.message)


def _runs_well(container: ContainerSnapshot) -> bool:
    return container.state is ContainerState.RUNNING and container.health is not HealthStatus.UNHEALTHY


def _was_well(container: ContainerSnapshot) -> bool:
    """Return whether a container was well; a process that died may have stopped it, to set it aside."""
    return _runs_well(container) or (container.state is ContainerState.EXITED and container.exit_code in ORDERLY_CODES)


def is_beside(definition: ServiceDefinition, watch: ContainerWatch, *, anew: bool) -> bool:
    """Return whether new containers are started beside the old ones."""
    running = any(c.state is ContainerState.RUNNING for c in watch.of_service(definition.name))
    return definition.start_first and running and not anew


def waiting_steps(report: ServiceReport, definition: ServiceDefinition) -> ProxyReport:
    """Report what is waited for at a proxy as a part of waiting for the service."""

    async def say(text: str) -> None:
        await report(definition.name, ServiceStep.WAITING, text, None)

    return say
