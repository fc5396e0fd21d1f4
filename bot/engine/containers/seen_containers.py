"""Remember what asking about a container told, for as long as the engine lists it as it did before it was asked.

An engine writes what it lists before it tells of an event, but after who asked for a stop has the answer: so this is
for who looks again and again, not for who just did something. A container that runs gets another place in its networks
at each start, which the list has: so one that is listed the same still runs, with the same process. What may change all
the same is its restart policy, by hand; that is looked at when it has ended.
"""

from collections.abc import Callable, Iterable

from roas.engine.client import EngineClients, engine_address
from roas.engine.containers.snapshots import in_order, listed_containers, take_these
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState

Listed = Iterable[ContainerSnapshot]
Ask = Callable[[list[str]], tuple[ContainerSnapshot, ...]]


class SeenContainers:
    """Look at all containers of projects; of one that runs as it did at the last look, the engine is not asked."""

    def __init__(self, clients: EngineClients) -> None:
        self._clients = clients
        # By engine and project, what was listed before each container was asked about, and what that told.
        self._known: dict[tuple[str, str], dict[str, tuple[ContainerSnapshot, ContainerSnapshot]]] = {}

    async def look(self, environment: Environment) -> tuple[ContainerSnapshot, ...]:
        """Return every container of the environment's project, running or not, in order of number."""
        place = engine_address(environment), environment.project
        return await self._clients.call(
            environment,
            lambda client: self.compare(
                place,
                listed_containers(client, environment.project),
                lambda ids: take_these(self._clients, client, ids),
            ),
        )

    def compare(self, place: tuple[str, str], listed: Listed, ask: Ask) -> tuple[ContainerSnapshot, ...]:
        """Return what is known of the listed containers, once those are asked about that are listed otherwise."""
        known, now = self._known.get(place, {}), {one.id: one for one in listed}
        same = {key: known[key] for key, one in now.items() if key in known and known[key][0] == one}
        asked = ask([key for key in now if key not in same]) if len(same) < len(now) else ()
        found = same | {one.id: (now[one.id], one) for one in asked}
        self._known[place] = {key: both for key, both in found.items() if _tells_its_starts(*both)}
        return in_order(after for _, after in found.values())


def _tells_its_starts(listed: ContainerSnapshot, asked: ContainerSnapshot) -> bool:
    """Return whether a container runs, and has places in networks that it only has since it was started."""
    running = listed.state is asked.state is ContainerState.RUNNING
    return running and any(endpoint.partition(" ")[2] for endpoint in listed.endpoints)
