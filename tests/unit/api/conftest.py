"""A control server on a real unix socket, over a real journal; only the orchestrator is played."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roas.api.application import ControlApi
from roas.api.control_client import ControlClient
from roas.api.control_socket import serve_control_socket
from roas.errors import RoasError
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import DeploymentKind, DeploymentRequest, Lock
from roas.models.environment import Environment
from roas.models.health import StackHealth, Verdict
from roas.state.deployments.locks import LockHeldError
from roas.state.manager import StateManager
from tests.unit.played_orchestrator import PlayedOrchestrator

PERSON = Actor(ActorKind.SYSTEM, "0", "nobody in particular")
HEALTH = StackHealth("dev", Verdict.HEALTHY, (), datetime.now(UTC))


def request(environment: str = "dev", **changes: object) -> DeploymentRequest:
    return replace(
        DeploymentRequest(environment, DeploymentKind.DEPLOY, PERSON, version="v1"),
        **changes,  # type: ignore[arg-type]
    )


def a_lock() -> Lock:
    held_by = Actor(ActorKind.DISCORD, "7", "Ada")
    return Lock("dev", "DEPLOY-1", held_by, "deploy v1", datetime(2030, 1, 2, tzinfo=UTC), "BOT-1", 3)


class PlayedCollector:
    """Find every stack well, or raise."""

    fault: RoasError | None = None

    async def collect_all_metrics(self, environment: Environment) -> StackHealth:
        if self.fault is not None:
            raise self.fault
        return replace(HEALTH, environment=environment.name)


class PlayedSecrets:
    """Note what is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes, Actor]] = []

    async def set(self, environment: Environment, name: str, value: bytes, actor: Actor) -> str:
        self.asked.append((environment.name, name, value, actor))
        return f"{name}_v2"


@pytest.fixture
def secrets() -> PlayedSecrets:
    return PlayedSecrets()


@pytest.fixture
def orchestrator(state: StateManager) -> PlayedOrchestrator:
    return PlayedOrchestrator(state)


@pytest.fixture
def collector() -> PlayedCollector:
    return PlayedCollector()


@pytest.fixture
def api(
    state: StateManager, orchestrator: PlayedOrchestrator, collector: PlayedCollector, secrets: PlayedSecrets
) -> ControlApi:
    known = {
        name: Environment(name, f"shop-{name}", Path("/shop"), (), needs_approval=name == "prod")
        for name in ("dev", "prod")
    }
    return ControlApi(
        state=state, orchestrator=orchestrator, environments=known, health=collector, candidates=None, secrets=secrets
    )


@pytest.fixture
async def client(api: ControlApi, state: StateManager) -> AsyncIterator[ControlClient]:
    """Listen, and connect."""
    async with serve_control_socket(api, state.folder), ControlClient(state.folder) as client:
        yield client


def lock_held() -> LockHeldError:
    return LockHeldError(a_lock())
