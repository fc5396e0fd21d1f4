"""What Compose names as created is told of while it makes others."""

import asyncio

import pytest

from roas.engine.containers import creation_progress
from roas.engine.containers.creation_progress import CreationProgress
from roas.errors import EngineUnavailableError
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus


def container(name: str) -> ContainerSnapshot:
    return ContainerSnapshot(name, name, name, ContainerState.CREATED, HealthStatus.NONE, "i", "i", "h")


@pytest.fixture
def environment(tmp_path):
    return Environment("dev", "shop-dev", tmp_path, ())


@pytest.fixture
def told(monkeypatch):
    """Return the queue of what is told, and the engine's answers, the first of which come first."""
    queue: asyncio.Queue = asyncio.Queue()
    answers = [EngineUnavailableError("busy"), (container("a"), container("b")), (container("a"), container("c"))]

    async def answer(_clients, _environment):
        found = answers.pop(0)
        if isinstance(found, Exception):
            queue.put_nowait(found)
            raise found
        return found

    monkeypatch.setattr(creation_progress, "take_outlines", answer)
    monkeypatch.setattr(creation_progress, "LOOKS_APART_SECONDS", 0.0)
    return queue


async def test_what_is_named_as_created_is_told_of(told, environment):
    progress = CreationProgress(None, environment, told.put_nowait)
    async with progress.reporting(), asyncio.timeout(5):
        for line in (" Container z  Creating", "Network n  Created", " Container z  Created "):
            await progress.read_line(line)
        assert isinstance(await told.get(), EngineUnavailableError)  # that one is seen when Compose has ended
        await progress.read_line(" Container a  Created")
        assert await told.get() == (container("a"),)
        await progress.read_line(" Container c  Created")
        assert await told.get() == (container("c"),)
