"""Be a stack of a test: what a fake of any kind needs to be asked as `Stacks` is."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

from roas.stack.resolution.repository import Repositories
from roas.stack.stack import Stack


class OneStack:
    """Be the stack of every environment that is asked for."""

    environment: Any = None
    replaces_by_itself = False
    repositories = Repositories(Path("/nowhere"))
    without_own_changes = Stack.without_own_changes

    def of(self, environment: Any) -> Self:
        """Be the stack of an environment."""
        self.environment = environment
        return self


def stacks_that(**methods: Callable[..., Any]) -> Any:
    """Give each environment a stack with these methods, each of which gets the environment first."""

    def of(environment: Any) -> SimpleNamespace:
        return SimpleNamespace(**{name: partial(method, environment) for name, method in methods.items()})

    return SimpleNamespace(of=of)
