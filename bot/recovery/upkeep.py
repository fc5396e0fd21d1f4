"""Put right, in the leader's rounds, what a killed bot left at proxies, and logins that a Swarm has of before."""

import time
from collections.abc import Mapping

from roas.concurrency import run_concurrently
from roas.errors import RoasError, StateError
from roas.log import get_logger
from roas.models.environment import Environment
from roas.models.stack import ServiceDefinition
from roas.stack.stacks import Stacks
from roas.stack.updating.behind_proxy import BehindProxy
from roas.state.manager import StateManager

log = get_logger(__name__)
EVERY_SECONDS = 60.0


class LeftDrains:
    """Look at the proxies of each environment's release; what a deployment is changing is its own affair."""

    def __init__(
        self, stacks: Stacks, state: StateManager, behind: BehindProxy, environments: Mapping[str, Environment]
    ) -> None:
        self._stacks = stacks
        self._state = state
        self._behind = behind
        self._environments = environments
        self._known: dict[str, tuple[str, tuple[ServiceDefinition, ...]]] = {}

    async def check(self) -> None:
        """Leave no server of a service held or drained that nobody replaces. Raises StateError."""
        applied = await self._state.releases.applied_by_environment()
        known = sorted(applied.keys() & self._environments.keys())
        await run_concurrently(self._check(name, applied[name]) for name in known)

    async def _check(self, name: str, model_hash: str) -> None:
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
            await self._behind.settle_idle(self._stacks.of(environment), proxied)
        elif lock.paused and (paused := await self._state.deployments.get(lock.deployment_id)) is not None:
            asked = {pause.service for pause in paused.pauses[-1:]} | paused.in_canary
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


class RenewedLogins:
    """Compare, once a minute, the logins that services were written with, with those of today."""

    def __init__(self, stacks: Stacks, state: StateManager, environments: Mapping[str, Environment]) -> None:
        self._stacks = stacks
        self._state = state
        self._environments = environments
        self._due = 0.0

    async def check(self) -> None:
        """Write the services again whose login is another by now; a deployment does so by itself. Raises StateError."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + EVERY_SECONDS
        await run_concurrently(self._renew(environment) for environment in self._environments.values())

    async def _renew(self, environment: Environment) -> None:
        if await self._state.locks.get(environment.name) is not None:
            return
        try:
            renewed = await self._stacks.of(environment).images.renew_logins()
        except RoasError as error:
            log.warning("logins were not renewed", environment=environment.name, error=error.message)
            return
        if renewed:
            log.info("renewed the logins of services", environment=environment.name, services=list(renewed))
