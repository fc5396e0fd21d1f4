"""Say how the replicas of a service are replaced: what its `update_config` or `rollback_config` means for it."""

from collections.abc import Collection
from dataclasses import replace

from roas.engine.comparison import WantedService
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.rollout import ALL_AT_ONCE, RolloutPolicy, RolloutRecord
from roas.models.stack import ServiceDefinition


def is_rolled_out(
    wanted: WantedService, there: tuple[ContainerSnapshot, ...], record: RolloutRecord | None = None
) -> bool:
    """Return whether the replicas of a service are replaced as a policy says; a first start is no rollout.

    What a proxy stands in front of always is: all at once is a policy, too.
    With a `record`, one had begun in this deployment: whoever resumes knows which replicas it went on without.
    """
    definition = wanted.definition
    is_proxied = definition.proxy is not None and not definition.one_shot and definition.replicas > 0
    if not (is_proxied or has_policy(definition, there)):
        return False
    return record is not None or any(not wanted.fits(one) and one.state is not ContainerState.CREATED for one in there)


def has_policy(definition: ServiceDefinition, there: Collection[ContainerSnapshot]) -> bool:
    """Return whether the replicas of a service, of which some are there, are replaced otherwise than all at once.

    One that looks as if it may end goes on where its containers are probed: the health check is the image's.
    """
    ends = definition.one_shot or (definition.may_end and all(one.health is HealthStatus.NONE for one in there))
    return definition.update != ALL_AT_ONCE and not ends and definition.replicas > 0


def stays_up(definition: ServiceDefinition) -> bool:
    """Return whether some of a service's replicas run at each moment while they are replaced."""
    return definition.start_first or is_gradual(definition.update, definition.replicas)


def is_gradual(policy: RolloutPolicy, replicas: int) -> bool:
    """Return whether not all replicas are replaced at once."""
    return 0 < policy.parallelism < replicas


def policy_of(definition: ServiceDefinition, there: tuple[ContainerSnapshot, ...]) -> RolloutPolicy:
    """Return how the replicas that are there are replaced: all at once where they would lose what they hold.

    Compose passes unnamed volumes on only where it replaces all that differ, which is stop-first.
    """
    if not definition.start_first and any(one.unnamed_volumes for one in there):
        return replace(definition.update, parallelism=0)
    return definition.update
