"""Many hosts, each with an engine of dictionaries."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from roas.errors import EngineUnavailableError
from roas.models.deployment import (
    DeploymentKind,
    DeploymentRequest,
)
from roas.models.environment import Environment, Waves
from tests.unit.deploy.fake_engine import FakeEngine
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.requested import DORA
from tests.unit.one_stack import OneStack

HOSTS = ("a", "b", "c")


class Away(OneStack):
    """Be an engine that does not answer."""

    def __init__(self, engine: FakeEngine) -> None:
        self.environment = engine.environment
        self.definitions, self.load_model = engine.definitions, engine.load_model

    def __getattr__(self, name: str) -> Any:
        async def answer(*_arguments: Any, **_named: Any) -> None:
            raise EngineUnavailableError(f"{self.environment.host} does not answer")

        return answer


@dataclass
class Fleet:
    """Be the stacks of an environment on many hosts; what belongs to none of them, the first one has."""

    engines: dict[str, FakeEngine]
    away: set[str]

    def of(self, environment: Environment) -> Any:
        """Return the engine of a host, which is away where a test says so."""
        if environment.host in self.away:
            return Away(self.engines[environment.host].of(environment))
        return self.engines[environment.host].of(environment)

    def versions(self) -> dict[str, str]:
        """Return which version of the web service runs on each host."""
        return {host: engine.versions().get("web", "") for host, engine in self.engines.items()}

    def __getattr__(self, name: str) -> Any:
        return getattr(next(iter(self.engines.values())), name)


def make_fleet() -> Fleet:
    """Make a host for each name, all of which keep the same models."""
    models: dict[str, dict[str, Any]] = {}
    engines = {host: FakeEngine({"store": service("store"), "web": service("web", "store")}) for host in HOSTS}
    for engine in engines.values():
        engine.models = models
    return Fleet(engines, set())


def on_hosts(folder: Path, waves: Waves, hosts: tuple[str, ...] = HOSTS, **options: Any) -> Environment:
    """Return the environment `prod` on hosts."""
    whole = Environment("prod", "shop-prod", folder, (), observation_seconds=0.0, waves=waves, **options)
    each = replace(whole, part_of="prod", needs_approval=False)
    return replace(whole, hosts=tuple(replace(each, name=f"prod@{host}", docker_host=host) for host in hosts))


def known(whole: Environment) -> dict[str, Environment]:
    """Return the environments by name, as the settings have them."""
    return {environment.name: environment for environment in whole.with_hosts}


def deploy(version: str = "v1", **options: object) -> DeploymentRequest:
    return DeploymentRequest("prod", DeploymentKind.DEPLOY, DORA, version=version, **options)


def rollback(**options: object) -> DeploymentRequest:
    return DeploymentRequest("prod", DeploymentKind.ROLLBACK, DORA, **options)
