"""An orchestrator over a real journal and an engine of dictionaries."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import stamina

from roas.deployment.components import Components
from roas.deployment.orchestrator import DeploymentOrchestrator
from roas.deployment.peers import HealthAnswer, Peers
from roas.engine.manager import DeploymentManager
from roas.events import EventBus
from roas.models.check import ValidationReport
from roas.models.dependency import Dependency
from roas.models.environment import Environment
from roas.models.stack import ServiceDefinition
from roas.settings import Settings
from roas.state.manager import StateManager
from roas.state.ownership import HeldLease
from tests.unit.deployment.fake_engine import FakeEngine


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


@pytest.fixture(autouse=True)
def _no_waiting_between_retries():
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment("dev", "shop-dev", tmp_path, (), observation_seconds=0.0)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine({"store": service("store"), "web": service("web", "store")})


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[StateManager]:
    async with StateManager(tmp_path / "state") as manager:
        yield manager


@pytest.fixture
async def bus() -> AsyncIterator[EventBus]:
    bus = EventBus()
    yield bus
    await bus.close()


async def nobody_answers(url: str) -> HealthAnswer | None:
    """Be a network in which no bot can be asked: the journal alone tells peers from others."""
    return None


@pytest.fixture
def components(state: StateManager, bus: EventBus, engine: FakeEngine, tmp_path: Path) -> Components:
    return Components(
        settings=Settings(_env_file=None, state_dir=tmp_path / "state"),
        state=state,
        bus=bus,
        engine=engine,
        manager=DeploymentManager(engine, state),
        validator=Approving(),
        monitoring=NoMonitoring(),
        prober=Answering(),
        own_container=nobody,
        held_lease=HeldLease(),
        peers=Peers(engine, state, nobody, nobody_answers),
    )


@pytest.fixture
async def orchestrator(components: Components, environment: Environment) -> AsyncIterator[DeploymentOrchestrator]:
    orchestrator = DeploymentOrchestrator(components, {"dev": environment})
    yield orchestrator
    await orchestrator.close()
