"""Find kept releases that cannot be gone back to: somebody pruned their images."""

from typing import Protocol

from roas.engine.stacks import Stacks
from roas.errors import RoasError
from roas.log import get_logger
from roas.models.environment import EngineKind, Environment
from roas.models.release import Release

log = get_logger(__name__)


class KeptReleases(Protocol):
    """List what may be gone back to."""

    async def list(self, environment: str) -> tuple[Release, ...]:
        """Return the releases of an environment that are kept."""
        ...


class LostReleases:
    """Compare the kept releases of an environment with the images that its engine has."""

    def __init__(self, stacks: Stacks, releases: KeptReleases) -> None:
        self._stacks = stacks
        self._releases = releases

    async def find(self, environment: Environment) -> tuple[str, ...]:
        """Return the labels of those of which an image is gone: whoever wants to go back should know before.

        Those of a Swarm are in a registry, which counts how often it is asked: only who goes back asks it.
        """
        if environment.engine is EngineKind.SWARM:
            return ()
        kept = await self._releases.list(environment.name)
        try:
            gone = [bool(await self._stacks.of(environment).missing_images(one)) for one in kept]
        except RoasError as error:
            log.warning("images of releases are not known", environment=environment.name, error=error.message)
            return ()
        return tuple(one.label for one, is_gone in zip(kept, gone, strict=True) if is_gone)
