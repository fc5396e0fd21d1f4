"""Leave out the replicas whose failure a person was told of: a rollout that paused for them waits for an answer."""

from collections.abc import Collection, Iterable
from dataclasses import replace

from roas.models.deployment import ServiceProgress, ServiceStep
from roas.models.health import ServiceHealth, Verdict
from roas.models.stack import ServiceDefinition
from roas.monitoring.health.judgement import judge_service


def failed_replicas(progress: Iterable[ServiceProgress]) -> frozenset[str]:
    """Return the containers for which rollouts are paused, or that somebody accepted as failed before."""
    paused = (one.rollout for one in progress if one.step is ServiceStep.PAUSED and one.rollout is not None)
    return frozenset[str]().union(*(one.tolerated for one in paused))


def without_failed(
    health: ServiceHealth, definition: ServiceDefinition | None, failed: Collection[str]
) -> ServiceHealth:
    """Judge a service that is unhealthy by its other replicas; where there are none, by all: nobody is served."""
    others = [one for one in health.containers if one.id not in failed]
    if health.verdict is not Verdict.UNHEALTHY or definition is None or not others:
        return health
    gone = len(health.containers) - len(others)
    if not gone:
        return health
    # Start-first, the old container of a replica that failed goes on.
    expected = definition.replicas if definition.start_first else max(0, definition.replicas - gone)
    return judge_service(replace(definition, replicas=expected), others)
