"""Read the journal for commands that only look."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from roas.state.manager import StateManager

if TYPE_CHECKING:
    from roas.commands.session import Session


@asynccontextmanager
async def open_journal(session: "Session") -> AsyncIterator[StateManager]:
    """Open the journal, beside a bot that writes it. Raises StateError."""
    async with StateManager(session.state_dir, instance_prefix="CLI") as state:
        yield state
