"""Pin a resolved model: every image by its content, nothing left to build, to pull or to interpolate."""

from collections.abc import Mapping
from typing import Any

from roas.models.stack import ServiceDefinition
from roas.stack.images.readable_names import readable_reference
from roas.stack.model.service_dependencies import written
from roas.stack.model.services import (
    ADOPTED_HASH,
    BOUND,
    IMAGE_ID,
    INACTIVE,
    LEFT_OUT,
    OF_RELEASE,
    RECORDED,
    VOLUMES_FROM,
    WRITTEN,
    WRITTEN_BEFORE,
    image_of,
    inactive_services,
    own_volumes,
    services_of,
    written_fields,
)

# Compose orders by these; we order by ourselves, so that creating one service never touches another. Its hash of them
# is taken from the fields as they are written.
DROPPED = frozenset({"build", *LEFT_OUT})
# What a file may not say in the place of a release.
NOT_OF_FILES = OF_RELEASE & {"depends_on", IMAGE_ID, ADOPTED_HASH, WRITTEN, WRITTEN_BEFORE}
MOST_BEFORE = 3
SHARED_KINDS = ("networks", "volumes", "secrets", "configs")


def pin(
    model: Mapping[str, Any],
    definitions: Mapping[str, ServiceDefinition],
    image_ids: Mapping[str, str],
    *,
    kept_model: Mapping[str, Any] | None = None,
    kept_services: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """Return the model of a release: the services that have an image ID, and those kept from a pinned model.

    `definitions` are those of the model's services. A service that has not changed since `kept_model`, the one that
    runs, keeps what its containers were made with.
    """
    kept_from = services_of(kept_model or {})
    services: dict[str, Any] = {name: dict(kept_from[name]) for name in kept_services if name in kept_from}
    for name, service in services_of(model).items():
        if name in image_ids and name not in kept_services:
            pinned_service = _pinned(
                service, definitions[name].image, image_ids[name], written(definitions[name].dependencies)
            )
            services[name] = _unchanged(pinned_service, kept_from.get(name)) or _changed(
                pinned_service, kept_from.get(name)
            )
    pinned: dict[str, Any] = {"name": model["name"], "services": services}
    if inactive := sorted(inactive_services(model) - services.keys()):
        pinned["x-deploy"] = {INACTIVE: inactive}
    if powers := _recorded_powers(model, kept_model or {}, kept_services):
        pinned[RECORDED] = powers
    return {**pinned, **used_kinds(services, kept_model or {}, model)}


def used_kinds(services: Mapping[str, Mapping[str, Any]], *models: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the networks, volumes, secrets and configs of models, the last before the others, that services use."""
    found = {}
    for kind in SHARED_KINDS:
        shared = {name: definition for model in models for name, definition in (model.get(kind) or {}).items()}
        if used := {name: definition for name, definition in shared.items() if _is_used(services, kind, name)}:
            found[kind] = used
    return found


def _recorded_powers(
    model: Mapping[str, Any], kept_model: Mapping[str, Any], kept_services: frozenset[str]
) -> list[str]:
    """Return what the model says of powers that a release does not show, and what the kept services have of them."""
    kept = (str(name) for name in kept_model.get(RECORDED) or () if str(name).partition(": ")[0] in kept_services)
    return sorted({*map(str, model.get(RECORDED) or ()), *kept})


def _pinned(
    service: Mapping[str, Any], reference: str, image_id: str, dependencies: Mapping[str, Any]
) -> dict[str, Any]:
    fields = {key: value for key, value in service.items() if key not in DROPPED}
    extension = {key: value for key, value in (service.get("x-deploy") or {}).items() if key not in NOT_OF_FILES}
    if dependencies:
        extension["depends_on"] = dict(dependencies)
    extension[IMAGE_ID] = image_id
    left_out = {key: service[key] for key in LEFT_OUT if service.get(key) is not None}
    extension[WRITTEN] = {"image": service.get("image"), **left_out, **written_fields(service)}
    image = readable_reference(reference, image_id)
    return {**fields, "image": image, "pull_policy": "never", "x-deploy": extension}


def _unchanged(new: Mapping[str, Any], old: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a service under the name and the hash that its containers have; None where it changes anyway.

    The name may be an older one of the same content; the hash that of containers that were adopted.
    """
    if old is None or image_of(old) != image_of(new) or _plain(old) != _plain(new):
        return None
    extension, had = dict(new["x-deploy"]), old.get("x-deploy") or {}
    if adopted := had.get(ADOPTED_HASH):
        extension[ADOPTED_HASH] = adopted
    name, names = written_fields(new).get("image"), [*had.get(WRITTEN_BEFORE, ())]
    names += [written_fields(old)["image"]] if WRITTEN in had else []
    if before := [item for item in dict.fromkeys(names) if item != name]:
        extension[WRITTEN_BEFORE] = before[-MOST_BEFORE:]
    return {**new, "image": old["image"], "x-deploy": extension}


def _changed(new: dict[str, Any], old: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a service that is recreated where what it binds by content has changed, whoever made its containers."""
    if old is None or all(old.get(key) == new.get(key) for key in BOUND):
        return new
    written = {key: value for key, value in written_fields(new).items() if key not in BOUND}
    if VOLUMES_FROM in written:  # which of them are its own
        written["volumes"] = own_volumes(new)
    return {**new, "x-deploy": {**new["x-deploy"], WRITTEN: written}}


def _plain(service: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in service.items() if key not in {"image", "x-deploy"}}


def _is_used(services: Mapping[str, Mapping[str, Any]], kind: str, name: str) -> bool:
    for service in services.values():
        entries = service.get(kind) or {}
        names = entries if isinstance(entries, Mapping) else [_source(entry) for entry in entries]
        if name in names:
            return True
    return False


def _source(entry: object) -> object:
    return entry.get("source") if isinstance(entry, Mapping) else entry
