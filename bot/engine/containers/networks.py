"""Check which networks of a model exist."""

from collections.abc import Mapping
from typing import Any

import docker

from roas.engine.client import EngineClients
from roas.models.environment import Environment


async def missing_networks(
    clients: EngineClients, environment: Environment, model: Mapping[str, Any]
) -> frozenset[str]:
    """Return the keys of a model's own networks that the engine does not have yet."""
    names = {
        key: str((definition or {}).get("name") or f"{model['name']}_{key}")
        for key, definition in (model.get("networks") or {}).items()
        if not (definition or {}).get("external")
    }

    def look(client: docker.DockerClient) -> frozenset[str]:
        there = {network["Name"] for network in client.api.networks()}
        return frozenset(key for key, name in names.items() if name not in there)

    return await clients.call(environment, look) if names else frozenset()
