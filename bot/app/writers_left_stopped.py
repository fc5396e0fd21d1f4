"""Start, in the leader's rounds, what a backup stopped and its deployment could not start again.

That is so where the engine was away until after its end: what was stopped on purpose, no restart policy starts.
"""

import time
from collections.abc import Mapping

from roas.concurrency import run_concurrently
from roas.deploy.data.stopped_writers import start_held
from roas.errors import RoasError
from roas.log import get_logger
from roas.models.environment import Environment
from roas.stack.stacks import Stacks
from roas.state.manager import StateManager

log = get_logger(__name__)
EVERY_SECONDS = 30.0
# Those that ended before so many others are not looked for.
MOST_DEPLOYMENTS = 20


class WritersLeftStopped:
    """Look at the last deployments of each environment that none holds now."""

    def __init__(self, stacks: Stacks, state: StateManager, environments: Mapping[str, Environment]) -> None:
        self._stacks = stacks
        self._state = state
        self._environments = environments
        self._due = float("-inf")

    async def check(self) -> None:
        """Start what is stopped for no deployment any more, once. Raises StateError."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + EVERY_SECONDS
        await run_concurrently(self._check(environment) for environment in self._environments.values())

    async def _check(self, environment: Environment) -> None:
        if await self._state.locks.get(environment.name) is not None:
            return
        ended = await self._state.deployments.list(environment.name, limit=MOST_DEPLOYMENTS, whole=False)
        for deployment in ended:
            if not (deployment.held and deployment.finished):
                continue
            try:
                stopped = await self._state.stops.of(environment.name)
                await start_held(self._stacks.of(environment), deployment, without=stopped.keys())
            except RoasError as error:
                log.warning("what a backup stopped is not started yet", deployment=deployment.id, error=error.message)
                continue
            await self._state.deployments.forget_held(deployment.id)
            log.info("what a backup stopped runs again", deployment=deployment.id)
