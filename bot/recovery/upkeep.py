"""Put right, in the leader's rounds, what a killed bot left at proxies, and logins that a Swarm has of before."""

from roas.log import get_logger
from roas.models.environment import Environment
from roas.models.stack import ServiceDefinition
from roas.stack.stacks import Stacks
from roas.stack.updating.behind_proxy import BehindProxy
from roas.state.manager import StateManager

log = get_logger(__name__)


class LeftDrains:
    """Look at the proxies of an environment's release; what a deployment is changing is its own affair."""

    def __init__(self, stacks: Stacks, state: StateManager, behind: BehindProxy) -> None:
        self._stacks = stacks
        self._state = state
        self._behind = behind
        self._known: dict[str, tuple[str, tuple[ServiceDefinition, ...]]] = {}

    async def check(self, environment: Environment) -> None:
        """Leave no server of a service held or drained that nobody replaces. Raises RoasError."""
        model_hash = await self._state.releases.applied_model(environment.name)
        proxied = await self._proxied(environment.name, model_hash) if model_hash else ()
        if not proxied:
            return
        lock = await self._state.locks.get(environment.name)
        # One that is paused may wait for a person for hours, and looks after the service that it asks about.
        if lock is None:
            await self._behind.settle_idle(self._stacks.of(environment), proxied)
        elif lock.is_partial and (holder := await self._state.deployments.get(lock.deployment_id)) is not None:
            asked = {pause.service for pause in holder.pauses[-1:]} | holder.in_canary
            await self._behind.settle_idle(
                self._stacks.of(environment), (definition for definition in proxied if definition.name not in asked)
            )

    async def _proxied(self, environment: str, model_hash: str) -> tuple[ServiceDefinition, ...]:
        """Return the services of a model that have a proxy in front; a model never changes."""
        known = self._known.get(environment)
        if known is None or known[0] != model_hash:
            definitions = self._stacks.definitions(await self._stacks.load_model(model_hash))
            known = model_hash, tuple(definition for definition in definitions.values() if definition.proxy is not None)
            self._known[environment] = known
        return known[1]


async def renew_logins(stacks: Stacks, environment: Environment) -> None:
    """Write the services again whose login is another by now; a deployment does so by itself. Raises EngineError."""
    if renewed := await stacks.of(environment).images.renew_logins():
        log.info("renewed the logins of services", environment=environment.name, services=list(renewed))
