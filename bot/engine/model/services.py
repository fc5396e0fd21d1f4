"""Read a resolved compose model: how each service is to be updated and judged."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from roas.engine.model.durations import read_duration
from roas.engine.model.restart_policy import restart_policy
from roas.engine.model.rollout_policy import monitor_of, rollout_policy
from roas.engine.model.service_dependencies import dependencies_of
from roas.engine.model.service_probes import probes_of
from roas.engine.model.service_proxy import proxy_of
from roas.messages.message import said
from roas.models.dependency import Dependency, DependencyCondition
from roas.models.stack import ServiceDefinition

# Pinned or kept elsewhere: a release knows the image by its content, and dependencies are compared as we read them.
HASHED_ELSEWHERE = frozenset({"image", "build", "pull_policy", "depends_on"})
ENDS = frozenset({"no", "on-failure"})
START_FIRST = "start-first"
SHARED_NAMESPACES = ("network_mode", "pid", "ipc")
OF_SERVICE = "service:"
# In `x-deploy` of an adopted service: the hash that its containers have, so that they need not be recreated.
ADOPTED_HASH = "adopted_hash"
# In `x-deploy` of a pinned service: the content that its `image` has to mean.
IMAGE_ID = "image_id"
# In `x-deploy` of a service that was adopted and is made anew: the fields in which it is another.
UNLIKE = "unlike"
# In `x-deploy` of a service: the places in its containers to which Compose copies what a release binds, and those of
# volumes that it borrows read-only, which Compose lets it write to.
COPIED, BORROWED = "copied", "borrowed"
# What a release adds to `x-deploy`, or writes there in its own way.
# Of a one-shot service in a Swarm: what is another one with each release, which runs it again.
ROUND = "round"
OF_RELEASE = frozenset({"depends_on", IMAGE_ID, ADOPTED_HASH, UNLIKE, COPIED, BORROWED, ROUND})
# In the `x-deploy` of a whole model: the services of inactive profiles.
INACTIVE = "inactive"
PULLED_NOT_BUILT = frozenset({"always", "missing", "if_not_present", "never"})


def services_of(model: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return the services of a model; one without any fields is an empty mapping."""
    return {str(name): service or {} for name, service in (model.get("services") or {}).items()}


def bind_sources(model: Mapping[str, Any]) -> set[str]:
    """Return the paths of the host that services of a model bind."""
    mounts = (one for service in services_of(model).values() for one in service.get("volumes") or ())
    return {str(one["source"]) for one in mounts if one.get("type") == "bind"}


def read_definitions(model: Mapping[str, Any]) -> dict[str, ServiceDefinition]:
    """Read every service's definition. Raises ComposeFileError for an `x-deploy` that makes no sense."""
    services = services_of(model)
    dependencies = {name: dependencies_of(name, service, services.keys()) for name, service in services.items()}
    awaited = {
        dependency.on
        for found in dependencies.values()
        for dependency in found
        if dependency.condition is DependencyCondition.COMPLETED
    }
    probes = probes_of(services, dependencies)
    found = {
        name: replace(
            _definition(model, name, service, dependencies[name], awaited=name in awaited), probes=probes.get(name, ())
        )
        for name, service in services.items()
    }
    sharers = _inverted({name: shared_with(service) for name, service in services.items()})
    linkers = _inverted({name: linked_to(service) for name, service in services.items()})
    for on in (sharers.keys() | linkers.keys()) & found.keys():
        found[on] = _stop_first(found[on], sharers.get(on, ()), linkers.get(on, ()))
    return found


def _inverted(others: Mapping[str, frozenset[str]]) -> dict[str, tuple[str, ...]]:
    """Return, by each other one, the services that name it, sorted."""
    found: dict[str, list[str]] = {}
    for name in sorted(others):
        for on in others[name]:
            found.setdefault(on, []).append(name)
    return {on: tuple(names) for on, names in found.items()}


def impossible_updates(definitions: Mapping[str, ServiceDefinition]) -> tuple[str, ...]:
    """Return what to say where a second container beside the first is asked for and cannot be."""
    return tuple(_why_stop_first(name, one) for name, one in definitions.items() if one.denies_start_first)


def _why_stop_first(name: str, one: ServiceDefinition) -> str:
    if one.fixed_place:
        return said(
            "{name} asks for `order: start-first`, but {fixed_place} allows only one "
            "container: it is replaced stop-first.",
            name=name,
            fixed_place=one.fixed_place,
        )
    if not one.shared_by:
        return said(
            "{name} asks for `order: start-first`, but the links of {linkers} lead to the name of "
            "one container: it is replaced stop-first.",
            name=name,
            linkers=", ".join(one.linked_by),
        )
    sharers = ", ".join(one.shared_by)
    return said(
        "{name} asks for `order: start-first`, but {sharers} can share a namespace with "
        "one container only: it is replaced stop-first.",
        name=name,
        sharers=sharers,
    )


