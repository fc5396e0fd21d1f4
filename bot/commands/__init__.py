"""Define the command line: one command a file; what is heavy is imported only by the command that needs it."""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from roas.terminals import outlive_terminals
from roas.version import __version__

if TYPE_CHECKING:
    import typer

HELP = """Deploy, watch and roll back Docker Compose stacks. Without a command: run the bot.

A running bot executes what is requested here. Without one, this command does it itself, with the same deployment lock
and journal.
"""
EPILOG = """Exit codes: 0 succeeded, 1 failed (an operator is needed), 2 wrong usage or invalid request, 3 rolled back,
4 cancelled, 5 the environment is held or locked, 6 validation failed or refused by policy,
69 engine, registry, state or bot unavailable, 78 wrong settings, 130 interrupted."""

# What starts the bot: it needs nothing of what reads a command.
BOT: tuple[list[str], ...] = ([], ["run"])
SETTINGS = "config"
VERSION = "--version"
# Each command with its help, in the order in which they are listed.
COMMANDS = {
    "run": "Run the bot.",
    "deploy": "Deploy a version.",
    "hotfix": "Deploy a fix at once, without a second approval.",
    "rollback": "Go back to an earlier release.",
    "status": "Show the status of environments.",
    "history": "List the last deployments.",
    "events": "Show events, and follow them as they happen.",
    "releases": "List the releases that are kept.",
    "login": "Log in to an image registry.",
    "restore": "Bring the journal back from one of its copies.",
    "cancel": "Ask a deployment to stop.",
    "go-on": "Let a paused deployment go on, or roll it back.",
    "lock": "Lock an environment: nobody can deploy to it.",
    "unlock": "Unlock an environment: deployments are allowed again.",
    "init": "Describe a stack that runs in roas.toml.",
    "doctor": "Check the environments: what is wrong, and how to fix it.",
    "compose": "Run Docker Compose on what an environment runs.",
}
IN_FILE_OF = {"unlock": "lock"}


def application(chosen: str | None = None) -> "typer.Typer":
    """Gather the commands; where it is known already which is `chosen`, that one alone."""
    import typer

    from roas.commands.wrong_usage import Commands

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
        version: bool = typer.Option(False, VERSION, help="Print the version and exit.", is_eager=True),
    ) -> None:
        if version:
            typer.echo(_version())
            raise typer.Exit
        if context.invoked_subcommand is None:
            _function("run")()

    for name, short in COMMANDS.items():
        if chosen in {None, name}:
            commands.command(name, short_help=short)(_function(name))
    if chosen in {None, SETTINGS}:
        from roas.commands.config import configuration

        commands.add_typer(configuration(), name=SETTINGS, short_help="Check and show the settings.")
    return commands


def _function(command: str) -> Callable[..., Any]:
    """Return what a command does, from its own file."""
    function: Callable[..., Any] = getattr(
        import_module(f"roas.commands.{IN_FILE_OF.get(command, command).replace('-', '_')}"), command.replace("-", "_")
    )
    return function


def answer_quickly(arguments: Sequence[str]) -> int | None:
    """Answer what takes neither a command's parts nor what reads arguments; None where it takes more."""
    if list(arguments) == [VERSION]:
        sys.stdout.write(f"{_version()}\n")
        return 0
    from roas.commands.quick_status import pass_on_status

    return pass_on_status(arguments)


def _version() -> str:
    return f"roas {__version__}"


def run_command_line(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; wrong usage is reported on stderr, with code 2."""
    outlive_terminals()
    given = list(sys.argv[1:] if arguments is None else arguments)
    first = given[0] if given else ""
    try:
        if given in BOT:
            _function("run")()
        else:
            application(first if first in {*COMMANDS, SETTINGS} else None)(args=given, prog_name="roas")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0
