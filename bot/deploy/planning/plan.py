"""Describe what a deployment would change: a pure function of what was compared."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from roas.deploy.changes import StackChanges
from roas.deploy.dependencies import DependencyCoordinator
from roas.deploy.planning.plan_reasons import canary_reason, find_leftovers, find_reasons, proxy_reason, rollout_reason
from roas.deploy.planning.stack_comparison import Comparison
from roas.messages.message import Message, said, spelled
from roas.models.plan import REPLACING, Plan, ServiceAction, ServicePlan
from roas.models.release import Release, ReleaseState
from roas.models.stack import ServiceDefinition, WantedImage
from roas.redaction import is_credential
from roas.stack.machine.bot_places import mounts_of_service
from roas.stack.model.services import adopted_hash, borrowed_targets, services_of
from roas.stack.resolution.environment_values import is_secret_mount

KEYS_SHOWN = 4
NO_RELEASE_HAS_IT = said("it is in no release: somebody started it by hand")


def _adopted_with_files(comparison: Comparison) -> Iterator[str]:
    for name, fields in services_of(comparison.new_model).items():
        binds = any(volume.get("type") == "bind" and volume.get("read_only") for volume in fields.get("volumes") or ())
        if adopted_hash(fields) and binds and comparison.most.difference_of(name) is None:
            yield name


def _changed_in_place(comparison: Comparison) -> Iterator[str]:
    """Say what of each container stays that is not as its own configuration hash says."""
    changes, stay = comparison.most, list[str]()
    for name in sorted(changes.definitions.keys() - changes.skipped):
        difference = changes.difference_of(name)
        if difference is not None and difference.unlike:
            continue
        going = {container.id for container in difference.surplus} if difference else set[str]()
        staying = [container.id for container in comparison.containers_of(name) if container.id not in going]
        found = [comparison.in_place[text] for text in staying if text in comparison.in_place]
        keys = list(dict.fromkeys(key for container_difference in found for key in container_difference.changed))
        if keys:
            keys_shown = ", ".join([*keys[:KEYS_SHOWN], "…"] if len(keys) > KEYS_SHOWN else keys)
            yield said(
                "{name} was changed while it ran, and stays so, until its container is recreated: {keys_shown}.",
                name=name,
                keys_shown=keys_shown,
            )
            stay.append(name)
    if stay and comparison.current is not None:
        yield said(
            "To recreate what stays so: `roas compose {environment} -- up -d --force-recreate {names}`.",
            environment=comparison.current.environment,
            names=" ".join(stay),
        )


def left_alone(comparison: Comparison) -> Iterator[str]:
    """Say what does not fit, and is still not touched."""
    for name in sorted(comparison.most.left_alone):
        yield said("{name} runs by hand and is in an inactive profile only: it is left alone.", name=name)
    for name in _adopted_with_files(comparison):
        yield said(
            "{name} stays as somebody started it. Nothing has to be done, but what its bound files held at that time "
            "is not known: a rollback brings what they hold now.",
            name=name,
        )
    for name, fields in services_of(comparison.new_model).items():
        if adopted_hash(fields) and borrowed_targets(fields) and comparison.most.difference_of(name) is None:
            yield said("{name} stays as Compose made it: it can write to what it borrows with `:ro`.", name=name)
    yield from _changed_in_place(comparison)
    label = comparison.current.label if comparison.current else ""
    for name in sorted(comparison.most.skipped):
        yield said(
            "{name} is not as {label} has it, and stays as it is: this deployment does not name it.",
            name=name,
            label=label,
        )


# What makes no container different: where the image comes from, and the order of starting.
NOT_CONFIGURATION = frozenset({"image", "build", "pull_policy", "depends_on", "x-deploy", "profiles"})


def make_plan(
    comparison: Comparison,
    *,
    version: str,
    wanted: Mapping[str, WantedImage],
    inputs: str,
    to_release: int | None = None,
    definitions: Mapping[str, ServiceDefinition] | None = None,
    model: Mapping[str, Any] = MappingProxyType({}),
    warnings: tuple[str, ...] = (),
) -> Plan:
    """Make a plan of what was compared.

    It is bound to the definitions (by default those that were compared), the `wanted` images and a hash of other
    `inputs`. A rollback is bound to its `model`, too, which has today's credentials.
    """
    coordinator = DependencyCoordinator(comparison.most.definitions)
    plans = _services(comparison, wanted, coordinator.order())
    dropped = tuple(
        said("{service} would start after {on}, but that closes a cycle: left out", service=edge.service, on=edge.on)
        for edge in coordinator.dropped
    )
    current = comparison.current
    bound = definitions or comparison.most.definitions
    facts = {"environment": comparison.stack.environment.name, "version": version, "inputs": inputs, "model": model}
    facts["definitions"] = {name: definition.definition_hash for name, definition in bound.items()}
    facts["images"] = {name: image.identity for name, image in wanted.items()}
    return Plan(
        environment=comparison.stack.environment.name,
        version=version,
        from_release=current.number if current else None,
        to_release=to_release,
        services=tuple(plans),
        order=tuple(plan.service for plan in plans if plan.action is not ServiceAction.KEEP),
        warnings=(
            *warnings,
            *dropped,
            *_done_jobs(comparison),
            *left_alone(comparison),
            *(text for name in bound for text in volumes_left(comparison, name)),
        ),
        digest=_digest(facts, current, plans),
    )


def credentials_of_today(comparison: Comparison, stored: Mapping[str, Any]) -> Iterator[Message]:
    """Say which credentials come with a release as `stored` that neither it nor what runs has: they are of today."""
    earlier, running, coming = map(services_of, (stored, comparison.old_model or {}, comparison.new_model))
    for name in sorted(coming.keys() & earlier.keys()):
        known = [_credentials(services.get(name) or {}) for services in (earlier, running)]
        new = {
            credential
            for credential, value in _credentials(coming[name]).items()
            if credential in known[0] and value not in {credentials.get(credential) for credentials in known}
        }
        if new:
            yield said(
                "{service} gets {credentials} as the stack's files have it today, which is neither the old value nor "
                "the one that runs: a rollback brings no credential back.",
                service=name,
                credentials=", ".join(sorted(new)),
            )


def _credentials(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return what a service has that a rollback brings as it is today, by variable or by place in the container."""
    variables = {str(key): str(value) for key, value in (fields.get("environment") or {}).items()}
    mounts = [volume for volume in fields.get("volumes") or () if is_secret_mount(volume)]
    return {spelled(key): value for key, value in variables.items() if is_credential(key)} | {
        str(volume.get("target")): str(volume.get("source")) for volume in mounts
    }


