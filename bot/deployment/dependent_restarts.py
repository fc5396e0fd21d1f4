"""Find the services that must be restarted although their own definition did not change."""

from collections.abc import Iterable, Mapping

from roas.models.deployment import Deployment, ServiceStep
from roas.models.stack import ServiceDefinition

BEGUN = frozenset(
    {ServiceStep.CREATING, ServiceStep.STARTING, ServiceStep.WAITING, ServiceStep.PAUSED, ServiceStep.RESTORING}
)
REPLACED = frozenset({ServiceStep.WAITING, ServiceStep.HEALTHY, ServiceStep.UNVERIFIED, ServiceStep.COMPLETED})


def to_restart(definitions: Mapping[str, ServiceDefinition], replaced: Iterable[str]) -> frozenset[str]:
    """Return what starts again because something was replaced that it depends on (`depends_on.restart`)."""
    moved = set(replaced)
    found: set[str] = set()
    while waiting := {name for name, one in definitions.items() if _restarts_after(one, moved)} - moved:
        moved |= waiting
        found |= waiting
    return frozenset(found)


def begun(deployment: Deployment) -> frozenset[str]:
    """Return the services that an interrupted attempt had started: none of them was seen ready yet."""
    return frozenset(progress.service for progress in deployment.services if progress.step in BEGUN)


def replaced_before(deployment: Deployment) -> frozenset[str]:
    """Return the services that an earlier attempt has replaced or started again."""
    return frozenset(one.service for one in deployment.services if one.changed and one.step in REPLACED)


def _restarts_after(definition: ServiceDefinition, moved: set[str]) -> bool:
    return not definition.one_shot and any(edge.restart and edge.on in moved for edge in definition.dependencies)
