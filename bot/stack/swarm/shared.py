"""Make what the services of a stack share in a Swarm: networks, configs and secrets; and remove what nothing needs."""

import base64
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

from roas.errors import EngineError
from roas.messages.message import said
from roas.stack.api_errors import ApiError
from roas.stack.labels import STACK
from roas.stack.swarm.calls import OutOfSequenceError, SwarmCalls
from roas.stack.swarm.service_spec import (
    CONFIGS,
    SECRETS,
    KeptFile,
    SwarmIds,
    kept_files,
    network_name,
    network_spec,
    networks_of,
)

Json = dict[str, Any]


def make_shared(calls: SwarmCalls, project: str, model: Mapping[str, Any], services: Collection[str]) -> SwarmIds:
    """Create what services of a model need and is not there yet; returns the ids of all of it, by name.

    Names are deterministic: what another process made meanwhile is taken. Raises EngineError where that is not ours.
    """
    keys = dict.fromkeys(key for name in services for key in networks_of(model["services"][name]))
    names = {network_name(project, key, model) for key in keys}
    networks = {name: network_id for network_id, name in calls.network_names(names=names).items()}
    for key in keys:
        _make_network(calls, project, key, model, networks)
    files = [file for name in services for file in kept_files(project, model["services"][name])]
    return SwarmIds(networks, *(_make_files(calls, project, kind, files) for kind in (CONFIGS, SECRETS)))


def remove_unneeded(calls: SwarmCalls, project: str, is_needed: Callable[[str], bool]) -> None:
    """Remove the configs and secrets of a stack whose content nothing needs; what a service still uses stays."""
    for kind in (CONFIGS, SECRETS):
        for name, found in calls.named(kind, project).items():
            if not is_needed(name.rpartition("-")[2]):
                with suppress(ApiError):
                    calls.remove(kind, str(found["ID"]))


def _make_network(
    calls: SwarmCalls, project: str, key: str, model: Mapping[str, Any], networks: dict[str, str]
) -> None:
    name = network_name(project, key, model)
    if name in networks:
        return
    if ((model.get("networks") or {}).get(key) or {}).get("external"):
        raise EngineError(
            said("The Swarm has no network {name}, which the compose file calls external.", name=name),
            hint=said("Create it: `docker network create --driver overlay {name}`.", name=name),
        )
    with suppress(OutOfSequenceError):  # another process was first
        networks[name] = calls.create("networks", network_spec(project, key, model))
        return
    networks |= {found: network_id for network_id, found in calls.network_names().items()}


def _make_files(calls: SwarmCalls, project: str, kind: str, files: Iterable[KeptFile]) -> dict[str, str]:
    wanted = {kept.name: kept for kept in files if kept.kind == kind}
    there = calls.named(kind) if wanted else {}
    for name, file in wanted.items():
        if name not in there:
            spec = file.spec(project)
            with suppress(OutOfSequenceError):
                calls.create(kind, spec)
            there = calls.named(kind)
        _require_ours(kind, name, there[name]["Spec"], project, _same_content(file, kind))
    return {name: str(there[name]["ID"]) for name in wanted}


def _same_content(file: KeptFile, kind: str) -> Callable[[Mapping[str, Any]], bool]:
    """Return whether a config holds what it should; of a secret, Swarm does not show it."""
    if kind == SECRETS:
        return lambda _: True
    return lambda spec: base64.b64decode(spec.get("Data") or "") == file.source.read_bytes()


def _require_ours(
    kind: str, name: str, spec: Mapping[str, Any], project: str, same: Callable[[Mapping[str, Any]], bool]
) -> None:
    if (spec.get("Labels") or {}).get(STACK) != project or not same(spec):
        raise EngineError(
            said("The Swarm has another {kind} with the name {name}.", kind=kind.removesuffix("s"), name=name),
            hint=said("Find out whose it is, and remove it."),
        )
