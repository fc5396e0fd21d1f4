"""Define the input of an environment's checks; they fetch nothing themselves."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from roas.engine.compose.jail import JailKind
from roas.engine.interface import ResolvedStack
from roas.engine.proxied_service import ProxiedService
from roas.errors import RoasError
from roas.models.environment import Environment
from roas.models.facts import DiscordFacts, EngineFacts, FoundProject, OwnContainer, PublishedPort
from roas.models.proxy import ServiceProxy
from roas.models.stack import WantedImage
from roas.models.swarm import SwarmFacts
from roas.settings import Settings


class EngineProbe(Protocol):
    """Answer what the checks ask of an engine and of the machine that it runs on."""

    async def version(self) -> EngineFacts:
        """Return what the engine says of itself. Raises EngineUnavailableError."""
        ...

    async def compose_version(self) -> str:
        """Return the version of the Compose CLI, such as `2.26.1`. Raises EngineError where there is none."""
        ...

    async def jail(self) -> JailKind:
        """Return what confines Compose while it reads the stack's files."""
        ...

    async def published_ports(self) -> tuple[PublishedPort, ...]:
        """Return the host ports that running containers of any project hold. Raises EngineUnavailableError."""
        ...

    async def projects(self) -> tuple[FoundProject, ...]:
        """Return the Compose projects of the engine. Raises EngineUnavailableError."""
        ...

    async def own_container(self) -> OwnContainer | None:
        """Return the container that this process runs in, or None. Raises EngineUnavailableError."""
        ...

    def in_container(self) -> bool:
        """Return whether this process runs in a container."""
        ...

    def shares_host(self) -> bool:
        """Return whether this process sees the network and the files of the engine's machine as the engine does."""
        ...

    async def disk_free(self, path: Path) -> int | None:
        """Return the free bytes of the file system of `path`, or None where it cannot be read from here."""
        ...

    async def memory_available(self) -> int | None:
        """Return the bytes of memory that are left on this machine, or None where the engine is on another one."""
        ...

    async def port_is_free(self, host_ip: str, port: int, protocol: str) -> bool | None:
        """Return whether a port of this machine could be bound, or None where that cannot be determined from here."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """Provide all that the checks look at.

    Exactly one of `stack` and `stack_error` is given. `reads_working_copy` is False where a stored release is to be
    applied: then the compose files as they lie there today say nothing. `variables` is what interpolation gets besides
    the environment's own files and variables. A callable that is None means that there is nothing of it to check.
    """

    environment: Environment
    settings: Settings
    engine: EngineProbe
    stack: ResolvedStack | None = None
    stack_error: RoasError | None = None
    reads_working_copy: bool = True
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    look_up_image: Callable[[str], Awaitable[WantedImage]] | None = None
    ping_redis: Callable[[], Awaitable[None]] | None = None
    discord_facts: Callable[[], Awaitable[DiscordFacts]] | None = None
    swarm: Callable[[], Awaitable[SwarmFacts | None]] | None = None
    proxied: Callable[[str, ServiceProxy], ProxiedService] | None = None

    @property
    def services(self) -> Mapping[str, Any]:
        """Return the services of the resolved model; none where it did not resolve."""
        return dict(self.stack.model.get("services") or {}) if self.stack is not None else {}
