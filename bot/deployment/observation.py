"""Say for how long a service is watched after it was changed."""

from roas.models.environment import Environment
from roas.models.stack import ServiceDefinition

CRITICAL_OBSERVATION_SECONDS = 10.0
DEFAULT_OBSERVATION_SECONDS = 5.0  # Swarm's own default for update_config.monitor


def observation_seconds(definition: ServiceDefinition, environment: Environment) -> float:
    """Return how long a service is observed: `update_config.monitor`, and 10 s at least for a critical one.

    An environment that asks for less than that (dev does) gets what it asks for.
    """
    window = definition.monitor_seconds
    if window is None:
        window = min(DEFAULT_OBSERVATION_SECONDS, environment.observation_seconds)
    if is_critical(definition, environment):
        window = max(window, min(CRITICAL_OBSERVATION_SECONDS, environment.observation_seconds))
    return window


def is_critical(definition: ServiceDefinition, environment: Environment) -> bool:
    """Return whether a stack cannot do without a service."""
    return definition.critical or definition.name in environment.critical_services
