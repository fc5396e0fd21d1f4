"""Remember how the stacks of Swarms were seen last: without a quorum, nothing can be read of them."""

import time
from collections.abc import Callable

from roas.models.environment import Environment
from roas.models.health import StackHealth
from roas.state.seen_stacks import SeenStacks

# How old what is on the disk may be, where nothing but the time has changed.
KEPT_SECONDS = 30.0


class LastKnown:
    """Keep the last sight of each stack on a Swarm, here and on the disk; on one machine nothing is kept."""

    def __init__(self, seen: SeenStacks | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._seen = seen
        self._clock = clock
        self._known: dict[str, StackHealth] = {}
        self._kept: dict[str, tuple[object, float]] = {}

    async def remember(self, environment: Environment, stack: StackHealth) -> None:
        """Keep a sight of a stack."""
        if not environment.on_swarm:
            return
        self._known[environment.name] = stack
        shown = [(one.service, one.verdict, one.reason, one.nodes) for one in stack.services]
        before, at = self._kept.get(environment.name, (None, 0.0))
        if self._seen is not None and (shown != before or self._clock() - at >= KEPT_SECONDS):
            self._kept[environment.name] = shown, self._clock()
            await self._seen.save(stack)

    async def recall(self, environment: Environment) -> StackHealth | None:
        """Return the last sight of a stack; None where there is none."""
        if not environment.on_swarm:
            return None
        known = self._known.get(environment.name)
        return known if known is not None or self._seen is None else await self._seen.load(environment.name)
