"""Subscribe to what a manager announces of a stack: its services, the nodes, and the containers of its own node."""

from typing import Any

from roas.engine.containers.docker_events import ACTIONS, EventSubscription
from roas.engine.docker_client import EngineClient
from roas.engine.interface import ContainerEvent
from roas.engine.labels import STACK
from roas.engine.swarm.names import stack_name


class SwarmSubscription(EventSubscription):
    """Pass on that something of a stack, or a node, has moved; what it was is looked at, since tasks have no events."""

    def _subscribe(self, client: EngineClient) -> Any:
        actions = [*ACTIONS, "remove"]
        return client.events(filters={"type": ["container", "service", "node"], "event": actions}, decode=True)

    def _read(self, raw: dict[str, Any]) -> ContainerEvent | None:
        actor, project = raw.get("Actor") or {}, self._environment.project
        attributes = {str(key): str(value) for key, value in (actor.get("Attributes") or {}).items()}
        kind = str(raw.get("Type", ""))
        is_ours = attributes.get(STACK) == project or attributes.get("name", "").startswith(stack_name(project, ""))
        if kind != "node" and not is_ours:
            return None
        return ContainerEvent(str(raw.get("Action", "")), str(actor.get("ID", "")), "", project, attributes)
