"""Say what a command that deploys loads, and when.

The stack's files come first: what reads them is loaded with `roas.foundation`, and Compose is asked what they mean. All
else is loaded while it reads. Whatever is loaded later, where it is used, is not needed before the first containers.
"""

from importlib import import_module

from roas.commands.terminal import Terminal

# What plans and executes, and what is said of it.
PARTS = ("roas.application", "roas.commands.heartbeat", "roas.commands.plan_view", "roas.commands.outcome")
# What draws it on a terminal.
DRAWING = ("roas.commands.console", "roas.commands.tables", "roas.commands.progress_screen")


def load_parts(terminal: Terminal) -> None:
    """Load what comes after the files. Beside it, nobody may load anything that it loads, too."""
    for module in PARTS:
        import_module(module)
    load_drawing(terminal)


def load_drawing(terminal: Terminal) -> None:
    """Load what draws, if something is to be drawn."""
    for module in DRAWING if terminal.draws else ():
        import_module(module)
