"""Give the services of a Swarm today's logins: a task that is started a week later is pulled with what Swarm has."""

import time
from collections.abc import Mapping

from roas.concurrency import run_concurrently
from roas.engine.interface import Engine
from roas.errors import RoasError
from roas.log import get_logger
from roas.models.environment import Environment
from roas.state.manager import StateManager

log = get_logger(__name__)

EVERY_SECONDS = 60.0


class RenewedLogins:
    """Compare, once a minute, the logins that services were written with, with those of today."""

    def __init__(self, engine: Engine, state: StateManager, environments: Mapping[str, Environment]) -> None:
        self._engine = engine
        self._state = state
        self._environments = environments
        self._due = 0.0

    async def look(self) -> None:
        """Write the services again whose login is another by now; a deployment does so by itself. Raises StateError."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + EVERY_SECONDS
        await run_concurrently(self._renew(one) for one in self._environments.values() if one.on_swarm)

    async def _renew(self, environment: Environment) -> None:
        if await self._state.locks.get(environment.name) is not None:
            return
        try:
            renewed = await self._engine.renew_logins(environment)
        except RoasError as error:
            log.warning("logins were not renewed", environment=environment.name, error=error.message)
            return
        if renewed:
            log.info("renewed the logins of services", environment=environment.name, services=list(renewed))
