"""Describe what a deployment would change: a pure function of what was compared."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from roas.deploy.changes import StackChanges
from roas.deploy.comparison import Comparison, difference_of
from roas.deploy.dependencies import DependencyCoordinator
from roas.deploy.plan_reasons import NO_RELEASE_HAS_IT, find_leftovers, find_reasons, left_alone
from roas.deploy.planned_rollout import proxy_reason, rollout_reason
from roas.messages.message import said
from roas.models.plan import REPLACING, Plan, ServiceAction, ServicePlan
from roas.models.release import Release, ReleaseState
from roas.models.stack import ServiceDefinition, WantedImage

# What makes no container different: where the image comes from, and the order of starting.
NOT_CONFIGURATION = frozenset({"image", "build", "pull_policy", "depends_on", "x-deploy", "profiles"})


@dataclass(frozen=True, slots=True)
class PlanSubject:
    """Hold what a plan is of; `definitions`, `wanted` images and a hash of other `inputs` are what it is bound to.

    A rollback is bound to its `model`, too, which has today's credentials. One that `goes_back` to an earlier release
    follows `rollback_config`.
    """

    environment: str
    version: str
    definitions: Mapping[str, ServiceDefinition]
    wanted: Mapping[str, WantedImage]
    to_release: int | None = None
    warnings: tuple[str, ...] = ()
    goes_back: bool = False
    inputs: str = ""
    model: Mapping[str, Any] = field(default_factory=dict, repr=False)


def make_plan(comparison: Comparison, subject: PlanSubject) -> Plan:
    """Make a plan of what was compared."""
    coordinator = DependencyCoordinator(comparison.most.definitions)
    gone = comparison.most.gone
    plans = [_service(comparison, name, subject) for name in coordinator.order() if name not in gone]
    plans += [_removal(comparison, name) for name in sorted(gone)]
    plans += [_sweep(comparison, name) for name in sorted(_swept(comparison) - {plan.service for plan in plans})]
    dropped = tuple(
        said("{service} would start after {on}, but that closes a cycle: left out", service=edge.service, on=edge.on)
        for edge in coordinator.dropped
    )
    current = comparison.current
    return Plan(
        environment=subject.environment,
        version=subject.version,
        from_release=current.number if current else None,
        to_release=subject.to_release,
        services=tuple(plans),
        order=tuple(plan.service for plan in plans if plan.action is not ServiceAction.KEEP),
        warnings=subject.warnings + dropped + tuple(_done_jobs(comparison, subject)) + tuple(left_alone(comparison)),
        digest=_digest(subject, current, plans),
    )


def _done_jobs(comparison: Comparison, subject: PlanSubject) -> Iterator[str]:
    """Say which jobs do not run, though nothing shows that they did."""
    for name in sorted(comparison.most.done):
        if subject.goes_back:
            yield said(
                "{service} does not run again: a job does so on the way back only with `x-deploy.on_rollback: run`.",
                service=name,
            )
        elif comparison.current is not None:
            yield said(
                "{service} does not run again: it is the job of {release}, as before. A deployment that names it runs "
                "it.",
                service=name,
                release=comparison.current.label,
            )


def _service(comparison: Comparison, name: str, subject: PlanSubject) -> ServicePlan:
    wanted = subject.wanted.get(name)
    action, certain = (_action(changes, comparison, name) for changes in (comparison.most, comparison.certain))
    old = comparison.running_image(name)
    new = wanted.reference if wanted else comparison.released_image(name)[0] or old
    definition = comparison.most.definitions[name]
    definition = definition.for_rollback() if subject.goes_back else definition
    plan = ServicePlan(name, action, old, new, wanted.identity if wanted else None, if_image_differs=action != certain)
    difference = difference_of(comparison.most, name)
    keys: tuple[str, ...] = ()
    if action is ServiceAction.RECREATE and comparison.old_model is not None:
        keys = changed_keys(comparison.old_model, comparison.new_model, name)
    start_first = action is ServiceAction.RECREATE and (definition.start_first or difference is comparison.most.own)
    plan = replace(plan, changed_keys=keys, start_first=start_first)
    plan = replace(plan, reasons=tuple(find_reasons(comparison, plan)))
    if action is not ServiceAction.RECREATE or difference is comparison.most.own:
        return plan
    how = (
        *rollout_reason(definition, comparison.containers_of(name), on_swarm=comparison.on_swarm),
        *proxy_reason(definition, start_first=start_first),
    )
    return replace(plan, reasons=(*plan.reasons, *how))


def _action(changes: StackChanges, comparison: Comparison, name: str) -> ServiceAction:
    """Name what is done to a service that the model has."""
    difference = difference_of(changes, name)
    there = comparison.containers_of(name)
    if difference is None:
        if name in changes.restarts and there:
            return ServiceAction.RESTART
        leftovers = any(one.service == name for one in comparison.containers.removed)
        return ServiceAction.ADJUST if leftovers else ServiceAction.KEEP
    if difference.unwritten:
        return ServiceAction.ADJUST if there or comparison.released_image(name)[0] else ServiceAction.CREATE
    if there and not changes.definitions[name].replicas:
        return ServiceAction.REMOVE
    if difference.unlike:
        return ServiceAction.RECREATE
    if difference.missing:
        return ServiceAction.ADJUST if there else ServiceAction.CREATE
    if difference.surplus:
        return ServiceAction.ADJUST
    return ServiceAction.RELOAD if difference.is_only_unread else ServiceAction.START


def _removal(comparison: Comparison, name: str) -> ServicePlan:
    released = comparison.released_image(name)[0]
    reasons = () if released or comparison.current is None else (NO_RELEASE_HAS_IT,)
    if name in comparison.most.definitions:
        reasons = (said("it is a job that did not end well, and does not run again"),)
    return ServicePlan(name, ServiceAction.REMOVE, comparison.running_image(name), reasons=reasons)


def _swept(comparison: Comparison) -> frozenset[str]:
    return frozenset(one.service for one in comparison.containers.removed)


def _sweep(comparison: Comparison, name: str) -> ServicePlan:
    """Plan the removal of what an interrupted update left of a service that the model does not have."""
    action = ServiceAction.ADJUST if comparison.containers_of(name) else ServiceAction.REMOVE
    image = comparison.running_image(name)
    return ServicePlan(name, action, image, image, reasons=tuple(find_leftovers(comparison, name)))


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


def _digest(subject: PlanSubject, current: Release | None, services: Iterable[ServicePlan]) -> str:
    """Bind a confirmation to all that the plan was made of."""
    # What runs before the first release is adopted on the way: that it has a number by then changes nothing, nor does
    # what is found to be as the release says already.
    is_first = current is None or current.state is ReleaseState.ADOPTED
    facts = {
        "environment": subject.environment,
        "version": subject.version,
        "from": None if current is None or is_first else current.model_hash,
        "definitions": {name: definition.definition_hash for name, definition in subject.definitions.items()},
        "images": {name: image.identity for name, image in subject.wanted.items()},
        "inputs": subject.inputs,
        "model": subject.model,
        # A start or a restart is no surprise to whoever said yes; a container that goes is.
        "replaced": {} if is_first else {one.service: one.action for one in services if one.action in REPLACING},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
