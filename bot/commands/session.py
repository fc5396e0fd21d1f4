"""Hold what every command needs: the settings, the terminal, and the user."""

from dataclasses import dataclass, field
from pathlib import Path

from roas.commands.terminal import Terminal
from roas.models.actor import Actor
from roas.settings import Settings


@dataclass(frozen=True, slots=True)
class Session:
    """Run one command."""

    settings: Settings = field(repr=False)
    terminal: Terminal
    user: Actor

    @property
    def state_dir(self) -> Path:
        """Return the state folder as an absolute path."""
        return self.settings.state_dir.expanduser().resolve()
