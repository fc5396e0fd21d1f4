"""Find the environment that a command names."""

from roas.environments import environments
from roas.errors import InvalidRequestError
from roas.models.environment import Environment
from roas.settings import Settings


def find_environment(settings: Settings, name: str) -> Environment:
    """Return an environment by name. Raises InvalidRequestError that names those there are."""
    known = environments(settings)
    if name not in known:
        raise InvalidRequestError(f"There is no environment {name!r}.", hint=f"There are: {', '.join(known)}.")
    return known[name]


def wanted_environments(settings: Settings, name: str | None) -> tuple[Environment, ...]:
    """Return the environment of a name, or all of them. Raises InvalidRequestError."""
    return (find_environment(settings, name),) if name else tuple(environments(settings).values())
