"""Define the command line. Each command has a module, which is loaded when the command is asked for."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from roas.configuration import ENV_FILE
from roas.terminals import outlive_terminals
from roas.ui.translation import _, terminal_locale, using_locale
from roas.version import __version__

HELP = """Deploy, watch and roll back Docker Compose stacks. Without a command: run the bot.

A running bot executes what is requested here. Without one, this command does it itself, with the same deployment lock
and journal.
"""
EPILOG = """Exit codes: 0 succeeded, 1 failed (an operator is needed), 2 wrong usage or invalid request, 3 rolled back,
4 cancelled, 5 the environment is held or locked, 6 validation failed or refused by policy,
69 engine, registry, state or bot unavailable, 78 wrong settings, 130 interrupted."""

# Each command with its module and function, and its help, in the order in which they are listed.
COMMANDS = {
    "run": ("bot:run", "Run the bot."),
    "deploy": ("deploy:deploy", "Deploy a version."),
    "promote": ("deploy:promote", "Deploy what runs in another environment."),
    "hotfix": ("deploy:hotfix", "Deploy a fix at once, without a second approval."),
    "rollback": ("deploy:rollback", "Go back to an earlier release."),
    "restart": ("services:restart", "Restart services."),
    "stop": ("services:stop", "Stop services until they are started again."),
    "start": ("services:start", "Start services."),
    "scale": ("services:scale", "Change how many replicas of a service there are."),
    "keep": ("services:keep", "Make a release of what was changed by hand."),
    "status": ("status:status", "Show the status of environments."),
    "logs": ("logs:logs", "Show what a service writes."),
    "history": ("history:history", "List the last deployments."),
    "events": ("history:events", "Show events, and follow them as they happen."),
    "releases": ("history:releases", "List the releases that are kept."),
    "backups": ("backups:backups", "List, verify, restore and copy the backups of services' data."),
    "secret": ("secret:secret", "Set secrets of a Swarm."),
    "login": ("docker:login", "Log in to an image registry."),
    "restore": ("restore:restore", "Bring the journal back from one of its copies."),
    "cancel": ("control:cancel", "Ask a deployment to stop."),
    "resume": ("control:resume", "Resume a paused deployment, or roll it back."),
    "lock": ("freezing:lock", "Lock an environment: nobody can deploy to it."),
    "unlock": ("freezing:unlock", "Unlock an environment: deployments are allowed again."),
    "init": ("init:init", "Describe a stack that runs in roas.toml."),
    "doctor": ("doctor:doctor", "Check the environments: what is wrong, and how to fix it."),
    "mcp": ("mcp:mcp", "Serve an agent: it looks, plans and proposes."),
    "compose": ("docker:compose", "Run Docker Compose on what an environment runs."),
    "remote": ("remote:remote", "Offer versions to a bot elsewhere, from a CI job."),
    "config": ("config:configuration", "Check and show the settings."),
}
GROUPS = frozenset({"remote", "config", "backups", "secret"})
# What the release before called them; not listed.
FORMER_NAMES = {"go-on": "resume"}


def load(name: str) -> typer.Typer:
    """Load a command, or a group of commands."""
    place, short_help = COMMANDS[name]
    module, _, function = place.partition(":")
    found = getattr(import_module(f"{__name__}.{module}"), function)
    if name in GROUPS:
        group: typer.Typer = found()
        return group
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    command.command(name, short_help=short_help)(found)
    return command


class LazyCommands(Mapping[str, Any]):
    """Hold the commands by name, each of which is loaded when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        return get_command(load(FORMER_NAMES.get(name, name)))

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Commands(TyperGroup):
    """Run the command that is named."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = LazyCommands()

    def list_commands(self, _: Any) -> list[str]:
        """Return their names, in order."""
        return list(COMMANDS)

    def format_commands(self, _context: Any, formatter: Any) -> None:
        """List them without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _(short_help)) for name, (_place, short_help) in COMMANDS.items()])

    def invoke(self, ctx: Any) -> Any:
        """Run it. Raises typer.BadParameter."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = import_module(f"{__name__}.typed_request").plain(error)
            raise


def application() -> typer.Typer:
    """Return the program."""
    program = typer.Typer(
        name="roas",
        cls=Commands,
        help=_(HELP),
        epilog=_(EPILOG),
        add_completion=False,
        invoke_without_command=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @program.callback(invoke_without_command=True, help=_(HELP), epilog=_(EPILOG))
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
            import_module(f"{__name__}.bot").run()

    return program


def run_command_line(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; wrong usage is reported on stderr, with code 2."""
    outlive_terminals()
    try:
        with using_locale(terminal_locale(os.environ)):
            application()(args=list(sys.argv[1:] if arguments is None else arguments), prog_name="roas")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0
