"""Read the journal for commands that only look."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from roas.commands.session import Session
from roas.state.looked_at import folder_of_journal, has_journal
from roas.state.manager import StateManager


@asynccontextmanager
async def open_journal(session: Session, *, only_looks: bool = True) -> AsyncIterator[StateManager]:
    """Open the journal, beside a bot that writes it; who `only_looks` makes none where there is none.

    Raises StateError.
    """
    warn_of_first_use(session)
    with folder_of_journal(session.state_dir, only_looks=only_looks) as folder:
        async with StateManager(folder, instance_prefix="CLI") as state:
            yield state


def warn_of_first_use(session: Session) -> None:
    """Say that nothing is known yet, to whoever only looks: perhaps these are not the settings of the bot."""
    if not has_journal(session.state_dir):
        text = f"warning: {session.state_dir} has no journal yet, so nothing is known of any deployment."
        session.terminal.say(text, on_err=True)
        hint = "Where a bot runs already, use its settings: the same STATE_DIR, .env and roas.toml."
        session.terminal.say(f"→ {hint}", on_err=True)
