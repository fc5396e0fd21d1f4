"""An orchestrator's parts over a real journal: an engine of dictionaries, and what finds nothing wrong beside it."""

from collections.abc import Awaitable, Callable
from typing import Any

from roas.configuration.settings import Settings
from roas.deploy.components import Components
from roas.deploy.peers import HealthAnswer, Peers
from roas.events import EventBus
from roas.models.check import ValidationReport
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.models.stack import Dependency, ServiceDefinition
from roas.stack.updating.deployment_manager import DeploymentManager
from roas.state.leadership import Leadership
from roas.state.manager import StateManager

OwnContainerFinder = Callable[[Environment], Awaitable[OwnContainer | None]]


class Approving:
    """Find nothing wrong."""

    def __init__(self) -> None:
        self.results: tuple = ()

    async def validate(self, environment, version=None, *, model_hash=None, found=None) -> ValidationReport:
        return ValidationReport(environment.name, self.results)


class NoMonitoring:
    async def prepare_monitoring_stack(self, environment) -> tuple[str, ...]:
        return ()


class Answering:
    async def probe(self, environment, url, timeout_seconds) -> bool:
        return True


async def nobody(environment: Environment) -> None:
    return None


def service(name: str, *needs: str, **options: object) -> ServiceDefinition:
    dependencies = tuple(Dependency(name, need) for need in needs)
    options = {"has_health_check": True, "monitor_seconds": 0.0} | options
    return ServiceDefinition(name, f"{name}:v1", "d", dependencies, **options)


async def nobody_answers(url: str) -> HealthAnswer | None:
    """Be a network in which no bot can be asked: the journal alone tells peers from others."""
    return None


def components_over(
    state: StateManager,
    bus: EventBus,
    engine: Any,
    *,
    settings: Settings | None = None,
    own_container: OwnContainerFinder = nobody,
    leadership: Leadership | None = None,
) -> Components:
    """Return the parts of a bot on an engine: in no container of its own, unless `own_container` finds one."""
    return Components(
        settings=settings or Settings(_env_file=None, state_dir=state.folder),
        state=state,
        bus=bus,
        stacks=engine,
        manager=DeploymentManager(),
        validator=Approving(),
        monitoring=NoMonitoring(),
        prober=Answering(),
        own_container=own_container,
        leadership=leadership or Leadership(is_leader=False),
        peers=Peers(engine, state, own_container, nobody_answers),
    )
