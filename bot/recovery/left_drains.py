"""Make servers ready again that a bot held or drained at a proxy, and did not live to release."""

from collections.abc import Mapping

from roas.concurrency import run_concurrently
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
        applied = await self._state.releases.applied_by_environment()
        known = sorted(applied.keys() & self._environments.keys())
        await run_concurrently(self._look_at(name, applied[name]) for name in known)

    async def _look_at(self, name: str, model_hash: str) -> None:
        try:
            if proxied := await self._proxied(name, model_hash):
                await self._settle(self._environments[name], proxied)
        except StateError:
            raise
        except RoasError as error:
            log.warning("a proxy cannot be looked at", environment=name, error=error.message)

    async def _settle(self, environment: Environment, proxied: tuple[ServiceDefinition, ...]) -> None:
        lock = await self._state.locks.get(environment.name)
        # One that is paused may wait for a person for hours, and looks after the service that it asks about.
        if lock is None:
            await self._behind.settle_idle(environment, proxied)
        elif lock.paused and (paused := await self._state.deployments.get(lock.deployment_id)) is not None:
            asked = {one.service for one in paused.pauses[-1:]}
            await self._behind.settle_idle(environment, (one for one in proxied if one.name not in asked))

    async def _proxied(self, environment: str, model_hash: str) -> tuple[ServiceDefinition, ...]:
        """Return the services of a model that have a proxy in front; a model never changes."""
        known = self._known.get(environment)
        if known is None or known[0] != model_hash:
            definitions = self._engine.definitions(await self._engine.load_model(model_hash))
            known = model_hash, tuple(one for one in definitions.values() if one.proxy is not None)
            self._known[environment] = known
        return known[1]
