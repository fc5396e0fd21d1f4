"""Say in words why something is done to a service, and how."""

from collections.abc import Collection, Iterator

from roas.deploy.planning.stack_comparison import Comparison
from roas.messages.message import joined, said
from roas.models.health import ContainerSnapshot
from roas.models.plan import ServiceAction, ServicePlan
from roas.models.release import ReleaseState
from roas.models.rollout import FailureAction, RolloutPolicy
from roas.models.stack import ServiceDefinition
from roas.stack.model.durations import write_duration
from roas.stack.model.services import UNLIKE, pinned_round, services_of
from roas.stack.service_comparison import ServiceDifference
from roas.stack.updating.rollout_rules import has_policy, is_gradual, policy_of

RUNS = frozenset({ServiceAction.CREATE, ServiceAction.RECREATE, ServiceAction.START})


def find_reasons(comparison: Comparison, plan: ServicePlan) -> Iterator[str]:
    """Yield the reasons of one service, in words."""
    difference = comparison.most.difference_of(plan.service)
    name, there = plan.service, comparison.containers_of(plan.service)
    yield from find_leftovers(comparison, name)
    if plan.action is ServiceAction.RESTART:
        changing = comparison.most.differing.keys() | comparison.most.restarts
        edges = (
            dependency
            for dependency in comparison.most.definitions[name].dependencies
            if dependency.restart and dependency.on in changing
        )
        yield from (said("it depends on {on}, which changes", on=edge.on) for edge in edges)
    if difference is None:
        return
    if comparison.most.definitions[name].one_shot and plan.action in RUNS:
        runs = comparison.certain.difference_of(name) is not None
        yield said("it is a job, and runs") if runs else said("it is a job, and runs if its image is another one")
    if plan.action is ServiceAction.RECREATE:
        yield from _reasons_to_recreate(comparison, plan, difference)
    if plan.action is ServiceAction.CREATE and comparison.released_image(name)[0]:
        yield said("its container is missing")
    replicas = comparison.most.definitions[name].replicas
    if plan.action is ServiceAction.ADJUST and (difference.missing or difference.surplus):
        yield said("it has {there} of {replicas} {replicas|container|containers}", there=len(there), replicas=replicas)
    if difference.unwritten and not there:
        yield said("it has no replicas, and its service in the Swarm is missing or has another configuration")
    if plan.action is ServiceAction.RELOAD:
        yield said("its configuration changed: connections through it stay open")
    for container in difference.idle:
        yield said("its container {one} is {state}", one=container.name, state=container.state)


def find_leftovers(comparison: Comparison, name: str) -> Iterator[str]:
    """Yield what a sweep removes of a service."""
    for container in comparison.containers.removed:
        if container.service == name:
            yield said("{one}, left over from an interrupted update, is removed", one=container.name)


def _reasons_to_recreate(comparison: Comparison, plan: ServicePlan, difference: ServiceDifference) -> Iterator[str]:
    shared = sorted(on for on in comparison.most.sharing.get(plan.service, ()) if _is_replaced(comparison, on))
    yield from (said("it shares a namespace or volumes with {on}, which is recreated", on=on) for on in shared)
    current, released = comparison.current, comparison.as_released.get(plan.service)
    moved = [container for container in difference.unlike if released is None or not released.fits(container)]
    adopted = current is None or current.state is ReleaseState.ADOPTED
    if moved and not shared:
        unlike = _unlike_keys(comparison, plan.service)
        short = sorted(on for on in comparison.most.sharing.get(plan.service, ()) if _is_short(comparison, on))
        if short:
            yield from (
                said("it shares a namespace or volumes with {on}, of which a container is missing", on=on)
                for on in short
            )
        elif plan.service in comparison.by_us:
            yield comparison.by_us[plan.service]
        elif current is not None and not adopted:
            yield said("it was changed by hand: its container is not as {current} has it", current=current.label)
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
        plan.expected_image not in {None, container.image_id} for container in difference.unlike
    )


def _is_replaced(comparison: Comparison, name: str) -> bool:
    difference = comparison.most.difference_of(name)
    return difference is not None and bool(difference.unlike or not comparison.containers_of(name))