def volumes_left(comparison: Comparison, name: str) -> Iterator[str]:
    """Say which volumes a service no longer finds where it found them: its data does not come along."""
    models = (comparison.respelled or {}, comparison.new_model)
    if any(name not in services_of(model) for model in models):
        return
    old, new = ({mount.destination.rstrip("/"): mount for mount in mounts_of_service(model, name)} for model in models)
    for target, mount in old.items():
        if mount.kind != "volume" or not mount.source:
            continue
        instead = new.get(target)
        if instead is None:
            yield said(
                "{service} no longer mounts the volume {volume} at {target}: it does not find there what that holds.",
                service=name,
                volume=mount.source,
                target=target,
            )
        elif instead.source != mount.source:
            yield said(
                "{service} mounts {other} at {target} instead of the volume {volume}: it does not find there what that "
                "holds.",
                service=name,
                other=instead.source or said("a new volume without a name"),
                target=target,
                volume=mount.source,
            )


def _done_jobs(comparison: Comparison) -> Iterator[str]:
    """Say which jobs do not run, though nothing shows that they did."""
    for name in sorted(comparison.most.done):
        if comparison.goes_back:
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


def _services(comparison: Comparison, wanted: Mapping[str, WantedImage], order: Iterable[str]) -> list[ServicePlan]:
    """Say of each service what is done to it: first of those that the model has, in their order."""
    gone = comparison.most.gone
    plans = [_service(comparison, name, wanted.get(name)) for name in order if name not in gone]
    plans += [_removal(comparison, name) for name in sorted(gone)]
    return plans + [_sweep(comparison, name) for name in sorted(_swept(comparison) - {plan.service for plan in plans})]


