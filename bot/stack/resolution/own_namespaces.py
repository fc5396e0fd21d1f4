"""Recognize a service of the stack in `network_mode: container:NAME`: whoever joins it goes where it goes.

Compose hashes the name, and so do we: what the files said stays with the service.
"""

from collections.abc import Mapping
from typing import Any

from roas.stack.model.services import NETWORK_MODE, OF_SERVICE, SHARED_NAMESPACES, WRITTEN, services_of

OF_CONTAINER = "container:"
# What Compose adds itself where a namespace is written as a service's.
DEPENDENCY = {"condition": "service_started", "required": True, "restart": True}


def with_own_namespaces(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """Name the service where a namespace is that of a container which has its name from this model.

    Docker looks the name up once, when the container is created: it must be recreated with the one that it joined.
    """
    owners = _owners(model)
    services = {name: _renamed(name, service, owners) for name, service in services_of(model).items()}
    return {**model, "services": services}


def _owners(model: Mapping[str, Any]) -> dict[str, str]:
    """Return the service behind the name of each container that the model makes and that has a fixed name."""
    return {
        str(service.get("container_name") or f"{model.get('name')}-{name}-1"): name
        for name, service in services_of(model).items()
    }


def _renamed(name: str, service: Mapping[str, Any], owners: Mapping[str, str]) -> Mapping[str, Any]:
    joined: dict[str, str] = {}
    for key in SHARED_NAMESPACES:
        mode = str(service.get(key) or "")
        owner = owners.get(mode.removeprefix(OF_CONTAINER)) if mode.startswith(OF_CONTAINER) else None
        if owner is not None and owner != name:
            joined[key] = owner
    if not joined:
        return service
    extension = dict(service.get("x-deploy") or {})
    if joined.keys() == {NETWORK_MODE}:  # of the others, the engine's list of containers tells nothing
        extension[WRITTEN] = {key: service.get(key) for key in (NETWORK_MODE, "depends_on")}
    dependencies = {owner: dict(DEPENDENCY) for owner in joined.values()} | dict(service.get("depends_on") or {})
    modes = {key: f"{OF_SERVICE}{owner}" for key, owner in joined.items()}
    return {**service, **modes, "depends_on": dependencies} | ({"x-deploy": extension} if extension else {})
