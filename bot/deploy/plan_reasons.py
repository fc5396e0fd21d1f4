"""Say why a service does not stay as it is, beside its image and the keys of its configuration."""

from collections.abc import Iterator

from roas.deploy.comparison import Comparison, difference_of
from roas.messages.message import said
from roas.models.plan import ServiceAction, ServicePlan
from roas.models.release import ReleaseState
from roas.stack.comparison import ServiceDifference
from roas.stack.model.services import UNLIKE, adopted_hash, borrowed_targets, pinned_round, services_of

KEYS_SHOWN = 4
RUNS = frozenset({ServiceAction.CREATE, ServiceAction.RECREATE, ServiceAction.START})
NO_RELEASE_HAS_IT = said("it is in no release: somebody started it by hand")


def find_reasons(comparison: Comparison, plan: ServicePlan) -> Iterator[str]:
    """Yield the reasons of one service, in words."""
    difference = difference_of(comparison.most, plan.service)
    name, there = plan.service, comparison.containers_of(plan.service)
    yield from find_leftovers(comparison, name)
    if plan.action is ServiceAction.RESTART:
        changing = comparison.most.differing.keys() | comparison.most.restarts
        edges = (one for one in comparison.most.definitions[name].dependencies if one.restart and one.on in changing)
        yield from (said("it depends on {on}, which changes", on=edge.on) for edge in edges)
    if difference is None:
        return
    if comparison.most.definitions[name].one_shot and plan.action in RUNS:
        yield said("it is a job, and runs")
    if plan.action is ServiceAction.RECREATE:
        yield from _reasons_to_recreate(comparison, plan, difference)
    if plan.action is ServiceAction.CREATE and comparison.released_image(name)[0]:
        yield said("its tasks are missing") if comparison.on_swarm else said("its container is missing")
    replicas = comparison.most.definitions[name].replicas
    if plan.action is ServiceAction.ADJUST and (difference.missing or difference.surplus):
        yield _how_many(len(there), replicas, on_swarm=comparison.on_swarm)
    if difference.unwritten and not there:
        yield said("it has no replicas, and its service in the Swarm is missing or has another configuration")
    if plan.action is ServiceAction.RELOAD:
        yield said("its configuration changed: connections through it stay open")
    for one in difference.idle:
        text = said("its task {one} is {state}", one=one.name, state=one.state)
        yield text if comparison.on_swarm else said("its container {one} is {state}", one=one.name, state=one.state)


def _how_many(there: int, replicas: int, *, on_swarm: bool) -> str:
    if on_swarm:
        return said("it has {there} of {replicas} tasks", there=there, replicas=replicas)
    return said("it has {there} of {replicas} containers", there=there, replicas=replicas)


def _changed_by_hand(release: str, *, on_swarm: bool) -> str:
    if on_swarm:
        return said("it was changed by hand: its tasks are not as {current} has them", current=release)
    return said("it was changed by hand: its container is not as {current} has it", current=release)


def find_leftovers(comparison: Comparison, name: str) -> Iterator[str]:
    """Yield what a sweep removes of a service."""
    for one in comparison.containers.removed:
        if one.service == name:
            yield said("{one}, left over from an interrupted update, is removed", one=one.name)


def _reasons_to_recreate(comparison: Comparison, plan: ServicePlan, difference: ServiceDifference) -> Iterator[str]:
    shared = sorted(on for on in comparison.most.sharing.get(plan.service, ()) if _is_replaced(comparison, on))
    yield from (said("it shares a namespace with {on}, which is recreated", on=on) for on in shared)
    current, released = comparison.current, comparison.as_released.get(plan.service)
    moved = [one for one in difference.unlike if released is None or not released.fits(one)]
    adopted = current is None or current.state is ReleaseState.ADOPTED
    if moved and not shared:
        unlike = _unlike_keys(comparison, plan.service)
        short = sorted(on for on in comparison.most.sharing.get(plan.service, ()) if _is_short(comparison, on))
        if short:
            yield from (said("it shares a namespace with {on}, of which a container is missing", on=on) for on in short)
        elif plan.service in comparison.by_us:
            yield comparison.by_us[plan.service]
        elif current is not None and not adopted:
            yield _changed_by_hand(current.label, on_swarm=comparison.on_swarm)
        elif unlike:
            yield said("it was not made by this bot, and is another in: {unlike}", unlike=", ".join(unlike))
        elif not (plan.changed_keys or _image_changes(comparison, plan, difference)):
            yield said("it was not made by this bot")
    elif _is_next_round(comparison, plan.service):
        yield said("it runs again with each release")
    elif not (shared or plan.changed_keys or plan.if_image_differs or _image_changes(comparison, plan, difference)):
        yield said("its definition reads the same, but gives another configuration hash")


