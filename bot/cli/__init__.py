"""Define the command line."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from roas.cli.config import configuration
from roas.cli.control import cancel, lock, resume, unlock
from roas.cli.deploy import deploy, hotfix, rollback
from roas.cli.docker import compose, login
from roas.cli.history import events, history, releases
from roas.cli.init import init
from roas.cli.remote import remote
from roas.cli.restore import restore
from roas.cli.running import run
from roas.cli.services import restart, start, stop
from roas.cli.status import doctor, status
from roas.configuration.sources import ENV_FILE
from roas.configuration.wrong_values import wrong_values
from roas.terminals import outlive_terminals
from roas.version import __version__


class Commands(TyperGroup):
    """Run the command that is named."""

    def invoke(self, ctx: Any) -> Any:
        """Run it. Raises typer.BadParameter."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = _plain(error)
            raise


def _plain(error: typer.BadParameter) -> str:
    if not isinstance(error.__cause__, ValidationError):
        return error.message
    return "; ".join(text for _, text in wrong_values(error.__cause__))


HELP = """Deploy, watch and roll back Docker Compose stacks. Without a command: run the bot.

A running bot executes what is requested here. Without one, this command does it itself, with the same deployment lock
and journal.
"""
EPILOG = """Exit codes: 0 succeeded, 1 failed (an operator is needed), 2 wrong usage or invalid request, 3 rolled back,
4 cancelled, 5 the environment is held or locked, 6 validation failed or refused by policy,
69 engine, registry, state or bot unavailable, 78 wrong settings, 130 interrupted."""

SETTINGS, REMOTE = "config", "remote"
# The release before called it so.
FORMER_RESUME = "go-on"


def mcp() -> None:
    """Serve an agent over stdin and stdout: status, history, logs, plan, propose. No tool says yes to anything."""
    os.execv(sys.executable, (sys.executable, "-m", "roas.cli.mcp"))  # noqa: S606 - this very program


# Each command with what it does and its help, in the order in which they are listed.
COMMANDS: dict[str, tuple[Callable[..., Any], str]] = {
    "run": (run, "Run the bot."),
    "deploy": (deploy, "Deploy a version."),
    "hotfix": (hotfix, "Deploy a fix at once, without a second approval."),
    "rollback": (rollback, "Go back to an earlier release."),
    "restart": (restart, "Restart services."),
    "stop": (stop, "Stop services until they are started again."),
    "start": (start, "Start services."),
    "status": (status, "Show the status of environments."),
    "history": (history, "List the last deployments."),
    "events": (events, "Show events, and follow them as they happen."),
    "releases": (releases, "List the releases that are kept."),
    "login": (login, "Log in to an image registry."),
    "restore": (restore, "Bring the journal back from one of its copies."),
    "cancel": (cancel, "Ask a deployment to stop."),
    "resume": (resume, "Resume a paused deployment, or roll it back."),
    "lock": (lock, "Lock an environment: nobody can deploy to it."),
    "unlock": (unlock, "Unlock an environment: deployments are allowed again."),
    "init": (init, "Describe a stack that runs in roas.toml."),
    "doctor": (doctor, "Check the environments: what is wrong, and how to fix it."),
    "mcp": (mcp, "Serve an agent: it looks, plans and proposes."),
    "compose": (compose, "Run Docker Compose on what an environment runs."),
}


def application() -> typer.Typer:
    """Gather the commands."""
    commands = typer.Typer(
        name="roas",
        cls=Commands,
        help=HELP,
        epilog=EPILOG,
        add_completion=False,
        invoke_without_command=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @commands.callback(invoke_without_command=True, help=HELP, epilog=EPILOG)
    def _no_command(
        context: typer.Context,
        env_file: str | None = typer.Option(
            None, "--env-file", metavar="FILE", help="Read settings from this file, too."
        ),
        version: bool = typer.Option(False, "--version", help="Print the version and exit.", is_eager=True),
    ) -> None:
        if env_file is not None:
            os.environ[ENV_FILE] = env_file
        if version:
            typer.echo(f"roas {__version__}")
            raise typer.Exit
        if context.invoked_subcommand is None:
            run()

    for name, (function, short) in COMMANDS.items():
        commands.command(name, short_help=short)(function)
    commands.command(FORMER_RESUME, hidden=True)(resume)
    commands.add_typer(remote(), name=REMOTE, short_help="Offer versions to a bot elsewhere, from a CI job.")
    commands.add_typer(configuration(), name=SETTINGS, short_help="Check and show the settings.")
    return commands


def run_command_line(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; wrong usage is reported on stderr, with code 2."""
    outlive_terminals()
    try:
        application()(args=list(sys.argv[1:] if arguments is None else arguments), prog_name="roas")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0
