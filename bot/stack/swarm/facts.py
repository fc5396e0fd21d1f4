"""Read what a manager says of the Swarm, and what an engine is in it."""

from collections.abc import Mapping
from typing import Any

from roas.errors import EngineError, NoQuorumError
from roas.messages.message import said
from roas.models.swarm import MANAGER_HINT, QUORUM_HINT, SwarmFacts, SwarmNode
from roas.stack.swarm.calls import SwarmCalls, locked
from roas.stack.swarm.tasks import hostname

MANAGER, WORKER, LOCKED = "active/manager", "active/worker", "locked"
# It begins, or does not find the others.
STARTING = frozenset({"pending", "error", "active/pending", "active/error"})


def no_manager(state: str, name: str, address: str) -> EngineError:
    """Return the error for an engine of an environment, by what Docker says that it is."""
    if state == LOCKED:
        return locked(address)
    if state in STARTING:
        text = said("The engine of {environment} is not ready in its Swarm.", environment=name)
        return NoQuorumError(text, hint=QUORUM_HINT)
    text = said("The engine of {environment} is no manager of a Swarm.", environment=name)
    if state == WORKER:
        return EngineError(text, hint=MANAGER_HINT)
    return EngineError(text, hint=said("Run `docker swarm init` there, or name a manager by `docker_host`."))


def swarm_facts(calls: SwarmCalls) -> SwarmFacts:
    """Ask a manager about its Swarm, but for which node it is."""
    return SwarmFacts(calls.cluster_id(), "", tuple(map(swarm_node, calls.nodes())))


def swarm_node(found: Mapping[str, Any]) -> SwarmNode:
    """Read a node as a manager shows it."""
    spec, status = found.get("Spec") or {}, found.get("Status") or {}
    about, manager = found.get("Description") or {}, found.get("ManagerStatus") or {}
    engine, platform = (about.get(key) or {} for key in ("Engine", "Platform"))
    return SwarmNode(
        id=str(found["ID"]),
        hostname=hostname(found),
        state=str(status.get("State") or "unknown"),
        availability=str(spec.get("Availability") or "active"),
        message=str(status.get("Message") or ""),
        address=str(status.get("Addr") or ""),
        reachability=str(manager.get("Reachability") or "unknown") if manager else "",
        is_leader=bool(manager.get("Leader")),
        engine_version=str(engine.get("EngineVersion") or ""),
        system=str(platform.get("OS") or ""),
        architecture=str(platform.get("Architecture") or ""),
        labels=dict(spec.get("Labels") or {}),
        engine_labels=dict(engine.get("Labels") or {}),
    )
