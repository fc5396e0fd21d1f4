"""Write out in a resolved model what only Compose would know by itself, so that it can be judged and hashed.

- What comes from no file is copied into a container, and is no mount of it. A release binds a file there instead. A
  stack that Compose started has the copy, which is as good: the place of each is noted.
- Whoever joins a container of the stack by its name (`network_mode: container:NAME`) goes where that goes. Compose
  hashes the name, and so do we: what the files said stays with the service.
- The volumes of `volumes_from` are named by each service that takes them, so that a container needs no other one.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from roas.errors import ComposeFileError
from roas.messages.message import said
from roas.stack.model.services import (
    BORROWED,
    COPIED,
    MOUNTED_SECRETS,
    NETWORK_MODE,
    OF_SERVICE,
    SHARED_NAMESPACES,
    WRITTEN,
    services_of,
    with_targets,
)

OF_CONTAINER = "container:"
# What Compose adds itself where a namespace is written as a service's.
DEPENDENCY = {"condition": "service_started", "required": True, "restart": True}


def with_copied_targets(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model as Compose resolves it, in which each service names the places that are copied to."""
    services = {
        name: with_targets(service, COPIED, _targets(service, model)) for name, service in services_of(model).items()
    }
    return {**model, "services": services}


def _targets(service: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[str]:
    for kind, folder in (("configs", "/"), ("secrets", MOUNTED_SECRETS)):
        known = model.get(kind) or {}
        for entry in service.get(kind) or ():
            definition = known.get(entry["source"]) or {}
            if "content" in definition or "environment" in definition:
                yield str(PurePosixPath(folder) / str(entry.get("target") or entry["source"]))


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


def with_shared_volumes(model: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the model with the volumes of `volumes_from` named by each service, and warnings.

    What an image declares is not among them, since only its container would show it; those of a container stay as they
    are written. Raises ComposeFileError for those without a name.
    """
    services = services_of(model)
    if not any(service.get("volumes_from") for service in services.values()):
        return dict(model), ()
    done: dict[str, list[dict[str, Any]]] = {}
    changed = {name: _written_out(name, services, done) for name in services}
    sharing = ", ".join(name for name, service in services.items() if service.get("volumes_from"))
    warning = said(
        "{sharing}: `volumes_from` shares the volumes that the compose file names, not those of an image alone.",
        sharing=sharing,
    )
    return {**model, "services": changed}, (warning,)


def refuse_volumes_of_containers(model: Mapping[str, Any]) -> None:
    """Raise ComposeFileError where a service still takes the volumes of what is no service of the stack."""
    for name, service in services_of(model).items():
        for entry in service.get("volumes_from") or ():
            raise ComposeFileError(
                said("{name} takes the volumes of {entry}, which is no service of this stack.", name=name, entry=entry),
                hint=said("Name the volumes under `volumes` of the service."),
                service=name,
            )


def _written_out(
    name: str, services: Mapping[str, Mapping[str, Any]], done: dict[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    service = services[name]
    depends = dict(service.get("depends_on") or {})
    for entry in service.get("volumes_from") or ():
        source = str(entry).partition(":")[0]
        if source in services:  # Compose starts it first
            depends.setdefault(source, {"condition": "service_started", "required": True})
    fields = {key: value for key, value in service.items() if key not in {"volumes_from", "volumes", "depends_on"}}
    if left := [entry for entry in service.get("volumes_from") or () if str(entry).partition(":")[0] not in services]:
        fields["volumes_from"] = left
    volumes = _volumes(name, services, done)
    fields |= {"volumes": volumes} if volumes else {}
    fields |= {"depends_on": depends} if depends else {}
    own = {volume.get("target") for volume in service.get("volumes") or ()}
    modes = [(str(entry).partition(":")[0], str(entry).endswith(":ro")) for entry in service.get("volumes_from") or ()]
    lent = {str(item["target"]) for source, is_read_only in modes if is_read_only for item in done.get(source) or ()}
    return with_targets(fields, BORROWED, lent - own)


def _volumes(
    name: str, services: Mapping[str, Mapping[str, Any]], done: dict[str, list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Return a service's volumes with those that it takes; its own win, as they do in Docker."""
    if name in done:
        return done[name]
    done[name] = found = [dict(volume) for volume in services[name].get("volumes") or ()]
    for entry in services[name].get("volumes_from") or ():
        source, _, mode = str(entry).partition(":")
        for volume in _volumes(source, services, done) if source in services else ():
            if volume.get("type") == "volume" and not volume.get("source"):
                raise ComposeFileError(
                    said(
                        "{name} takes the volumes of {source}, of which the one at {what} has no name.",
                        name=name,
                        source=source,
                        what=volume.get("target"),
                    ),
                    hint=said("Give it a name, and name it under `volumes` of both."),
                    service=name,
                )
            if volume.get("target") not in {fields.get("target") for fields in found}:
                found.append({**volume, "read_only": True} if mode == "ro" else volume)
    return found
