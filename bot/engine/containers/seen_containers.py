"""Remember what asking about a container told, for as long as the engine lists it as it did before it was asked.

An engine writes what it lists before it tells of an event, but after who asked for a stop has the answer: so this is
for who looks again and again, not for who just did something. A container that runs gets another place in its networks
at each start, which the list has: so one that is listed the same still runs, with the same process. What may change all
the same is its restart policy, by hand; that is looked at when it has ended. The verdict of a health check is in the
list. What was created and never ran stays as it was made; and of what a deployment is moving, nobody wants to know more
than the list tells: how often a process was started again counts from its end on.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from roas.engine.client import EngineClients, engine_address
from roas.engine.containers.snapshots import in_order, listed_containers, take_these
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState

LISTED_WHOLE = frozenset({ContainerState.CREATED, ContainerState.RUNNING})
Listed = Iterable[ContainerSnapshot]
Ask = Callable[[list[str]], tuple[ContainerSnapshot, ...]]


class SeenContainers:
    """Look at all containers of projects; of one that runs as it did at the last look, the engine is not asked."""

    def __init__(self, clients: EngineClients) -> None:
        self._clients = clients
        # By engine and project, what was listed before each container was asked about, and what that told.
        self._known: dict[tuple[str, str], dict[str, tuple[ContainerSnapshot, ContainerSnapshot]]] = {}

    async def look(self, environment: Environment, moving: Collection[str] = ()) -> tuple[ContainerSnapshot, ...]:
        """Return every container of the environment's project, running or not, in order of number.

        Of services that are `moving`, what runs or was never started is told as it is listed.
        """
        place = engine_address(environment), environment.project
        return await self._clients.call(
            environment,
            lambda client: self.compare(
                place,
                listed_containers(client, environment.project),
                lambda ids: take_these(self._clients, client, ids),
                moving,
            ),
        )

    def compare(
        self, place: tuple[str, str], listed: Listed, ask: Ask, moving: Collection[str] = ()
    ) -> tuple[ContainerSnapshot, ...]:
        """Return what is known of the listed containers, once those are asked about that are listed otherwise."""
        known, now = self._known.get(place, {}), {one.id: one for one in listed}
        same = {key: _as_listed(one, *known[key]) for key, one in now.items() if key in known}
        same = {key: both for key, both in same.items() if both[0] == now[key]}
        told = {
            key for key, one in now.items() if key not in same and one.service in moving and one.state in LISTED_WHOLE
        }
        asked = ask(unknown) if (unknown := [key for key in now if key not in same and key not in told]) else ()
        found = same | {one.id: (now[one.id], one) for one in asked}
        self._known[place] = {key: both for key, both in found.items() if _tells_its_starts(*both)}
        return in_order((*(after for _, after in found.values()), *(replace(now[key], endpoints=()) for key in told)))


def _as_listed(
    now: ContainerSnapshot, listed: ContainerSnapshot, asked: ContainerSnapshot
) -> tuple[ContainerSnapshot, ContainerSnapshot]:
    """Return what was listed and asked of a container, with the verdict of its health check as it is listed now."""
    if now.health is listed.health:
        return listed, asked
    return replace(listed, health=now.health), replace(asked, health=now.health)


def _tells_its_starts(listed: ContainerSnapshot, asked: ContainerSnapshot) -> bool:
    """Return whether a container never ran, or runs and has places in networks that it only has since its start."""
    if listed.state is ContainerState.CREATED:
        return asked.never_ran
    running = listed.state is asked.state is ContainerState.RUNNING
    return running and any(endpoint.partition(" ")[2] for endpoint in listed.endpoints)
