"""A unit test that starts another program than this Python fails: it is an integration test, or one of the whole."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kinds import is_other_program

if TYPE_CHECKING:
    from roas.events import EventBus
    from roas.state.manager import StateManager
    from tests.unit.deploy.virtual_time import VirtualLoop


@pytest.fixture(autouse=True)
def _no_other_program() -> Iterator[None]:
    """Take note of each program; asyncio starts its own by the same way. Said at the end, since the code may catch."""
    started: list[Any] = []
    start = subprocess.Popen.__init__

    def note(self: subprocess.Popen[Any], arguments: Any, *more: Any, **options: Any) -> None:
        if is_other_program(arguments, options.get("executable")):
            started.append(arguments)
        start(self, arguments, *more, **options)

    with pytest.MonkeyPatch.context() as patch:  # not the test's own, which is undone before other fixtures end
        patch.setattr(subprocess.Popen, "__init__", note)
        yield
    assert started == [], "a unit test starts no other program: see CONTRIBUTING.md"


@pytest.fixture
async def hurried_time() -> AsyncIterator[None]:
    """Let what only time would end be over at once, for a test that waits for the bot's clocks."""
    from tests.unit.hurried_time import hurried

    with hurried(asyncio.get_running_loop()):
        yield


@pytest.fixture
def loop() -> Iterator["VirtualLoop"]:
    """A loop of virtual time, in which everything that reads a clock lives."""
    from tests.unit.deploy.virtual_time import VirtualLoop, clocks_of

    loop = VirtualLoop()
    with clocks_of(loop):
        yield loop
    loop.close()


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator["StateManager"]:
    """A journal of the test's own."""
    from roas.state.manager import StateManager

    async with StateManager(tmp_path / "state") as manager:
        yield manager


@pytest.fixture
async def bus() -> AsyncIterator["EventBus"]:
    """An event bus of the test's own."""
    from roas.events import EventBus

    bus = EventBus()
    yield bus
    await bus.close()
