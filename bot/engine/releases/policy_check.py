"""Ask today's policy about the model of a release, before anything of it is applied."""

import time
from collections.abc import Awaitable

from roas.engine.client import EngineClients
from roas.engine.model.store import ModelStore
from roas.engine.policy.holdings import EngineHoldings
from roas.engine.resolution.resolver import StackResolver
from roas.models.environment import Environment

# For so long an answer counts: a deployment asks once for each of its services.
FRESH_SECONDS = 15.0


class ReleasePolicy:
    """Judge stored models by the settings of this process."""

    def __init__(self, clients: EngineClients, resolver: StackResolver, models: ModelStore) -> None:
        self._clients = clients
        self._resolver = resolver
        self._models = models
        self._allowed: dict[tuple[str, str], float] = {}

    async def check(
        self, environment: Environment, model_hash: str, asking: Awaitable[EngineHoldings] | None = None
    ) -> None:
        """Raise ComposePolicyError where a release asks for what is not allowed, or not any more.

        What the engine holds is asked now, where nobody is `asking` already.
        """
        judged = environment.name, model_hash
        now = time.monotonic()
        if now - self._allowed.get(judged, -FRESH_SECONDS) < FRESH_SECONDS:
            return
        model = await self._clients.local(lambda: self._models.load(model_hash))
        holdings = await (asking or self._resolver.holdings(environment))
        await self._resolver.check_stored(model, environment, holdings)
        self._allowed = {key: at for key, at in self._allowed.items() if now - at < FRESH_SECONDS} | {judged: now}
