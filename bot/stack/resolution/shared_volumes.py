"""Write out `volumes_from`, so that what a service is given can be judged, and a container needs no other one."""

from collections.abc import Mapping
from typing import Any

from roas.errors import ComposeFileError
from roas.messages.message import said
from roas.stack.model.services import BORROWED, services_of, with_targets


def with_shared_volumes(model: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the model with the volumes of `volumes_from` named by each service, and warnings.

    What an image declares is not among them, since only its container would show it. Raises ComposeFileError for
    the volumes of a container, and for those without a name.
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
        if source not in services:
            raise ComposeFileError(
                said("{name} takes the volumes of {entry}, which is no service of this stack.", name=name, entry=entry),
                hint=said("Name the volumes under `volumes` of the service."),
                service=name,
            )
        for volume in _volumes(source, services, done):
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
