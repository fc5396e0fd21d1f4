"""Say in a plan how the replicas of a service are replaced: by the same policy as the rollout itself."""

from collections.abc import Collection

from roas.messages.message import joined, said
from roas.models.health import ContainerSnapshot
from roas.models.rollout import FailureAction, RolloutPolicy
from roas.models.stack import ServiceDefinition
from roas.stack.rollout import has_policy, is_gradual, policy_of


def proxy_reason(definition: ServiceDefinition, *, start_first: bool) -> tuple[str, ...]:
    """Return a sentence about the proxy that is told when a service is recreated; none where there is none."""
    if definition.proxy is None or not start_first:
        return ()
    return (said("{proxy} sends requests to the new ones before the old ones go", proxy=definition.proxy.service),)


def rollout_reason(
    definition: ServiceDefinition, containers: Collection[ContainerSnapshot], *, on_swarm: bool = False
) -> tuple[str, ...]:
    """Return a sentence about the rollout of a service that is recreated; none where all is as without a policy.

    A Swarm does it itself: one at a time, if nothing is said, and nobody is asked where it pauses.
    """
    there = tuple(containers)
    if not there or not has_policy(definition, there):
        return ()
    if on_swarm:
        return (joined("; ", _by_swarm(definition.update, definition)),)
    policy = policy_of(definition, there)
    parts = [_how_many(policy, definition), *_delay(policy, definition.replicas), _failure(policy)]
    return (joined("; ", parts),)


def _by_swarm(policy: RolloutPolicy, definition: ServiceDefinition) -> list[str]:
    parts = [_how_many(policy, definition)] if policy.parallelism else []
    if policy.delay_seconds:
        parts.append(_pause_between(policy))
    if policy.failure_action is FailureAction.CONTINUE or policy.max_failure_ratio:
        return [*parts, said("Swarm may go on where one fails; what does not run in the end is rolled back")]
    return [*parts, said("where one fails, it is rolled back")]


def _how_many(policy: RolloutPolicy, definition: ServiceDefinition) -> str:
    replicas = definition.replicas
    if policy != definition.update and is_gradual(definition.update, replicas):
        return said(
            "all {replicas} replicas replaced at once, since Compose passes their unnamed volumes on only so",
            replicas=replicas,
        )
    if is_gradual(policy, replicas):
        return said("{count} of {replicas} replicas replaced at a time", count=policy.parallelism, replicas=replicas)
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
