"""Give a service of a model another number of replicas than its files say, for as long as these say the same.

Every number of replicas is read from a model: what is scaled is written there, beside what the files say.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from roas.messages.message import said
from roas.models.deployment import Scale
from roas.models.stack import ServiceDefinition
from roas.stack.model.services import SCALED, replicas_of, services_of

MOST_REPLICAS = 1000

Scales = Mapping[str, Scale]
ReadScales = Callable[[str], Awaitable[Scales]]


async def nothing_scaled(_environment: str) -> Scales:
    """Return what is scaled where there is no journal: nothing."""
    return {}


def is_scaled(service: Mapping[str, Any]) -> bool:
    """Return whether a service has another number of replicas than its files say."""
    return SCALED in (service.get("x-deploy") or {})


def written_replicas(service: Mapping[str, Any]) -> int:
    """Return how many containers the files give a service, whatever it was scaled to."""
    return replicas_of(with_replicas(service, None))


def with_replicas(service: Mapping[str, Any], replicas: int | None) -> dict[str, Any]:
    """Return a service with a number of replicas; None for the one of its files.

    Where the files say it in a place, it is said there: Compose refuses two numbers.
    """
    extension, deploy = dict(service.get("x-deploy") or {}), dict(service.get("deploy") or {})
    said_in_files = extension.pop(SCALED, None)
    if said_in_files is None:
        said_in_files = {
            key: value
            for key, value in (("scale", service.get("scale")), ("replicas", deploy.get("replicas")))
            if value is not None
        }
    numbers = dict(said_in_files)
    if replicas is not None:
        extension[SCALED] = said_in_files
        numbers = dict.fromkeys(said_in_files or ("scale",), replicas)
    fields = {key: value for key, value in service.items() if key not in {"scale", "deploy", "x-deploy"}}
    if "scale" in numbers:
        fields["scale"] = numbers["scale"]
    deploy.pop("replicas", None)
    if "replicas" in numbers:
        deploy["replicas"] = numbers["replicas"]
    if deploy or "deploy" in service:
        fields["deploy"] = deploy
    if extension:
        fields["x-deploy"] = extension
    return fields


def as_counted(service: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a service with the number of another one, and with what the files of that say, where both have as many."""
    if replicas_of(service) != replicas_of(other):
        return service
    fields = {key: value for key, value in service.items() if key not in {"scale", "deploy", "x-deploy"}}
    if "scale" in other:
        fields["scale"] = other["scale"]
    for section, key in (("deploy", "replicas"), ("x-deploy", SCALED)):
        there = {name: value for name, value in (service.get(section) or {}).items() if name != key}
        if key in (other.get(section) or {}):
            there[key] = other[section][key]
        if there or section in service:
            fields[section] = there
    return fields


def with_numbers(model: Mapping[str, Any], numbers: Mapping[str, int]) -> Mapping[str, Any]:
    """Return a model with these numbers of replicas; every other service has the one of its files."""
    if not numbers and not any(map(is_scaled, services_of(model).values())):
        return model
    services = {
        name: with_replicas(fields, numbers.get(name)) if name in numbers or is_scaled(fields) else fields
        for name, fields in services_of(model).items()
    }
    return {**model, "services": {**(model.get("services") or {}), **services}}


def kept_numbers(
    model: Mapping[str, Any],
    definitions: Mapping[str, ServiceDefinition],
    scales: Scales,
    *,
    on_single_machine: bool,
    of_files: bool,
) -> dict[str, int]:
    """Return the numbers to which services of a model stay scaled.

    Where it is a model `of_files`, a number that these say and did not say before is the one that counts.
    """
    services = services_of(model)
    return {
        name: scale.replicas
        for name, scale in scales.items()
        if name in definitions
        and not (of_files and written_replicas(services[name]) != scale.written)
        and not why_not_scaled(definitions[name], scale.replicas, on_single_machine=on_single_machine)
    }


def why_not_scaled(definition: ServiceDefinition, replicas: int, *, on_single_machine: bool) -> str:
    """Say why a service cannot have so many replicas; empty where it can."""
    if definition.on_each_node:
        return said("`mode: global` gives it a task on each node")
    if definition.one_shot:
        return said("it is a job, which runs with a deployment")
    if replicas > 1 and definition.backup is not None:
        return said("its data, which is backed up, is that of one container")
    if replicas > 1 and definition.fixed_place and on_single_machine:
        return said("{place} allows only one", place=definition.fixed_place)
    return ""
