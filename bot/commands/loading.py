"""Say what a command that deploys loads, and when.

The stack's files come first: what reads them is loaded with `roas.foundation`, and Compose is asked what they mean. All
else is loaded while it reads. Whatever is loaded later, where it is used, is not needed before the first containers.
"""

from importlib import import_module

# What draws a plan, and how far a deployment has come.
VIEWS = ("roas.commands.console", "roas.commands.plan_view", "roas.commands.outcome")
# What plans and executes.
PARTS = ("roas.application", "roas.commands.heartbeat")


def load_parts() -> None:
    """Load what comes after the files. Beside it, nobody may load anything that it loads, too."""
    for module in (*PARTS, *VIEWS):
        import_module(module)


def load_views() -> None:
    """Load what draws."""
    for module in VIEWS:
        import_module(module)
