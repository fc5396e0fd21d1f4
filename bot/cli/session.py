"""Hold what every command needs: settings, terminal, user, the environments, and the journal to look at."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from roas.cli.output import Terminal
from roas.configuration.environments import environments
from roas.configuration.settings import Settings
from roas.errors import InvalidRequestError
from roas.models.actor import Actor
from roas.models.environment import Environment
from roas.state.journal_place import folder_of_journal, has_journal
from roas.state.manager import StateManager


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


EnvironmentName = Annotated[str, typer.Argument(metavar="ENVIRONMENT", help="Which environment, such as staging.")]
AnyEnvironment = Annotated[
    str | None, typer.Argument(metavar="[ENVIRONMENT]", help="Which environment; all of them if left out.")
]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="What becomes VERSION in the compose file.")]
Services = Annotated[
    list[str] | None,
    typer.Option("--service", metavar="SERVICE", help="Only this service; may be given several times."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; required where an environment needs approval.")]
Grant = Annotated[
    list[str] | None,
    typer.Option("--grant", metavar="POWER", help="Give the stack a new power, as the plan names it; repeatable."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Confirm the request; required where an environment needs approval.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")]
Detach = Annotated[bool, typer.Option("--detach", help="Let the running bot execute it, and do not wait.")]


def find_environment(settings: Settings, name: str) -> Environment:
    """Return an environment by name. Raises InvalidRequestError that names those there are."""
    known = environments(settings)
    if name not in known:
        raise InvalidRequestError(f"There is no environment {name!r}.", hint=f"There are: {', '.join(known)}.")
    return known[name]


def wanted_environments(settings: Settings, name: str | None) -> tuple[Environment, ...]:
    """Return the environment of a name, or all of them. Raises InvalidRequestError."""
    return (find_environment(settings, name),) if name else tuple(environments(settings).values())


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
