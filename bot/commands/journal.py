"""Read the journal for commands that only look."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from roas.state.manager import JOURNAL_NAME, StateManager

if TYPE_CHECKING:
    from roas.commands.session import Session


@asynccontextmanager
async def open_journal(session: "Session") -> AsyncIterator[StateManager]:
    """Open the journal, beside a bot that writes it. Raises StateError."""
    warn_of_first_use(session)
    async with StateManager(session.state_dir, instance_prefix="CLI") as state:
        yield state


def warn_of_first_use(session: "Session") -> None:
    """Say that nothing is known yet, to whoever only looks: perhaps these are not the settings of the bot."""
    if not (session.state_dir / JOURNAL_NAME).exists():
        text = f"warning: {session.state_dir} has no journal yet, so nothing is known of any deployment."
        session.terminal.say(text, on_err=True)
        hint = "Where a bot runs already, use its settings: the same STATE_DIR, .env and roas.toml."
        session.terminal.say(f"→ {hint}", on_err=True)
