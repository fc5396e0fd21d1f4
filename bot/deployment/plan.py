"""Compute what a deployment would change: a pure function of the old release and the new one."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from roas.deployment.dependencies import DependencyCoordinator
from roas.deployment.dependent_restarts import to_restart
from roas.models.plan import Plan, ServiceAction, ServicePlan
from roas.models.release import Release, ReleaseService, ReleaseState
from roas.models.stack import ServiceDefinition, WantedImage

# What makes no container different: where the image comes from, and the order of starting.
NOT_CONFIGURATION = frozenset({"image", "build", "pull_policy", "depends_on", "x-deploy", "profiles"})


def make_plan(
    *,
    environment: str,
    version: str,
    definitions: Mapping[str, ServiceDefinition],
    wanted: Mapping[str, WantedImage],
    new_model: Mapping[str, Any],
    current: Release | None,
    old_model: Mapping[str, Any] | None,
    kept: frozenset[str] = frozenset(),
    removes: bool = True,
    running: Mapping[str, str] = MappingProxyType({}),
    to_release: int | None = None,
    warnings: tuple[str, ...] = (),
) -> Plan:
    """Compare what is wanted with what is; `kept` services stay, and with `removes` those that are gone go.

    `running` names the images of services that run in an environment without a release: they are replaced, too.
    """
    coordinator = DependencyCoordinator(definitions)
    old_services = {service.name: service for service in current.services} if current else {}
    plans = []
    for name in coordinator.order():
        if name in kept:
            if name in old_services:
                plans.append(_kept(old_services[name]))
            continue
        plans.append(_compare(definitions[name], wanted[name], old_services.get(name), new_model, old_model))
    if current is None:
        plans = [_replacing(plan, running) for plan in plans]
        plans += [
            ServicePlan(name, ServiceAction.REMOVE, running[name]) for name in sorted(set(running) - set(definitions))
        ]
    gone = sorted(set(old_services) - set(definitions) - kept) if removes else []
    plans += [ServicePlan(name, ServiceAction.REMOVE, old_image=old_services[name].image.reference) for name in gone]
    plans = _with_restarts(plans, definitions)
    changed = tuple(plan.service for plan in plans if plan.action is not ServiceAction.KEEP)
    dropped = tuple(
        f"{edge.service} would start after {edge.on}, but that closes a cycle: left out" for edge in coordinator.dropped
    )
    return Plan(
        environment=environment,
        version=version,
        from_release=current.number if current else None,
        to_release=to_release,
        services=tuple(plans),
        order=changed,
        warnings=warnings + dropped,
        digest=_digest(environment, version, current, definitions, wanted),
    )


def _with_restarts(plans: list[ServicePlan], definitions: Mapping[str, ServiceDefinition]) -> list[ServicePlan]:
    """Mark as restarted what would stay, but depends with `restart` on what is recreated."""
    recreated = {plan.service for plan in plans if plan.action is ServiceAction.RECREATE}
    restarted = to_restart(definitions, recreated)
    return [
        replace(plan, action=ServiceAction.RESTART)
        if plan.action is ServiceAction.KEEP and plan.service in restarted
        else plan
        for plan in plans
    ]


def _replacing(plan: ServicePlan, running: Mapping[str, str]) -> ServicePlan:
    """Mark as replaced, not created, what runs already but is in no release."""
    if plan.service not in running:
        return plan
    return replace(plan, action=ServiceAction.RECREATE, old_image=running[plan.service])


def _kept(old: ReleaseService) -> ServicePlan:
    return ServicePlan(old.name, ServiceAction.KEEP, old.image.reference, old.image.reference, old.image.image_id)


def _compare(
    definition: ServiceDefinition,
    wanted: WantedImage,
    old: ReleaseService | None,
    new_model: Mapping[str, Any],
    old_model: Mapping[str, Any] | None,
) -> ServicePlan:
    if old is None:
        return ServicePlan(
            definition.name, ServiceAction.CREATE, None, wanted.reference, wanted.identity, start_first=False
        )
    keys = () if old_model is None else changed_keys(old_model, new_model, definition.name)
    same = _same_image(wanted, old) and not keys and definition.replicas == old.replicas
    return ServicePlan(
        service=definition.name,
        action=ServiceAction.KEEP if same else ServiceAction.RECREATE,
        old_image=old.image.reference,
        new_image=wanted.reference,
        expected_image=wanted.identity,
        changed_keys=keys,
        start_first=definition.start_first,
    )


def _same_image(wanted: WantedImage, old: ReleaseService) -> bool:
    if wanted.build_hash is not None:
        return False  # only the build can show that
    if wanted.image_id is not None and not wanted.must_pull:
        return wanted.image_id == old.image.image_id
    return wanted.digest is not None and wanted.digest == old.image.digest


def changed_keys(old_model: Mapping[str, Any], new_model: Mapping[str, Any], service: str) -> tuple[str, ...]:
    """Name the keys of a service's configuration that differ, never their values."""
    old, new = (_configuration(model, service) for model in (old_model, new_model))
    names: list[str] = []
    for key in sorted(set(old) | set(new)):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            names += [f"{key}.{k}" for k in sorted(set(before) | set(after)) if before.get(k) != after.get(k)]
        else:
            names.append(key)
    return tuple(names)


def _configuration(model: Mapping[str, Any], service: str) -> dict[str, Any]:
    """Extract what defines a container: its keys without empty ones, and the content of the configs that it mounts."""
    definition = model.get("services", {}).get(service) or {}
    kept = {k: v for k, v in definition.items() if k not in NOT_CONFIGURATION and v not in (None, {}, [], "")}
    for kind in ("configs", "secrets", "networks", "volumes"):
        used = _names_used(definition.get(kind))
        shared = {name: top for name in used if (top := (model.get(kind) or {}).get(name)) is not None}
        if shared and kind == "configs":
            kept["configs content"] = shared
    return kept


def _names_used(entries: object) -> list[str]:
    if not isinstance(entries, list):
        return []
    sources = [entry.get("source") if isinstance(entry, Mapping) else entry for entry in entries]
    return [str(source) for source in sources if source]


def _digest(
    environment: str,
    version: str,
    current: Release | None,
    definitions: Mapping[str, ServiceDefinition],
    wanted: Mapping[str, WantedImage],
) -> str:
    """Bind a confirmation to all that the plan was made of."""
    facts = {
        "environment": environment,
        "version": version,
        # What runs before the first release is adopted on the way: that it has a number by then changes nothing.
        "from": None if current is None or current.state is ReleaseState.ADOPTED else current.model_hash,
        "definitions": {name: definition.definition_hash for name, definition in definitions.items()},
        "images": {name: image.identity for name, image in wanted.items()},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
