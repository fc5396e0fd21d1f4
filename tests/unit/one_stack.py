"""Be a stack of a test: what a fake of any kind needs to be asked as `Stacks` is."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

from roas.models.health import ContainerSnapshot
from roas.stack.resolution.repository import Repositories
from roas.stack.service_comparison import ContainerDifference
from roas.web_client import WebClient


class OneStack:
    """Be the stack of every environment that is asked for, its releases, its proxies, and the probe of its engine."""

    environment: Any = None
    shares_with_compose = True
    needs_quorum = False
    replaces_by_itself = False
    repositories = Repositories(Path("/nowhere"), lambda _secrets: None, WebClient())

    def of(self, environment: Any) -> Self:
        """Be the stack of an environment."""
        self.environment = environment
        return self

    @property
    def releases(self) -> Any:
        """Keep releases, too."""
        return self

    @property
    def images(self) -> Any:
        """Have images, too."""
        return self

    answering = ""

    @property
    def proxies(self) -> Any:
        """Tell proxies, too."""
        return self

    def probe(self) -> Any:
        """Answer questions about the engine, too."""
        return self

    async def swarm(self) -> Any:
        """Be on no Swarm."""
        return None

    async def listed(self) -> tuple[ContainerSnapshot, ...]:
        return await self.containers()

    async def containers_by_id(self, container_ids: frozenset[str]) -> tuple[ContainerSnapshot, ...]:
        return tuple(container for container in await self.containers() if container.id in container_ids)

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        return ()

    async def differences(self, model: Mapping[str, Any]) -> Mapping[str, ContainerDifference]:
        return {}

    async def superseded(self, model: Mapping[str, Any]) -> Mapping[str, tuple[tuple[str, str], ...]]:
        return {}


def stacks_that(**methods: Callable[..., Any]) -> Any:
    """Give each environment a stack with these methods, each of which gets the environment first."""

    def of(environment: Any) -> SimpleNamespace:
        stack = SimpleNamespace(**{name: partial(method, environment) for name, method in methods.items()})
        stack.releases = stack.images = stack.proxies = stack
        stack.answering, stack.needs_quorum = "", "swarm" in methods
        stack.replaces_by_itself = stack.needs_quorum
        if "probe" not in methods:
            stack.probe = lambda: stack
        return stack

    return SimpleNamespace(of=of)
