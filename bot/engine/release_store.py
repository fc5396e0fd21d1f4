"""Define how a stack becomes a release, and how releases, their models and their images are kept."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from roas.models.environment import Environment
from roas.models.obstacle import Obstacle
from roas.models.release import Release, ReleaseService
from roas.models.stack import ServiceDefinition, WantedImage


@dataclass(frozen=True, slots=True)
class ResolvedStack:
    """Hold a compose model after merge, interpolation and policy, as it would be deployed; it holds every secret.

    `model` has its configuration files bound from the content store already, images as written. `follows_version` is
    whether the version that is asked for makes any difference, `beside_files` whether the files themselves name
    another. `obstacles` are what its execution would come upon on
    the engine. `inputs` is a hash of what a plan depends on besides: secrets, settings and policy. Of one that
    `is_kept` the content of all files is kept, so that it can be deployed; of one that is only shown it is not.
    """

    environment: Environment
    version: str
    model: Mapping[str, Any] = field(repr=False)
    definitions: Mapping[str, ServiceDefinition]
    warnings: tuple[str, ...] = ()
    follows_version: bool = True
    obstacles: tuple[Obstacle, ...] = ()
    inputs: str = ""
    beside_files: bool = False
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class FoundStack:
    """Hold what was just found of a stack: what its files resolve to, and the content that its images mean."""

    stack: ResolvedStack
    wanted: Mapping[str, WantedImage]


@dataclass(frozen=True, slots=True)
class ReleaseDraft:
    """Hold a release before it has a number: its pinned model is stored under `model_hash` already."""

    version: str
    services: tuple[ReleaseService, ...]
    model_hash: str


class ReleaseStore(Protocol):
    """Make releases of stacks and keep them. Methods raise EngineUnavailableError where the engine is asked in vain."""

    async def resolve(
        self, environment: Environment, version: str | None, *, write_contents: bool = True
    ) -> ResolvedStack:
        """Merge, interpolate and check an environment's compose files.

        `write_contents=False` computes every hash but writes nothing (for a plan). Raises ComposeFileError and
        ComposePolicyError.
        """
        ...

    async def load_model(self, model_hash: str) -> Mapping[str, Any]:
        """Return the stored, pinned model of a release. Raises ReleaseNotRestorableError where it is gone."""
        ...

    def definitions(self, model: Mapping[str, Any]) -> Mapping[str, ServiceDefinition]:
        """Read from a model how each service is to be updated and judged."""
        ...

    async def look_up_images(self, stack: ResolvedStack, services: frozenset[str]) -> Mapping[str, WantedImage]:
        """Return the content that each service's image means now, by pull policy, asking registries where needed.

        Of a stack that is kept, what is built is copied. Raises ImageNotFoundError, RegistryUnavailableError.
        """
        ...

    async def draft_release(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> ReleaseDraft:
        """Pin every image by image ID and store the model; `kept_services` keep their definition from `kept_from`."""
        ...

    async def preview_release(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> Mapping[str, Any]:
        """Return the model that `draft_release` would store for the same; nothing is written."""
        ...

    async def draft_with(
        self, environment: Environment, current: Release, service: str, earlier: Release
    ) -> ReleaseDraft:
        """Draft a release that runs, with one service as an earlier one has it and today's credentials: all else stays.

        Raises ComposePolicyError, ReleaseNotRestorableError.
        """
        ...

    async def adopt(self, environment: Environment, version: str | None = None) -> ReleaseDraft | None:
        """Draft a release of what runs now; None where nothing runs.

        The engine says how the containers are. The files, read for a version, say what no container shows: how a
        service is updated and watched, and where Compose copied something into a container.
        """
        ...

    async def check_release(self, environment: Environment, model_hash: str) -> None:
        """Ask today's policy about the model of a release. Raises ComposePolicyError, with the way out."""
        ...

    async def refresh_credentials(self, environment: Environment, release: Release) -> tuple[str, tuple[str, ...]]:
        """Store the release's model with today's credentials and return its hash, and warnings."""
        ...

    async def preview_refreshed(
        self, environment: Environment, release: Release
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Return the model that `refresh_credentials` would store, and warnings; nothing is written."""
        ...

    async def hash_release(self, environment: Environment, model: Mapping[str, Any]) -> str:
        """Return a hash of what a stored model would run as: with its secrets, today's settings and policy."""
        ...

    async def current_hashes(self, model_hash: str, environment: Environment) -> Mapping[str, str]:
        """Return the configuration hash that each service's container should have under a model."""
        ...

    async def protect(self, release: Release, environment: Environment) -> None:
        """Tag the release's images so that pruning leaves them alone."""
        ...

    async def held_releases(self, environment: Environment, services: Collection[str] | None = None) -> frozenset[int]:
        """Return the numbers of releases of which tags or a model may be held, the tags of these services if given.

        Without them, another project's may be among them.
        """
        ...

    async def unprotect(
        self, release: Release, environment: Environment, *, needed: frozenset[str] = frozenset()
    ) -> None:
        """Remove the tags of a release that is no longer kept, and its model where no other release has it.

        A tag that points to another image is not this release's, and stays; so does a model that is `needed`.
        """
        ...

    async def clear_unused(self, needed: frozenset[str]) -> None:
        """Remove old models that no release holds and that are not `needed`, then old contents in no model."""
        ...

    async def discard_builds(self, names: Collection[str]) -> None:
        """Remove copies of what was built: the release is made."""
        ...

    async def missing_images(self, release: Release, environment: Environment) -> tuple[str, ...]:
        """Return the services of a release whose images are gone; empty where it can be restored."""
        ...
