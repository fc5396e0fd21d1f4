"""Find the container that this process runs in, and the environment that it belongs to."""

from roas.application import Application
from roas.errors import RoasError
from roas.log import get_logger
from roas.models.environment import Environment
from roas.models.facts import OwnContainer

log = get_logger(__name__)


class OwnPlace:
    """Hold where this process runs; outside of containers, or while the engine does not answer, it has none."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._is_known = False
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
        """Look for it, until it is known; an engine that is not available is asked again the next time."""
        if self._is_known:
            return
        self._is_known = True
        for environment in self._application.environments.values():
            try:
                own = await self._application.own_container(environment)
            except RoasError as error:
                log.warning("own container could not be determined", error=error.message)
                self._is_known = False
                continue
            if own is not None:
                self.container, self.home, self._is_known = own, environment, True
                return
