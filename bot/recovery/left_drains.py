"""Make servers ready again that a bot held or drained at a proxy, and did not live to release."""

from collections.abc import Mapping

from roas.engine.behind_proxy import BehindProxy
from roas.engine.interface import Engine
from roas.errors import RoasError, StateError
from roas.log import get_logger
from roas.models.environment import Environment
from roas.models.stack import ServiceDefinition
from roas.state.manager import StateManager

log = get_logger(__name__)


class LeftDrains:
    """Look at the proxies of each environment's release; what a deployment is changing is its own affair."""

    def __init__(
        self, engine: Engine, state: StateManager, behind: BehindProxy, environments: Mapping[str, Environment]
    ) -> None:
        self._engine = engine
        self._state = state
        self._behind = behind
        self._environments = environments
        self._known: dict[str, tuple[str, tuple[ServiceDefinition, ...]]] = {}

    async def look(self) -> None:
        """Leave no server of a service held or drained that nobody replaces. Raises StateError."""
        for name in sorted(await self._state.releases.released() & self._environments.keys()):
            environment = self._environments[name]
            model_hash = await self._state.releases.applied_model(environment.name)
            lock = await self._state.locks.get(environment.name)
            # One that is paused changes nothing, and may wait for a person for hours.
            if model_hash is None or (lock is not None and not lock.paused):
                continue
            try:
                await self._behind.settle_idle(environment, await self._proxied(environment.name, model_hash))
            except StateError:
                raise
            except RoasError as error:
                log.warning("a proxy cannot be looked at", environment=environment.name, error=error.message)

    async def _proxied(self, environment: str, model_hash: str) -> tuple[ServiceDefinition, ...]:
        """Return the services of a model that have a proxy in front; a model never changes."""
        known = self._known.get(environment)
        if known is None or known[0] != model_hash:
            definitions = self._engine.definitions(await self._engine.load_model(model_hash))
            known = model_hash, tuple(one for one in definitions.values() if one.proxy is not None)
            self._known[environment] = known
        return known[1]
