"""Run each environment's stack by the engine that it names: Compose on one machine, or a Swarm."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from roas.concurrency import begun
from roas.engine.compose_releases import holder
from roas.engine.interface import ProgressReport, ReleaseDraft, ResolvedStack
from roas.engine.model.secret_sources import model_secrets
from roas.engine.policy.compose_policy import CONTENTS_FOLDER
from roas.engine.releases.drafter import ReleaseDrafter
from roas.engine.stack_reader import StackReader, on_swarm
from roas.engine.swarm.drafting import SwarmDrafter
from roas.engine.swarm.unsupported import refuse_unsupported, with_unsupported
from roas.errors import ComposePolicyError, without_secrets
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot
from roas.models.release import Release
from roas.models.stack import WantedImage


class StackEngine(StackReader):
    """Do what `ComposeEngine` does, and for environments with `engine: swarm` what differs there."""

    @cached_property
    def _swarm_drafter(self) -> SwarmDrafter:
        return SwarmDrafter(self._clients, self._models, self._contents)

    async def close(self) -> None:
        """Close the connections to every engine."""
        if "_swarm" in vars(self):
            await self._swarm.close()
        await super().close()

    async def resolve(
        self, environment: Environment, version: str | None, *, write_contents: bool = True
    ) -> ResolvedStack:
        """Merge, interpolate and check an environment's compose files."""
        if not on_swarm(environment):
            return await super().resolve(environment, version, write_contents=write_contents)

        def allows(entry: str) -> bool:
            return self._policy.allows_by_name(entry, environment)

        async with begun(self._require_ready_swarm(environment)) as asking:
            try:
                stack = await super().resolve(environment, version, write_contents=write_contents)
            except ComposePolicyError as error:
                model = await self._resolver.written(environment, version)
                with without_secrets(self._redactor.redact):
                    raise with_unsupported(error, model, environment, allows=allows) from error
            contents = self._policy.state_dir / CONTENTS_FOLDER
            refuse_unsupported(stack.model, environment, contents=contents, allows=allows)
            await asking
        obstacles = await self._swarm.obstacles(environment, stack.model)
        return replace(stack, obstacles=(*stack.obstacles, *obstacles))

    async def _require_ready_swarm(self, environment: Environment) -> None:
        await self._swarm.require_manager(environment)
        if not await self._stored(lambda: self._models.held_by(environment.project)):  # it has no release yet
            await self._swarm.require_adoptable(environment)

    async def look_up_images(self, stack: ResolvedStack, services: frozenset[str]) -> Mapping[str, WantedImage]:
        """Return the content that each service's image means now."""
        if on_swarm(stack.environment):
            return await self._swarm.look_up_images(stack, services)
        return await super().look_up_images(stack, services)

    async def adopt(self, environment: Environment, version: str | None = None) -> ReleaseDraft | None:
        """Draft a release of what runs now; None where nothing runs. Raises InvalidRequestError on a Swarm."""
        if not on_swarm(environment):
            return await super().adopt(environment, version)
        found = await self._swarm.adopt(environment, lambda: self._resolver.written(environment, version))
        if found is None:
            return None
        self._redactor.add(model_secrets(found.model))
        return await self._swarm_drafter.draft_model(environment, found.version, found.model, found.references)

    async def refresh_credentials(self, environment: Environment, release: Release) -> tuple[str, tuple[str, ...]]:
        """Return the hash of the release's model; in a Swarm, of the one that it has: with its configs and secrets.

        A Swarm keeps them for as long as a release needs them, and what a failed deployment goes back from may be a
        secret that is wrong.
        """
        if on_swarm(environment):
            await self.check_release(environment, release.model_hash)
            return release.model_hash, ()
        return await super().refresh_credentials(environment, release)

    async def preview_refreshed(
        self, environment: Environment, release: Release
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Return the model that `refresh_credentials` means, and warnings."""
        if on_swarm(environment):
            return await self.load_model(release.model_hash), ()
        return await super().preview_refreshed(environment, release)

    async def protect(self, release: Release, environment: Environment) -> None:
        """Keep a release's model, and the images on the engine."""
        if on_swarm(environment):
            return await self._clients.local(
                lambda: self._models.add_reference(release.model_hash, holder(environment, release))
            )
        return await super().protect(release, environment)

    async def unprotect(
        self, release: Release, environment: Environment, *, needed: frozenset[str] = frozenset()
    ) -> None:
        """Remove what a release held that is no longer kept; in a Swarm, configs and secrets that no model names."""
        await super().unprotect(release, environment, needed=needed)
        if on_swarm(environment):
            await self._swarm.remove_unneeded(environment)

    async def missing_images(self, release: Release, environment: Environment) -> tuple[str, ...]:
        """Return the services of a release whose images are gone; those of a Swarm are the registry's to keep."""
        if on_swarm(environment):
            return await self._swarm.missing_images(release, environment)
        return await super().missing_images(release, environment)

    async def last_writer(self, environment: Environment) -> str:
        """Return the newest deployment that wrote a service that a Swarm has; containers say none."""
        return await self._swarm.last_writer(environment) if on_swarm(environment) else ""

    async def pull(
        self, environment: Environment, image: WantedImage, services: tuple[str, ...], report: ProgressReport
    ) -> str:
        """Pull an image and return its image ID; the nodes of a Swarm pull by themselves."""
        if on_swarm(environment):
            return str(image.digest)
        return await super().pull(environment, image, services, report)

    async def create_service(
        self,
        environment: Environment,
        model_hash: str,
        service: str,
        *,
        beside: bool = False,
        anew: bool = False,
        spared: frozenset[str] = frozenset(),
        seen: tuple[ContainerSnapshot, ...] | None = None,
        at_most: int | None = None,
        deployment: str = "",
    ) -> tuple[str, ...]:
        """Create a service's containers, or write it to a Swarm; returns the ids that are to be started."""
        if on_swarm(environment):
            await self.check_release(environment, model_hash)
            return await self._swarm.create_service(environment, model_hash, service, anew=anew, deployment=deployment)
        return await super().create_service(
            environment, model_hash, service, beside=beside, anew=anew, spared=spared, seen=seen, at_most=at_most
        )

    async def create_missing(
        self,
        environment: Environment,
        model_hash: str,
        chosen: frozenset[str] | None = None,
        *,
        created: Callable[[tuple[ContainerSnapshot, ...]], None] = lambda _made: None,
    ) -> tuple[ContainerSnapshot, ...]:
        """Create what is shared, and on one machine the containers that are missing, which are returned."""
        if on_swarm(environment):
            await self._swarm.create_missing(environment, model_hash)
            return ()
        return await super().create_missing(environment, model_hash, chosen, created=created)

    async def remove_service(self, environment: Environment, service: str, container_ids: Iterable[str]) -> None:
        """Stop and remove all containers of a service; on a Swarm, the service."""
        if on_swarm(environment):
            return await self._swarm.remove_service(environment, service)
        return await super().remove_service(environment, service, container_ids)

    async def start(self, environment: Environment, container_id: str) -> None:
        """Start a container; a Swarm starts tasks by itself."""
        if not on_swarm(environment):
            await super().start(environment, container_id)

    async def stop(self, environment: Environment, container_id: str) -> None:
        """Stop a container; a Swarm stops tasks in the order of the update."""
        if not on_swarm(environment):
            await super().stop(environment, container_id)

    async def remove(self, environment: Environment, container_id: str, *, grace_seconds: float | None = None) -> None:
        """Stop and remove a container by id; a Swarm removes tasks that it replaced by itself."""
        if not on_swarm(environment):
            await super().remove(environment, container_id, grace_seconds=grace_seconds)

    async def hold_restarts(self, environment: Environment, services: Iterable[str]) -> None:
        """Let no container of these services be started again by the engine; in a Swarm nothing binds the host."""
        if not on_swarm(environment):
            await super().hold_restarts(environment, services)

    async def release_restarts(self, environment: Environment, model_hash: str, services: Iterable[str]) -> None:
        """Give the containers of these services their restart policy again."""
        if not on_swarm(environment):
            await super().release_restarts(environment, model_hash, services)

    async def sweep(
        self, environment: Environment, service: str | None = None, *, spared: frozenset[str] = frozenset()
    ) -> tuple[str, ...]:
        """Repair what a killed Compose left; a Swarm is left nothing half-made."""
        return () if on_swarm(environment) else await super().sweep(environment, service, spared=spared)

    async def name_images(self, environment: Environment, model_hash: str) -> Mapping[str, str]:
        """Let the names that the files have for images mean those of a model; the nodes of a Swarm go by digests."""
        return {} if on_swarm(environment) else await super().name_images(environment, model_hash)

    async def renew_logins(self, environment: Environment) -> tuple[str, ...]:
        """Let a Swarm pull with today's logins; returns the services that it was told so of."""
        return await self._swarm.renew_logins(environment) if on_swarm(environment) else ()

    def _drafter_for(self, environment: Environment) -> ReleaseDrafter:
        return self._swarm_drafter if on_swarm(environment) else self._drafter