def shared_with(fields: Mapping[str, Any]) -> frozenset[str]:
    """Return the services whose namespaces a service shares."""
    modes = (str(fields.get(key) or "") for key in SHARED_NAMESPACES)
    return frozenset(mode.removeprefix(OF_SERVICE) for mode in modes if mode.startswith(OF_SERVICE))


def linked_to(fields: Mapping[str, Any]) -> frozenset[str]:
    """Return the services that a service links to."""
    return frozenset(str(one).partition(":")[0] for one in fields.get("links") or ())


def with_needs(model: Mapping[str, Any], services: Iterable[str]) -> frozenset[str]:
    """Return services with all that they share with or link to: its containers are there before theirs are made.

    What they only depend on is not among a stored model's `depends_on`: there, it is the bot that waits for it.
    """
    known, found, left = services_of(model), set[str](), list(services)
    while left:
        name = left.pop()
        if name not in found and name in known:
            found.add(name)
            borrowed = known[name].get("volumes_from") or ()
            left += [*shared_with(known[name]), *linked_to(known[name])]
            left += [str(one).partition(":")[0] for one in borrowed]
    return frozenset(found)


def adopted_hash(service: Mapping[str, Any]) -> str:
    """Return the hash that a service's adopted containers have; empty where there are none to keep."""
    return str((service.get("x-deploy") or {}).get(ADOPTED_HASH) or "")


def copied_targets(service: Mapping[str, Any]) -> tuple[str, ...]:
    """Return where Compose copies a file into the containers of a service, instead of mounting it."""
    return _targets(service, COPIED)


def borrowed_targets(service: Mapping[str, Any]) -> tuple[str, ...]:
    """Return where a service has volumes of another one, read-only."""
    return _targets(service, BORROWED)


def _targets(service: Mapping[str, Any], key: str) -> tuple[str, ...]:
    extension = service.get("x-deploy")
    return tuple(map(str, extension.get(key) or ())) if isinstance(extension, Mapping) else ()


def with_targets(service: Mapping[str, Any], key: str, targets: Iterable[str]) -> dict[str, Any]:
    """Return a service that says of some places in its containers that they are copied to, or borrowed."""
    named, extension = sorted(set(targets)), service.get("x-deploy") or {}
    if not named or not isinstance(extension, Mapping):  # what makes no sense is refused where it is read
        return dict(service)
    return {**service, "x-deploy": {**extension, key: named}}


def pinned_content(service: Mapping[str, Any]) -> str:
    """Return the image ID of a service of a release's model; those of older versions name it as their image."""
    return pinned_image_id(service) or str(service.get("image") or "")


def inactive_services(model: Mapping[str, Any]) -> frozenset[str]:
    """Return the services that the compose files have in inactive profiles only, as far as a model says it."""
    return frozenset((model.get("x-deploy") or {}).get(INACTIVE) or ())


def with_inactive_services(model: Mapping[str, Any], inactive: Iterable[str]) -> dict[str, Any]:
    """Return a model that says which services the compose files have in inactive profiles only."""
    return {**model, "x-deploy": {**(model.get("x-deploy") or {}), INACTIVE: sorted(inactive)}}


