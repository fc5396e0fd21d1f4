"""Find the container that this process runs in, and the environment that it belongs to."""

import asyncio

from roas.application import Application
from roas.concurrency import end_tasks
from roas.errors import RoasError
from roas.lasting_trouble import LastingTrouble
from roas.log import get_logger
from roas.models.environment import Environment
from roas.models.facts import OwnContainer

log = get_logger(__name__)


class OwnPlace:
    """Hold where this process runs; outside of containers, or while the engine does not answer, it has none."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._is_known = False
        self._trouble = LastingTrouble()
        self._looking: asyncio.Task[None] | None = None
        self.container: OwnContainer | None = None
        self.home: Environment | None = None

    @property
    def container_id(self) -> str:
        """Return the id of the container, or an empty text."""
        return self.container.id if self.container else ""

    @property
    def project(self) -> str:
        """Return the Compose project of the container, or an empty text."""
        return self.container.project if self.container else ""

    async def find(self) -> None:
        """Look for it, until it is known; an engine that is not available is asked again the next time.

        Only the first look is waited for: who leads has to say so, however long an engine hangs.
        """
        if self._is_known:
            return
        before = self._looking
        if before is not None and not before.done():
            return
        self._looking = asyncio.create_task(self._look(), name="own container")
        if before is None:
            await self._looking
        elif not before.cancelled():
            before.result()  # what it raised that is no engine's fault

    async def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            await end_tasks(self._looking)

    async def _look(self) -> None:
        """Ask all engines at the same time: whichever has it, the others need not answer."""
        looks = [asyncio.ensure_future(self._look_in(one)) for one in self._application.environments.values()]
        try:
            is_certain = True
            for look in asyncio.as_completed(looks):
                is_certain &= await look
                if self.home is not None:
                    break
            self._is_known = is_certain or self.home is not None
        finally:
            await end_tasks(*looks)

    async def _look_in(self, environment: Environment) -> bool:
        """Return whether an environment is known to be its own, or not to be."""
        try:
            own = await self._application.own_container(environment)
        except RoasError as error:
            if self._trouble.is_new(environment.name, error.message):
                log.warning("own container could not be determined", environment=environment.name, error=error.message)
            return False
        self._trouble.is_over(environment.name)
        if own is not None:
            self.container, self.home = own, environment
        return True
