"""Apply a release service by service: the DeploymentManager."""

from collections.abc import Callable
from dataclasses import replace

from roas.concurrency import run_concurrently
from roas.errors import ProxyError, ServiceFailedError
from roas.messages.message import said
from roas.models.deployment import ServiceStep
from roas.models.health import ContainerSnapshot
from roas.models.stack import ServiceDefinition
from roas.stack.containers.readiness import Readiness
from roas.stack.containers.watch import ContainerWatch
from roas.stack.image_supply import ServiceReport
from roas.stack.service_comparison import serves
from roas.stack.stack import Stack
from roas.stack.updating.behind_proxy import BehindProxy, Front
from roas.stack.updating.service_update import ServiceUpdate, ServiceUpdater, waiting_steps, wanted_service


class DeploymentManager:
    """Do with an engine what the phases of a deployment ask for, and report each step before it is taken."""

    def __init__(self) -> None:
        self.behind_proxy = BehindProxy()

    async def apply_service(self, stack: Stack, watch: ContainerWatch, update: ServiceUpdate) -> Readiness:
        """Bring one service to what a model says, and wait until it is ready; see `ServiceUpdater.run`."""
        wanted = await wanted_service(stack, watch, update)
        return await ServiceUpdater(stack, watch, self.behind_proxy, update, wanted).run()

    async def recreate_service(
        self, stack: Stack, watch: ContainerWatch, update: ServiceUpdate, expect_end: Callable[[str], None]
    ) -> Readiness:
        """Replace what a service has by containers as its model says; what serves goes on beside those that are made.

        All are replaced where none serves or nothing else is wrong, and where only Compose can pass on what they hold.
        `expect_end` is called with the id of each container that is removed. Raises ServiceFailedError.
        """
        definition, wanted = update.definition, await wanted_service(stack, watch, update)
        there = watch.of_service(definition.name)
        staying = [container for container in there if serves(container) and wanted.fits(container)]
        going = tuple(container for container in there if container not in staying)
        is_partial = 0 < len(staying) < definition.replicas and not stack.replaces_by_itself
        is_partial = is_partial and not any(container.unnamed_volumes for container in going)
        for container in going if is_partial else there:
            expect_end(container.id)
        if is_partial:
            with self.behind_proxy.working(stack, definition):
                await Front(stack, definition).drain(going, even_last=False)
                await self.remove_containers(stack, going)
                await watch.inspect([container.id for container in going])
        return await self.apply_service(stack, watch, replace(update, recreate=not is_partial))

    async def remove_service(
        self,
        stack: Stack,
        service: str,
        watch: ContainerWatch,
        report: ServiceReport,
        definition: ServiceDefinition | None = None,
    ) -> None:
        """Stop and remove all containers of a service; with its `definition`, its proxy sends nothing more first."""
        await report(service, ServiceStep.REMOVING, "", None)
        containers = watch.of_service(service)
        if definition is None:
            await self._remove_all(stack, service, containers, watch)
        else:
            with self.behind_proxy.working(stack, definition):
                front = Front(stack, definition, waiting_steps(report, definition))
                await front.drain(containers)
                await self._remove_all(stack, service, containers, watch)
                await front.settle()
        await report(service, ServiceStep.REMOVED, "", None)

    async def stop_service(
        self, stack: Stack, definition: ServiceDefinition, watch: ContainerWatch, report: ServiceReport
    ) -> None:
        """Stop the containers of a service, which stay; its proxy sends nothing more first."""
        await report(definition.name, ServiceStep.STOPPING, "", None)
        containers = watch.of_service(definition.name)
        with self.behind_proxy.working(stack, definition):
            front = Front(stack, definition, waiting_steps(report, definition))
            await front.drain(containers)
            await run_concurrently(stack.stop(container.id) for container in containers)
            await watch.inspect([container.id for container in containers])
            await front.settle()
        await report(definition.name, ServiceStep.STOPPED, "", None)

    async def _remove_all(
        self, stack: Stack, service: str, containers: tuple[ContainerSnapshot, ...], watch: ContainerWatch
    ) -> None:
        ids = [container.id for container in containers]
        await stack.remove_service(service, ids)
        await watch.inspect(ids)

    async def require_served(
        self, stack: Stack, definition: ServiceDefinition, watch: ContainerWatch, report: ServiceReport
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
            await Front(stack, definition, say).require(watch.of_service(service))
        except (ProxyError, ServiceFailedError) as error:
            await report(proxy, ServiceStep.FAILED, error.message, None)
            raise

    async def remove_containers(self, stack: Stack, containers: tuple[ContainerSnapshot, ...]) -> None:
        """Stop and remove containers by id."""
        await run_concurrently(stack.remove(container.id) for container in containers)