def with_one_shots(model: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return the model with what the settings know of services that end; what the compose file says counts."""
    services = {
        name: {**service, "x-deploy": {"one_shot": True, **(service.get("x-deploy") or {})}}
        if name in names
        else service
        for name, service in services_of(model).items()
    }
    return {**model, "services": services} if names else dict(model)


def image_reference(project: str, name: str, service: Mapping[str, Any]) -> str:
    """Return the image that a service names, or the name that Compose gives to what it builds."""
    return str(service.get("image") or f"{project}-{name}")


def pinned_image_id(service: Mapping[str, Any]) -> str:
    """Return the image ID that a service of a release's model is pinned to; empty where its `image` says it all."""
    return str((service.get("x-deploy") or {}).get(IMAGE_ID) or "")


def pinned_round(service: Mapping[str, Any]) -> str:
    """Return what a release's model runs a one-shot service of a Swarm again by; empty for any other service."""
    return str((service.get("x-deploy") or {}).get(ROUND) or "")


def is_built(service: Mapping[str, Any]) -> bool:
    """Return whether a service's image is built rather than pulled."""
    return bool(service.get("build")) and service.get("pull_policy") not in PULLED_NOT_BUILT


def replicas_of(service: Mapping[str, Any]) -> int:
    """Return how many containers a service has."""
    scale = service.get("scale")
    replicas = (service.get("deploy") or {}).get("replicas")
    return int(next((value for value in (scale, replicas) if value is not None), 1))


def stop_grace_seconds(service: Mapping[str, Any]) -> float:
    """Return how long a service's containers may take to stop."""
    return read_duration(service.get("stop_grace_period") or "10s")


def _stop_first(definition: ServiceDefinition, sharers: tuple[str, ...], linkers: tuple[str, ...]) -> ServiceDefinition:
    """With two containers there, Compose would let what shares a namespace join the one that is about to go.

    And a link leads to a container's name, which the second one does not get.
    """
    asks = definition.start_first or definition.rollback_start_first
    return replace(
        definition,
        shared_by=sharers,
        linked_by=linkers,
        start_first=False,
        rollback_start_first=False,
        denies_start_first=definition.denies_start_first or asks,
    )


def _definition(
    model: Mapping[str, Any],
    name: str,
    service: Mapping[str, Any],
    dependencies: tuple[Dependency, ...],
    *,
    awaited: bool,
) -> ServiceDefinition:
    own = service.get("x-deploy") or {}
    update = (service.get("deploy") or {}).get("update_config") or {}
    rollback = (service.get("deploy") or {}).get("rollback_config") or {}
    built = is_built(service)
    fixed_place = _fixed_place(service)
    proxy = proxy_of(name, service, stop_grace_seconds(service))
    # Who has a proxy in front has users that nobody wants to lose.
    usual = START_FIRST if proxy else None
    wanted, wanted_back = (config.get("order", usual) == START_FIRST for config in (update, rollback))
    return ServiceDefinition(
        name=name,
        image=image_reference(str(model.get("name", "")), name, service),
        definition_hash=definition_hash(model, service, dependencies),
        dependencies=dependencies,
        built=built,
        replicas=replicas_of(service),
        has_health_check=_has_health_check(service),
        one_shot=bool(own.get("one_shot", awaited)),
        may_end=own.get("one_shot") is not False and _may_end(service),
        critical=bool(own.get("critical", False)),
        start_first=wanted and not fixed_place,
        rollback_start_first=wanted_back and not fixed_place,
        monitor_seconds=monitor_of(update),
        rollback_monitor_seconds=monitor_of(rollback),
        update=rollout_policy(update),
        rollback=rollout_policy(rollback),
        pull_policy="build" if built else str(service.get("pull_policy") or "missing"),
        fixed_place=fixed_place,
        denies_start_first=bool(fixed_place) and (wanted or wanted_back),
        proxy=proxy,
    )


def definition_hash(model: Mapping[str, Any], service: Mapping[str, Any], dependencies: tuple[Dependency, ...]) -> str:
    """Hash the whole definition but the image; files belong to it: they are bound from places named by content."""
    own = {key: value for key, value in service.items() if key not in HASHED_ELSEWHERE}
    extension = {key: value for key, value in (own.pop("x-deploy", None) or {}).items() if key not in OF_RELEASE}
    covered = {
        "service": own,
        "extension": extension,
        "dependencies": [asdict(dependency) for dependency in sorted(dependencies, key=lambda found: found.on)],
        "used": {kind: _used(model, service, kind) for kind in ("networks", "volumes", "secrets", "configs")},
    }
    canonical = json.dumps(covered, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _used(model: Mapping[str, Any], service: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return the top-level definitions that a service uses."""
    entries = service.get(kind) or {}
    names = set(entries) if isinstance(entries, Mapping) else {_source(entry) for entry in entries}
    return {name: definition for name, definition in (model.get(kind) or {}).items() if name in names}


def _source(entry: object) -> str:
    return str(entry.get("source", "")) if isinstance(entry, Mapping) else str(entry)


def _may_end(service: Mapping[str, Any]) -> bool:
    """Return whether somebody wrote that a service is not started again when it ends with code 0."""
    is_written = service.get("restart") or ((service.get("deploy") or {}).get("restart_policy") or {}).get("condition")
    return bool(is_written) and restart_policy(service)[0] in ENDS and not _has_health_check(service)


def _has_health_check(service: Mapping[str, Any]) -> bool:
    check = service.get("healthcheck")
    if not check or check.get("disable"):
        return False
    test = check.get("test") or []
    return not (isinstance(test, list) and test[:1] == ["NONE"])


def _fixed_place(service: Mapping[str, Any]) -> str:
    """Describe what only one container can have."""
    if name := service.get("container_name"):
        return said("the fixed name {name}", name=name)
    for port in service.get("ports") or ():
        published = str(port.get("published") or "")
        if published.isdigit() and published != "0":
            return said("the fixed host port {port}", port=published)
    if service.get("network_mode") == "host":
        return said("the host's network")
    for network in (service.get("networks") or {}).values():
        if network and (network.get("ipv4_address") or network.get("ipv6_address")):
            return said("a fixed address")
    return ""
