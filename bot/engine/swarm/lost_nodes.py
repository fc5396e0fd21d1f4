"""Know which nodes are lost, for who follows a job: Swarm moves a service from a node that is down, and no job."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from roas.engine.swarm.stack_look import DOWN, hostname

Json = dict[str, Any]
# How often the nodes are asked about: Swarm itself takes some fifteen seconds to know that one is down.
LOOK_SECONDS = 3.0
# How long one is down before it counts as lost: an engine that is restarted is back sooner.
LOST_SECONDS = 15.0


class LostNodes:
    """Look at the nodes now and then, and know for how long each has been down."""

    def __init__(self, ask: Callable[[], Awaitable[Iterable[Json]]]) -> None:
        self._ask = ask
        self._next_look = time.monotonic() + LOOK_SECONDS
        self._down: dict[str, tuple[str, float]] = {}

    async def find(self) -> Mapping[str, str]:
        """Return the names of the lost nodes by id. Raises EngineUnavailableError."""
        now = time.monotonic()
        if self._next_look <= now:
            self._next_look = now + LOOK_SECONDS
            nodes = await self._ask()
            down = {str(one["ID"]): hostname(one) for one in nodes if (one.get("Status") or {}).get("State") in DOWN}
            self._down = {key: self._down.get(key, (name, now)) for key, name in down.items()}
        return {key: name for key, (name, since) in self._down.items() if now - since > LOST_SECONDS}
