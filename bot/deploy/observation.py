"""Say for how long a service is watched after it was changed, and what an environment is on while it only watches."""

from dataclasses import replace

from roas.models.environment import Environment
from roas.models.release import Release
from roas.models.stack import ServiceDefinition
from roas.state.manager import StateManager

# Nothing but time tells that a service without a health check goes on running.
UNVERIFIED_OBSERVATION_SECONDS = 30.0
CRITICAL_OBSERVATION_SECONDS = 10.0
DEFAULT_OBSERVATION_SECONDS = 5.0  # Swarm's own default for update_config.monitor


def observation_seconds(definition: ServiceDefinition, environment: Environment) -> float:
    """Return how long a service is watched once it is ready.

    That is what the environment says, or else what fits its kind, and never less than its `update_config.monitor`. What
    users come to through a proxy counts as critical: a crash soon after its start is to be seen. What has no replica,
    or ends, is not watched.
    """
    if definition.one_shot or not definition.replicas:
        return 0.0
    window = environment.observation_seconds
    if window is None:
        needed = is_critical(definition, environment) or definition.proxy is not None
        window = CRITICAL_OBSERVATION_SECONDS if needed else DEFAULT_OBSERVATION_SECONDS
        if not definition.has_health_check:
            window = UNVERIFIED_OBSERVATION_SECONDS
    return max(window, definition.monitor_seconds or 0.0)


def is_critical(definition: ServiceDefinition, environment: Environment) -> bool:
    """Return whether a stack cannot do without a service."""
    return definition.critical or definition.name in environment.critical_services


async def release_in_use(state: StateManager, environment: str) -> Release | None:
    """Return the release that an environment is on, with the model that it runs.

    A deployment that only watches has arrived: whoever asks for something now starts from its release.
    """
    lock = await state.locks.get(environment)
    watching = None if lock is None else await state.deployments.get(lock.deployment_id)
    if watching is not None and watching.only_watches and watching.to_release is not None:
        release = await state.releases.get(environment, watching.to_release)
        if release is not None:
            return replace(release, model_hash=watching.applied_model or release.model_hash)
    return await state.releases.applied(environment)
