"""Give the tests of the checks a subject to look at."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from roas.checks.subject import Subject
from roas.configuration.settings import Settings
from roas.errors import EngineUnavailableError
from roas.models.environment import Environment
from roas.models.facts import EngineFacts, FoundProject, OwnContainer, PublishedPort
from roas.models.stack import ServiceDefinition
from roas.stack.interface import ResolvedStack

GIB = 1024**3


@dataclass
class StubProbe:
    """Answer with what a test sets."""

    facts: EngineFacts | None = None
    compose: str = "2.26.1"
    ports: tuple[PublishedPort, ...] = ()
    own: OwnContainer | None = None
    inside: bool = False
    free: int | None = 50 * GIB
    memory: int | None = 4 * GIB
    free_port: bool | None = True
    found_projects: tuple[FoundProject, ...] = ()
    landlock: bool = True

    async def version(self) -> EngineFacts:
        if self.facts is None:
            raise EngineUnavailableError("The engine at unix:///x does not answer.", hint="Start Docker.")
        return self.facts

    async def compose_version(self) -> str:
        return self.compose

    async def has_landlock(self) -> bool:
        return self.landlock

    async def published_ports(self) -> tuple[PublishedPort, ...]:
        await self.version()
        return self.ports

    async def projects(self) -> tuple[FoundProject, ...]:
        await self.version()
        return self.found_projects

    async def own_container(self) -> OwnContainer | None:
        return self.own

    def in_container(self) -> bool:
        return self.inside

    def shares_host(self) -> bool:
        return not self.inside

    async def disk_free(self, path: Path) -> int | None:
        return self.free

    async def memory_available(self) -> int | None:
        return self.memory

    async def port_is_free(self, host_ip: str, port: int, protocol: str) -> bool | None:
        return self.free_port


@pytest.fixture
def probe() -> StubProbe:
    """Return a probe of a machine where all is well."""
    return StubProbe(facts=EngineFacts("26.1.5", "1.45", "/var/lib/docker", memory_bytes=8 * GIB, processors=2))


@pytest.fixture
def subject(tmp_path: Path, probe: StubProbe) -> Subject:
    """Return a subject where all is well and nothing is optional."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    compose = tmp_path / "docker-compose.yml"
    compose.write_text("services: {web: {image: web}}\n")
    environment = Environment("dev", "shop-dev", tmp_path, (compose,))
    settings = Settings(_env_file=None, state_dir=state)  # type: ignore[call-arg]
    return Subject(environment, settings, probe, stack=ResolvedStack(environment, "v1", {"services": {}}, {}))


@pytest.fixture
def with_services(subject: Subject) -> Callable[..., Subject]:
    """Return `make(model, **definitions)`: the subject with these services in its resolved stack."""

    def make(services: dict[str, Any], **changes: dict[str, Any]) -> Subject:
        definitions = {
            name: replace(ServiceDefinition(name, f"{name}:1", "hash"), **changes.get(name, {})) for name in services
        }
        stack = ResolvedStack(subject.environment, "v1", {"services": services}, definitions)
        return replace(subject, stack=stack)

    return make
