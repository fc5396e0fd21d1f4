"""Read what a deployment has to know of each service from a resolved model."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from roas.errors import ComposeFileError
from roas.messages.message import said
from roas.models.stack import Dependency, DependencyCondition, ProxyKind, ServiceDefinition
from roas.stack.model.rollout_policy import monitor_of, rollout_policy
from roas.stack.model.scales import with_replicas
from roas.stack.model.service_dependencies import dependencies_of
from roas.stack.model.services import (
    OF_RELEASE,
    image_reference,
    is_built,
    linked_to,
    replicas_of,
    restart_policy,
    services_of,
    shared_with,
    stop_grace_seconds,
)
from roas.stack.model.x_deploy.backup import backup_of, check_jobs
from roas.stack.model.x_deploy.canary import canary_of
from roas.stack.model.x_deploy.probes import probes_of
from roas.stack.model.x_deploy.proxy import proxy_of
from roas.stack.model.x_deploy.track import track_of

# Pinned or kept elsewhere: a release knows the image by its content, and dependencies are compared as we read them.
HASHED_ELSEWHERE = frozenset({"image", "build", "pull_policy", "depends_on"})
ENDS = frozenset({"no", "on-failure"})
START_FIRST = "start-first"
RUN, SKIP = "run", "skip"


def read_definitions(model: Mapping[str, Any]) -> dict[str, ServiceDefinition]:
    """Read every service's definition. Raises ComposeFileError for an `x-deploy` that makes no sense."""
    services = services_of(model)
    dependencies = {name: dependencies_of(name, service, services.keys()) for name, service in services.items()}
    awaited = {
        dependency.on
        for edges in dependencies.values()
        for dependency in edges
        if dependency.condition is DependencyCondition.COMPLETED
    }
    probes = probes_of(services, dependencies)
    found = {
        name: replace(
            _definition(model, name, service, dependencies[name], awaited=name in awaited), probes=probes.get(name, ())
        )
        for name, service in services.items()
    }
    check_jobs(found)
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
    return tuple(
        _why_stop_first(name, definition) for name, definition in definitions.items() if definition.denies_start_first
    )


def _why_stop_first(name: str, definition: ServiceDefinition) -> str:
    if definition.fixed_place:
        return said(
            "{name} asks for `order: start-first`, but {fixed_place} allows only one "
            "container: it is replaced stop-first.",
            name=name,
            fixed_place=definition.fixed_place,
        )
    if not definition.shared_by:
        return said(
            "{name} asks for `order: start-first`, but the links of {linkers} lead to the name of "
            "one container: it is replaced stop-first.",
            name=name,
            linkers=", ".join(definition.linked_by),
        )
    sharers = ", ".join(definition.shared_by)
    return said(
        "{name} asks for `order: start-first`, but {sharers} can share a namespace with "
        "one container only: it is replaced stop-first.",
        name=name,
        sharers=sharers,
    )


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
    _refuse_relative_targets(name, service)
    own = service.get("x-deploy") or {}
    update = (service.get("deploy") or {}).get("update_config") or {}
    rollback = (service.get("deploy") or {}).get("rollback_config") or {}
    built, one_shot = is_built(service), bool(own.get("one_shot", awaited))
    fixed_place = _fixed_place(service)
    proxy, track = proxy_of(name, service, stop_grace_seconds(service)), track_of(name, service)
    canary = canary_of(name, service)
    if canary is not None:
        is_weighed = proxy is not None and proxy.kind is ProxyKind.HAPROXY
        canary, proxy = replace(canary, is_weighed=is_weighed), proxy and replace(proxy, is_weighed=is_weighed)
    # Where a moved tag counts, it has to be asked for.
    policy = "always" if track is not None and track.digest_of else "missing"
    # Who has a proxy in front has users that nobody wants to lose.
    usual = START_FIRST if proxy else None
    wanted, wanted_back = (config.get("order", usual) == START_FIRST for config in (update, rollback))
    return ServiceDefinition(
        name=name,
        image=image_reference(str(model.get("name", "")), name, service),
        definition_hash=definition_hash(model, with_replicas(service, None), dependencies),
        dependencies=dependencies,
        built=built,
        replicas=replicas_of(service),
        on_each_node=(service.get("deploy") or {}).get("mode") == "global",
        has_health_check=_has_health_check(service),
        one_shot=one_shot,
        may_end=own.get("one_shot") is not False and _may_end(service),
        runs_on_rollback=_runs_on_rollback(name, own),
        critical=bool(own.get("critical", False)),
        start_first=wanted and not fixed_place,
        rollback_start_first=wanted_back and not fixed_place,
        monitor_seconds=monitor_of(update),
        rollback_monitor_seconds=monitor_of(rollback),
        update=rollout_policy(update),
        rollback=rollout_policy(rollback),
        pull_policy="build" if built else str(service.get("pull_policy") or policy),
        fixed_place=fixed_place,
        fixed_name=bool(service.get("container_name")),
        denies_start_first=bool(fixed_place) and (wanted or wanted_back),
        proxy=proxy,
        canary=canary,
        track=track,
        backup=backup_of(name, model, one_shot=one_shot),
    )


def _refuse_relative_targets(name: str, service: Mapping[str, Any]) -> None:
    """Raise ComposeFileError for a mount that no container can have: Compose takes `d:/data` for a path of Windows."""
    for volume in service.get("volumes") or ():
        if not (target := str(volume.get("target") or "")).startswith("/"):
            raise ComposeFileError(
                said("{name} mounts something at `{target}`, which is no absolute path.", name=name, target=target),
                hint=said("A volume's name has two characters at least: `d:/data` is one path of Windows to Compose."),
                service=name,
            )


def _runs_on_rollback(name: str, extension: Mapping[str, Any]) -> bool:
    """Return whether a job runs when its release is brought back. Raises ComposeFileError."""
    written = extension.get("on_rollback", SKIP)
    if written not in (RUN, SKIP):
        raise ComposeFileError(
            said(
                "x-deploy of {name} is not valid: {reason}.",
                name=name,
                reason=said("{key}: {error}", key="on_rollback", error=said("one of {values}", values="run, skip")),
            )
        )
    return bool(written == RUN)


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