def _is_short(comparison: Comparison, name: str) -> bool:
    difference = comparison.most.difference_of(name)
    return difference is not None and difference.missing > 0


def proxy_reason(definition: ServiceDefinition, *, start_first: bool) -> tuple[str, ...]:
    """Return a sentence about the proxy that is told when a service is recreated; none where there is none."""
    if definition.proxy is None or not start_first:
        return ()
    return (said("{proxy} sends requests to the new ones before the old ones go", proxy=definition.proxy.service),)


def canary_reason(definition: ServiceDefinition) -> tuple[str, ...]:
    """Return a sentence about the canary of a service that is recreated; none where it has none."""
    if (policy := definition.canary) is None:
        return ()
    count, pause = policy.new_containers(0, definition.replicas), write_duration(policy.pause_seconds)
    if policy.shares[0]:
        steps = said(
            "first a canary with {shares} of the requests, for {pause} each at least (a hotfix has none)",
            shares=", ".join(f"{share} %" for share in policy.shares),
            pause=pause,
        )
    else:
        steps = said(
            "first a canary of {count} {count|container|containers}, for {pause} at least (a hotfix has none)",
            count=count,
            pause=pause,
        )
    if not policy.bake_seconds:
        return (steps,)
    bakes = said("then it bakes for {bake}, and goes back by itself", bake=write_duration(policy.bake_seconds))
    return (steps, bakes)


def rollout_reason(
    definition: ServiceDefinition, containers: Collection[ContainerSnapshot], *, by_engine: bool = False
) -> tuple[str, ...]:
    """Return a sentence about the rollout of a service that is recreated; none where all is as without a policy.

    A Swarm, `by_engine`, does it itself: one at a time, if nothing is said, and nobody is asked where it pauses.
    """
    there = tuple(containers)
    if not there or not has_policy(definition, there):
        return ()
    if by_engine:
        return (joined("; ", _by_swarm(definition.update, definition)),)
    policy = policy_of(definition, there)
    parts = [_how_many_at_once(policy, definition), *_delay(policy, definition.replicas), _failure(policy)]
    return (joined("; ", parts),)


def _by_swarm(policy: RolloutPolicy, definition: ServiceDefinition) -> list[str]:
    parts = [_how_many_at_once(policy, definition)] if policy.parallelism else []
    if policy.delay_seconds:
        parts.append(_pause_between(policy))
    if policy.failure_action is FailureAction.CONTINUE or policy.max_failure_ratio:
        return [*parts, said("Swarm may go on where one fails; what does not run in the end is rolled back")]
    return [*parts, said("where one fails, it is rolled back")]


def _how_many_at_once(policy: RolloutPolicy, definition: ServiceDefinition) -> str:
    replicas = definition.replicas
    if policy != definition.update and is_gradual(definition.update, replicas):
        return said(
            "all {replicas} replicas replaced at once, since Compose passes their unnamed volumes on only so",
            replicas=replicas,
        )
    if is_gradual(policy, replicas):
        return said(
            "{count} of {replicas} {replicas|replica|replicas} replaced at a time",
            count=policy.parallelism,
            replicas=replicas,
        )
    return said("all {replicas} replicas replaced at once", replicas=replicas)


def _delay(policy: RolloutPolicy, replicas: int) -> list[str]:
    if not policy.delay_seconds or not is_gradual(policy, replicas):
        return []
    return [_pause_between(policy)]


def _pause_between(policy: RolloutPolicy) -> str:
    return said("{seconds} s in between", seconds=f"{policy.delay_seconds:g}")


def _failure(policy: RolloutPolicy) -> str:
    if policy.failure_action is FailureAction.CONTINUE:
        return said("it goes on whatever fails")
    percent = f"{policy.max_failure_ratio * 100:g}"
    if policy.failure_action is FailureAction.PAUSE:
        if policy.max_failure_ratio:
            return said("where more than {percent} % fail, it pauses and asks", percent=percent)
        return said("where one fails, it pauses and asks")
    if policy.max_failure_ratio:
        return said("where more than {percent} % fail, it is rolled back", percent=percent)
    return said("where one fails, it is rolled back")
