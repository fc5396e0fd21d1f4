"""See to it that an environment's Swarm is the one that it was deployed to, whichever of its addresses answers."""

import math
import time
from weakref import WeakKeyDictionary

from roas.errors import OtherSwarmError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.swarm import KnownSwarm
from roas.stack.docker.sdk import EngineClient
from roas.stack.interface import KnownSwarms
from roas.stack.swarm.calls import SwarmCalls

# For so long an answer counts: a node leaves a Swarm and joins another one while its client stays open.
FRESH_SECONDS = 10.0


class SameSwarm:
    """Know which Swarm an environment's is: by the settings, else the one that it was first deployed to."""

    def __init__(self, environment: Environment, known: KnownSwarms | None = None) -> None:
        self._environment = environment
        self._known = known
        self._id = environment.swarm_id
        self._is_noted = known is None
        self._seen: WeakKeyDictionary[EngineClient, float] = WeakKeyDictionary()

    async def wanted(self) -> str:
        """Return the id of the Swarm that may be asked; empty where it was deployed to none yet."""
        if not self._id and self._known is not None:
            self._id = await self._known.id_of(self._environment.name)
        return self._id

    def require(self, calls: SwarmCalls, client: EngineClient, wanted: str) -> None:
        """Raise OtherSwarmError where a manager is of another Swarm; it is asked once in a while. Blocks."""
        if not wanted or time.monotonic() - self._seen.get(client, -math.inf) < FRESH_SECONDS:
            return
        found = calls.cluster_id()
        if found != wanted:
            raise OtherSwarmError(
                said(
                    "{address} is a manager of the Swarm {found}; {environment} was deployed to the Swarm {wanted}.",
                    address=client.address,
                    found=found,
                    environment=self._environment.name,
                    wanted=wanted,
                ),
                hint=said(
                    "Correct `docker_host` and `managers`; where that Swarm is meant, set `swarm_id` of {environment} "
                    "to {found}.",
                    environment=self._environment.name,
                    found=found,
                ),
            )
        self._seen[client] = time.monotonic()

    @property
    def is_noted(self) -> bool:
        """Return whether the journal has by now which Swarm it is."""
        return self._is_noted

    async def note(self, found: str) -> None:
        """Write down that the environment is deployed to a Swarm."""
        if self._known is not None:
            await self._known.note(KnownSwarm(self._environment.name, found))
        self._id, self._is_noted = found, True
