"""Bots on several machines, which share a journal through one Swarm."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from roas.state.manager import StateManager
from roas.state.shared.log import SharedLog
from roas.state.shared.objects import SealedObjects
from roas.state.shared.sealing import Seal
from tests.unit.state.shared.shared_swarm import KEY, KeptObjects


@pytest.fixture
def swarm() -> KeptObjects:
    return KeptObjects()


@pytest.fixture
async def bots(tmp_path: Path, swarm: KeptObjects) -> AsyncIterator[Callable[..., Coroutine[Any, Any, StateManager]]]:
    """Open the journals of bots, each on a machine of its own."""
    async with AsyncExitStack() as stack:

        async def open_bot(name: str, *, key: bytes = KEY) -> StateManager:
            folder = tmp_path / name
            shared = SharedLog(SealedObjects(swarm, Seal(key)), folder)
            return await stack.enter_async_context(StateManager(folder, shared=shared))

        yield open_bot
