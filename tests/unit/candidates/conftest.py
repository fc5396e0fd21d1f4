"""A coordinator over a real journal; only the orchestrator is played."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roas.candidates.coordinator import CandidateCoordinator
from roas.events import EventBus
from roas.models.candidate import Candidate, CandidateState
from roas.models.environment import Environment
from roas.state.manager import StateManager
from tests.unit.played_orchestrator import PlayedOrchestrator


@pytest.fixture
def orchestrator(state: StateManager, bus: EventBus) -> PlayedOrchestrator:
    return PlayedOrchestrator(state, bus)


@pytest.fixture
def known(tmp_path: Path) -> dict[str, Environment]:
    return {
        name: Environment(name, f"shop-{name}", tmp_path, (), needs_approval=name == "prod") for name in ("dev", "prod")
    }


@pytest.fixture
def make_coordinator(state, orchestrator, bus, known):
    """Return what makes a coordinator: that of another process on the same journal, too."""
    return lambda: CandidateCoordinator(state, orchestrator, bus, known)


@pytest.fixture
async def coordinator(make_coordinator) -> AsyncIterator[CandidateCoordinator]:
    coordinator = make_coordinator()
    await coordinator.start()
    yield coordinator
    await coordinator.stop()


@pytest.fixture
def reaches(state: StateManager):
    """Return what waits until a candidate is in one of some states."""

    async def wait(candidate: Candidate, *states: CandidateState) -> Candidate:
        changed = asyncio.Event()
        unsubscribe = state.subscribe(lambda _change: changed.set())
        try:
            async with asyncio.timeout(8):
                while True:
                    changed.clear()
                    found = await state.candidates.get(candidate.id)
                    assert found is not None
                    if found.state in states:
                        return found
                    await changed.wait()
        except TimeoutError:
            raise AssertionError(f"{found.state}: {found.note}") from None
        finally:
            unsubscribe()

    return wait