def _service(comparison: Comparison, name: str, wanted: WantedImage | None) -> ServicePlan:
    action, certain = (_action(changes, comparison, name) for changes in (comparison.most, comparison.certain))
    old = comparison.running_image(name)
    new = wanted.reference if wanted else comparison.released_image(name)[0] or old
    definition = comparison.most.definitions[name]
    definition = definition.for_rollback() if comparison.goes_back else definition
    plan = ServicePlan(name, action, old, new, wanted.identity if wanted else None, if_image_differs=action != certain)
    difference = comparison.most.difference_of(name)
    keys: tuple[str, ...] = ()
    if action is ServiceAction.RECREATE and comparison.respelled is not None:
        keys = changed_keys(comparison.respelled, comparison.new_model, name)
    start_first = action is ServiceAction.RECREATE and (definition.start_first or difference is comparison.most.own)
    plan = replace(plan, changed_keys=keys, start_first=start_first)
    plan = replace(plan, reasons=tuple(find_reasons(comparison, plan)))
    if action is not ServiceAction.RECREATE or difference is comparison.most.own:
        return plan
    how = (
        *rollout_reason(definition, comparison.containers_of(name), by_engine=comparison.stack.replaces_by_itself),
        *proxy_reason(definition, start_first=start_first),
        *canary_reason(definition),
    )
    return replace(plan, reasons=(*plan.reasons, *how))


def _action(changes: StackChanges, comparison: Comparison, name: str) -> ServiceAction:
    """Name what is done to a service that the model has."""
    difference = changes.difference_of(name)
    there = comparison.containers_of(name)
    if difference is None:
        if name in changes.restarts and there:
            return ServiceAction.RESTART
        leftovers = any(container.service == name for container in comparison.containers.removed)
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
        reasons = (said("it is a job that did not end well, or of another release, and does not run again"),)
    return ServicePlan(name, ServiceAction.REMOVE, comparison.running_image(name), reasons=reasons)


def _swept(comparison: Comparison) -> frozenset[str]:
    return frozenset(container.service for container in comparison.containers.removed)


def _sweep(comparison: Comparison, name: str) -> ServicePlan:
    """Plan the removal of what an interrupted update left of a service that the model does not have."""
    action = ServiceAction.ADJUST if comparison.containers_of(name) else ServiceAction.REMOVE
    image = comparison.running_image(name)
    return ServicePlan(name, action, image, image, reasons=tuple(find_leftovers(comparison, name)))


# A key without a value, such as a network that a service joins, is another thing than none.
ABSENT = object()


def changed_keys(old_model: Mapping[str, Any], new_model: Mapping[str, Any], service: str) -> tuple[str, ...]:
    """Name the keys of a service's configuration that differ, never their values."""
    old, new = (_configuration(model, service) for model in (old_model, new_model))
    names: list[str] = []
    for key in sorted(set(old) | set(new)):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            names += [
                f"{key}.{k}" for k in sorted(set(before) | set(after)) if before.get(k, ABSENT) != after.get(k, ABSENT)
            ]
        else:
            names.append(key)
    return tuple(map(spelled, names))


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


def _digest(facts: Mapping[str, object], current: Release | None, services: Iterable[ServicePlan]) -> str:
    """Bind a confirmation to all that the plan was made of."""
    # What runs before the first release is adopted on the way: that it has a number by then changes nothing, nor does
    # what is found to be as the release says already.
    is_first = current is None or current.state is ReleaseState.ADOPTED
    # A start or a restart is no surprise to whoever said yes; a container that goes is.
    replaced = {service.service: service.action for service in services if service.action in REPLACING}
    bound = {
        **facts,
        "from": None if current is None or is_first else current.model_hash,
        "replaced": {} if is_first else replaced,
    }
    return hashlib.sha256(json.dumps(bound, sort_keys=True, default=str).encode()).hexdigest()
