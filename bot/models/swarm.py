"""Describe what a manager says of its Swarm: how its nodes are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from roas.messages.message import said

READY, ACTIVE, DRAIN = "ready", "active", "drain"
UNKNOWN = "unknown"
DOWN = frozenset({"down", "disconnected"})
REACHABLE = "reachable"


@dataclass(frozen=True, slots=True)
class SwarmNode:
    """Hold what is known of one node; `reachability` is that of a manager, and empty of a worker."""

    id: str
    hostname: str
    state: str = READY
    availability: str = ACTIVE
    message: str = ""
    address: str = ""
    reachability: str = ""
    is_leader: bool = False
    engine_version: str = ""
    system: str = ""
    architecture: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    engine_labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_manager(self) -> bool:
        """Return whether it is a manager."""
        return bool(self.reachability)

    @property
    def is_down(self) -> bool:
        """Return whether the managers have lost it."""
        return self.state in DOWN

    @property
    def takes_tasks(self) -> bool:
        """Return whether Swarm would start a task there now."""
        return self.state == READY and self.availability == ACTIVE


class Absence(StrEnum):
    """Why nobody of a Swarm answers: people put each right in another way."""

    NO_QUORUM = "no_quorum"
    NO_MANAGER = "no_manager"
    LOCKED = "locked"


LOCKED_HINT = said("Run `docker swarm unlock` there.")
MANAGER_HINT = said("Promote its node (`docker node promote`), or name another manager by `docker_host`.")
QUORUM_HINT = said("More than half of the managers must be up and reach each other; nothing is written until then.")


@dataclass(frozen=True, slots=True)
class KnownSwarm:
    """Say which Swarm an environment was deployed to."""

    environment: str
    id: str


@dataclass(frozen=True, slots=True)
class QuorumLosses:
    """Hold how often a Swarm was seen without a quorum since this process began; it only grows.

    So do the seconds in which none of its managers answered, or said that there is no quorum. `away_seconds` are those
    since the last answer, where there is none now, and `absence` is why there was none last.
    """

    times: int = 0
    seconds: float = 0.0
    away_seconds: float = field(default=0.0, compare=False)
    absence: Absence = field(default=Absence.NO_QUORUM, compare=False)


@dataclass(frozen=True, slots=True)
class SwarmFacts:
    """Hold what a manager says: the Swarm's id, the node that was asked, and all nodes.

    Where several addresses are known, `answering` is the one that answered, and `unresponsive` are those that do not.
    """

    id: str
    own_node_id: str
    nodes: tuple[SwarmNode, ...]
    answering: str = ""
    unresponsive: tuple[str, ...] = ()

    @property
    def managers(self) -> tuple[SwarmNode, ...]:
        """Return the nodes that are managers."""
        return tuple(node for node in self.nodes if node.is_manager)

    @property
    def reachable_managers(self) -> int:
        """Return how many managers reach each other."""
        return sum(manager.reachability == REACHABLE for manager in self.managers)

    @property
    def spare_managers(self) -> int:
        """Return how many more managers may be lost before nothing can be written; negative where too many are."""
        return self.reachable_managers - (len(self.managers) // 2 + 1)

    @property
    def is_settled(self) -> bool:
        """Return whether a manager leads, and knows of each node whether it is there.

        One that was elected a moment ago has not heard of each, also of those whose managers it reaches.
        """
        known = all(manager.state == READY for manager in self.managers if manager.reachability == REACHABLE)
        return (
            known
            and any(manager.is_leader for manager in self.managers)
            and all(node.state != UNKNOWN for node in self.nodes)
        )