def _is_next_round(comparison: Comparison, name: str) -> bool:
    """Return whether a one-shot service of a Swarm runs again, though nothing else of it may differ."""
    old = services_of(comparison.old_model or {}).get(name) or {}
    rounds = {pinned_round(old), pinned_round(services_of(comparison.new_model).get(name) or {})}
    return len(rounds - {""}) > 1


def _unlike_keys(comparison: Comparison, name: str) -> list[str]:
    extension = (comparison.new_model["services"].get(name) or {}).get("x-deploy") or {}
    return [str(key) for key in extension.get(UNLIKE) or ()]


def _image_changes(comparison: Comparison, plan: ServicePlan, difference: ServiceDifference) -> bool:
    return plan.old_image != plan.new_image or any(
        plan.expected_image not in {None, one.image_id} for one in difference.unlike
    )


def _is_replaced(comparison: Comparison, name: str) -> bool:
    difference = difference_of(comparison.most, name)
    return difference is not None and bool(difference.unlike or not comparison.containers_of(name))


def _is_short(comparison: Comparison, name: str) -> bool:
    difference = difference_of(comparison.most, name)
    return difference is not None and difference.missing > 0


def _adopted_with_files(comparison: Comparison) -> Iterator[str]:
    for name, fields in services_of(comparison.new_model).items():
        binds = any(one.get("type") == "bind" and one.get("read_only") for one in fields.get("volumes") or ())
        if adopted_hash(fields) and binds and difference_of(comparison.most, name) is None:
            yield name


def _changed_in_place(comparison: Comparison) -> Iterator[str]:
    """Say what of each container stays that is not as its own configuration hash says."""
    changes, stay = comparison.most, list[str]()
    for name in sorted(changes.definitions.keys() - changes.skipped):
        difference = difference_of(changes, name)
        if difference is not None and difference.unlike:
            continue
        going = {one.id for one in difference.surplus} if difference else set[str]()
        staying = [one.id for one in comparison.containers_of(name) if one.id not in going]
        found = [comparison.in_place[one] for one in staying if one in comparison.in_place]
        keys = list(dict.fromkeys(key for one in found for key in one.changed))
        if keys:
            keys_shown = ", ".join([*keys[:KEYS_SHOWN], "…"] if len(keys) > KEYS_SHOWN else keys)
            yield said(
                "{name} was changed while it ran, and stays so, until its container is made anew: {keys_shown}.",
                name=name,
                keys_shown=keys_shown,
            )
            stay.append(name)
    if stay and comparison.current is not None:
        yield said(
            "To make anew what stays so: `roas compose {environment} -- up -d --force-recreate {names}`.",
            environment=comparison.current.environment,
            names=" ".join(stay),
        )


def left_alone(comparison: Comparison) -> Iterator[str]:
    """Say what does not fit, and is still not touched."""
    for name in sorted(comparison.most.left_alone):
        yield said("{name} runs by hand and is in an inactive profile only: it is left alone.", name=name)
    for name in _adopted_with_files(comparison):
        yield said(
            "{name} stays as somebody started it: what its bound files held at that time is not known.", name=name
        )
    for name, fields in services_of(comparison.new_model).items():
        if adopted_hash(fields) and borrowed_targets(fields) and difference_of(comparison.most, name) is None:
            yield said("{name} stays as Compose made it: it can write to what it borrows with `:ro`.", name=name)
    yield from _changed_in_place(comparison)
    label = comparison.current.label if comparison.current else ""
    for name in sorted(comparison.most.skipped):
        yield said(
            "{name} is not as {label} has it, and stays as it is: this deployment does not name it.",
            name=name,
            label=label,
        )
