"""Peers without question, for tests of who may take leadership."""

from collections.abc import Iterable

from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot
from roas.models.leader_lease import PeerVerdict, Standing


class EveryPeer:
    """Find every container a peer."""

    async def judge(self, environment: Environment, containers: Iterable[ContainerSnapshot]) -> tuple[PeerVerdict, ...]:
        return tuple(PeerVerdict(container, Standing.PEER) for container in containers)
