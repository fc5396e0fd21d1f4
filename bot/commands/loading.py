"""Say what a command that deploys loads, and when.

The stack's files come first: what reads them is loaded with `roas.engine_opening`, and Compose is asked what they mean.
All else is loaded while it reads: what opens the journal, and, while that is opened, the rest. Whatever is loaded
later, where it is used, is not needed before the first containers.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from roas.commands.terminal import Terminal

if TYPE_CHECKING:
    from roas.settings import Settings
    from roas.state.redis_parts import RedisParts

# What opens the journal.
JOURNAL = ("roas.foundation",)
# What plans and executes, and what is said of it.
PARTS = (
    "roas.application",
    "roas.commands.local_executor",
    "roas.commands.heartbeat",
    "roas.commands.plan_view",
    "roas.commands.outcome",
)
# What draws it on a terminal.
DRAWING = ("roas.commands.console", "roas.commands.tables", "roas.commands.progress_screen")


def load_journal(settings: "Settings") -> "RedisParts | None":
    """Load what opens the journal, and return what is done with the Redis of the settings, if they name one."""
    for module in JOURNAL:
        import_module(module)
    from roas.commands.redis_use import redis_parts

    return redis_parts(settings)


def load_parts(terminal: Terminal) -> None:
    """Load what comes after the files. Beside it, nobody may load anything that it loads, too."""
    for module in PARTS:
        import_module(module)
    load_drawing(terminal)


def load_drawing(terminal: Terminal) -> None:
    """Load what draws, if something is to be drawn."""
    for module in DRAWING if terminal.draws else ():
        import_module(module)
