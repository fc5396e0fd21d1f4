"""Tell a service that somebody stopped from one that broke.

The engine sends `kill` before `die` where it was asked to end a container; a process that ends by itself, or by a
signal from outside the engine, sends `die` alone.
"""

import time

from bot.engine.interface import ContainerEvent
from bot.models.health import ContainerState, ServiceHealth
from bot.monitoring.hysteresis import Clock

# A stop may take as long as the container's grace; a signal sent longer before has nothing to do with an end.
GRACE_SECONDS = 60.0
# A look that began before a stop may end after it: this long, seeing a service at work proves nothing.
LOOK_SECONDS = 5.0
RESTARTED_BY_ENGINE = frozenset({"always", "unless-stopped"})
# Ended well, by Ctrl-C, killed, or terminated: how containers end that are told to.
ORDERLY_CODES = frozenset({0, 130, 137, 143})

Place = tuple[str, str]  # environment, service


class HandStops:
    """Remember who stopped what, as far as the engine's events told."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._signalled: dict[str, float] = {}
        self._stopped: dict[Place, float] = {}
        self._broke: set[Place] = set()

    def take(self, environment: str, event: ContainerEvent, *, by_us: bool) -> bool:
        """Take in an event; tells whether a service broke by it. `by_us`: a deployment or a recovery is at work."""
        place = (environment, event.service)
        match event.action:
            case "kill":
                self._signalled[event.container_id] = self._clock()
            case "die":
                return self._died(place, event, by_us=by_us)
            case "stop" | "pause" | "destroy" if not by_us and place not in self._broke:
                self.stopped(*place)
            case "start" | "unpause":
                self._signalled.pop(event.container_id, None)
                self._stopped.pop(place, None)
                self._broke.discard(place)
        return False

    def is_by_hand(self, environment: str, health: ServiceHealth) -> bool:
        """Tell whether somebody wants a service as it is; what happened before this process began is guessed."""
        place = (environment, health.service)
        if place in self._stopped:
            return True
        return place not in self._broke and looks_stopped(health)

    def is_known(self, environment: str, service: str) -> bool:
        """Tell whether it was seen that somebody stopped a service."""
        return (environment, service) in self._stopped

    def saw_it_end(self, environment: str, service: str) -> bool:
        """Tell whether this process saw how a service ended, by itself or not."""
        place = (environment, service)
        return place in self._stopped or place in self._broke

    def stopped(self, environment: str, service: str) -> None:
        """Note that somebody stopped a service."""
        self._stopped.setdefault((environment, service), self._clock())

    def serves(self, environment: str, service: str) -> None:
        """Note that a service does its work: whatever was stopped of it is not missed."""
        stopped_at = self._stopped.get((environment, service))
        if stopped_at is not None and self._clock() - stopped_at > LOOK_SECONDS:
            del self._stopped[environment, service]
        self._broke.discard((environment, service))

    def broke(self, environment: str, service: str) -> None:
        """Note from elsewhere (the journal) that a service broke by itself."""
        self._broke.add((environment, service))

    def _died(self, place: Place, event: ContainerEvent, *, by_us: bool) -> bool:
        signalled = self._signalled.pop(event.container_id, None)
        if by_us:
            return False
        if signalled is not None and self._clock() - signalled <= GRACE_SECONDS:
            self.stopped(*place)
            return False
        self._stopped.pop(place, None)
        self._broke.add(place)
        return True


def looks_stopped(health: ServiceHealth) -> bool:
    """Guess from its containers alone whether somebody stopped a service: where that may be, it is left alone."""
    if not health.containers:
        return True
    for container in health.containers:
        ended = container.state is ContainerState.EXITED and not container.oom_killed
        orderly = container.restart_policy in RESTARTED_BY_ENGINE or container.exit_code in ORDERLY_CODES
        if container.state is ContainerState.PAUSED or (ended and orderly):
            return True
    return False
