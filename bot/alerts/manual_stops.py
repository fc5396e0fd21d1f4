"""Tell what somebody stopped from what failed by itself, by the engine's events and by how containers ended."""

import time
from collections.abc import Iterable

from roas.health.verdicts import Clock
from roas.models.health import ORDERLY_CODES, ContainerSnapshot, ContainerState, ServiceHealth
from roas.stack.containers.docker_events import asks_to_end
from roas.stack.interface import ContainerEvent

# A stop may take as long as the container's grace; a signal sent longer before has nothing to do with an end.
GRACE_SECONDS = 60.0
# A look that began before a stop may end after it: this long, seeing a service at work proves nothing.
LOOK_SECONDS = 5.0
RESTARTED_BY_ENGINE = frozenset({"always", "unless-stopped"})

Place = tuple[str, str]  # environment, service


class ManualStops:
    """Remember who stopped what, as far as the engine's events show."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._signalled: dict[str, float] = {}
        self._stopped: dict[Place, float] = {}
        self._failed: set[Place] = set()
        self._stop_signals: dict[str, int] = {}

    def learn_stop_signals(self, containers: Iterable[ContainerSnapshot]) -> None:
        """Remember by which signals containers want to be stopped."""
        own = {container.id: container.stop_signal for container in containers if container.stop_signal is not None}
        self._stop_signals.update(own)

    def handle_event(self, environment: str, event: ContainerEvent, *, by_us: bool) -> bool:
        """Process an event; returns whether a service failed by it. `by_us`: a deployment or a recovery is running."""
        place = (environment, event.service)
        if event.action == "destroy":
            self._stop_signals.pop(event.container_id, None)
        match event.action:
            case "kill" if asks_to_end(event, self._stop_signals.get(event.container_id)):
                self._signalled[event.container_id] = self._clock()
            case "die":
                return self._handle_exit(place, event, by_us=by_us)
            case "stop" | "pause" | "destroy" if not by_us and place not in self._failed:
                self.mark_stopped(*place)
            case "start" | "unpause":
                self._signalled.pop(event.container_id, None)
                self._stopped.pop(place, None)
                self._failed.discard(place)
        return False

    def seems_manual(self, environment: str, health: ServiceHealth) -> bool:
        """Return whether the state of a service is intended; what happened before this process began is guessed."""
        place = (environment, health.service)
        if place in self._stopped:
            return True
        return place not in self._failed and seems_stopped(health)

    def is_known_stop(self, environment: str, service: str) -> bool:
        """Return whether a manual stop of a service was seen."""
        return (environment, service) in self._stopped

    def has_seen_end(self, environment: str, service: str) -> bool:
        """Return whether this process saw how a service ended, by itself or not."""
        place = (environment, service)
        return place in self._stopped or place in self._failed

    def mark_stopped(self, environment: str, service: str) -> None:
        """Record a manual stop of a service."""
        self._stopped.setdefault((environment, service), self._clock())

    def mark_serving(self, environment: str, service: str) -> None:
        """Record that a service runs: what was stopped of it before does not matter."""
        stopped_at = self._stopped.get((environment, service))
        if stopped_at is not None and self._clock() - stopped_at > LOOK_SECONDS:
            del self._stopped[environment, service]
        self._failed.discard((environment, service))

    def mark_failed(self, environment: str, service: str) -> None:
        """Record from elsewhere (the journal) that a service failed by itself."""
        self._failed.add((environment, service))

    def _handle_exit(self, place: Place, event: ContainerEvent, *, by_us: bool) -> bool:
        signalled = self._signalled.pop(event.container_id, None)
        if by_us:
            return False
        if signalled is not None and self._clock() - signalled <= GRACE_SECONDS:
            self.mark_stopped(*place)
            return False
        self._stopped.pop(place, None)
        self._failed.add(place)
        return True


def seems_stopped(health: ServiceHealth) -> bool:
    """Guess from its containers alone whether a service was stopped manually: if it may be, it is left alone."""
    if not health.containers:
        return True
    for container in health.containers:
        ended = container.state is ContainerState.EXITED and not container.oom_killed
        orderly = container.restart_policy in RESTARTED_BY_ENGINE or container.exit_code in ORDERLY_CODES
        if container.state is ContainerState.PAUSED or (ended and orderly):
            return True
    return False
