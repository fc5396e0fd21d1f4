"""List known versions: to suggest them, and to name the nearest where one does not exist."""

import asyncio

from roas.app.application import Application
from roas.cogs.ops_cog import SUGGEST_WITHIN_SECONDS
from roas.cogs.ttl_cache import TtlCache
from roas.errors import RoasError
from roas.log import get_logger
from roas.models.environment import Environment

log = get_logger(__name__)

RELEASES_SHOWN = 50


class KnownVersions:
    """Find versions of an environment, and of the others."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._cache: TtlCache[tuple[str, ...]] = TtlCache()

    async def close(self) -> None:
        """End what is under way."""
        await self._cache.close()

    async def of(self, target: Environment) -> list[str]:
        """Return the versions of images that are here, then those ever deployed there, then elsewhere; newest first."""
        found = list(await self._cache.ask(target.name, lambda: self._local(target)))
        elsewhere = (name for name in self._application.environments if name != target.name)
        for name in (target.name, *elsewhere):
            found += await self._application.state.releases.versions(name, limit=RELEASES_SHOWN)
        return found

    async def _local(self, target: Environment) -> tuple[str, ...]:
        """Return the versions whose images are on the engine; none where it does not answer soon."""
        try:
            async with asyncio.timeout(SUGGEST_WITHIN_SECONDS):
                return await self._application.stacks.of(target).local_versions()
        except (RoasError, TimeoutError) as error:
            log.info("the versions of local images are not known", environment=target.name, error=str(error))
            return ()
