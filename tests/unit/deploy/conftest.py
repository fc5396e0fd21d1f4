"""An orchestrator over a real journal and an engine of dictionaries."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roas.deploy import phase_failure
from roas.deploy.components import Components
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.events import EventBus
from roas.limits import Retries
from roas.models.environment import Environment
from roas.state.manager import StateManager
from tests.unit.deploy.fake_engine import FakeEngine
from tests.unit.deploy.handover.two_bots import Bot, Scene, a_scene
from tests.unit.deploy.played_parts import components_over, service


@pytest.fixture(autouse=True)
def _no_waiting_between_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phase_failure, "PHASE_RETRIES", Retries(0.0, 0.0))


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment("dev", "shop-dev", tmp_path, (), observation_seconds=0.0)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine({"store": service("store"), "web": service("web", "store")})


@pytest.fixture
def components(state: StateManager, bus: EventBus, engine: FakeEngine) -> Components:
    engine.protected.clear()  # one that is a parameter is there for several tests
    return components_over(state, bus, engine)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(tmp_path) as scene:
        yield scene


@pytest.fixture
async def old(scene: Scene) -> Bot:
    return await scene.first()


@pytest.fixture
async def orchestrator(components: Components, environment: Environment) -> AsyncIterator[DeploymentOrchestrator]:
    orchestrator = DeploymentOrchestrator(components, {"dev": environment})
    yield orchestrator
    await orchestrator.close()
