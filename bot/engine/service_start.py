"""Start the containers of one service: those that are made for it, and those that are there already."""

from dataclasses import replace

from roas.concurrency import run_concurrently
from roas.engine.behind_proxy import BehindProxy
from roas.engine.containers.made_service import MadeService
from roas.engine.containers.service_wait import wait_until_ready
from roas.engine.containers.watch import ContainerWatch
from roas.engine.images.supply import ServiceReport
from roas.engine.interface import Engine
from roas.engine.proxied_service import ProxyReport
from roas.messages.message import said
from roas.models.deployment import ServiceStep
from roas.models.environment import Environment
from roas.models.health import ContainerState
from roas.models.stack import ServiceDefinition


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
    ) -> tuple[str, ...]:
        """Create what a service lacks, start it, and return the ids of that; what runs may be started again."""
        beside = is_beside(definition, watch, anew=anew)
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


def is_beside(definition: ServiceDefinition, watch: ContainerWatch, *, anew: bool) -> bool:
    """Return whether new containers are started beside the old ones."""
    running = any(c.state is ContainerState.RUNNING for c in watch.of_service(definition.name))
    return definition.start_first and running and not anew


def waiting_steps(report: ServiceReport, definition: ServiceDefinition) -> ProxyReport:
    """Report what is waited for at a proxy as a part of waiting for the service."""

    async def say(text: str) -> None:
        await report(definition.name, ServiceStep.WAITING, text, None)

    return say
