"""`secret set`: give a Swarm a secret that compose files call external, or its next version."""

import base64
import getpass
import sys
from typing import Annotated

import typer

from roas.api.documents import SecretOrder
from roas.cli.connection import open_connection
from roas.cli.running import EnvironmentName, ExitCode, Json, Session, find_environment, run_command
from roas.concurrency import in_thread
from roas.errors import InvalidRequestError
from roas.state.documents import to_json

SecretName = Annotated[str, typer.Argument(metavar="NAME", help="Its name in the Swarm.")]


def secret() -> typer.Typer:
    """Gather the commands about secrets."""
    commands = typer.Typer(
        name="secret",
        help="Set secrets of a Swarm.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    commands.callback()(_no_command)
    commands.command("set", short_help="Set a secret that compose files call external.")(set_secret)
    return commands


def _no_command() -> None:
    """Keep `set` a command of its own: one alone would need no name."""


def set_secret(environment: EnvironmentName, name: SecretName, as_json: Json = False) -> None:
    """Give an environment's Swarm a secret, or its next version; the value is typed, or comes from a pipe as it is.

    Services have it after the next deployment.
    """
    run_command(lambda session: _set(session, environment, name), as_json=as_json)


async def _set(session: Session, name: str, secret_name: str) -> int:
    environment = find_environment(session.settings, name)
    value = await in_thread(_read_value, secret_name)
    order = SecretOrder(environment.name, secret_name, base64.b64encode(value).decode(), session.user)
    async with open_connection(session) as connection:
        version = await connection.client.set_secret(order)
    session.terminal.say(
        f"The Swarm of {environment.name} has the secret {version.called}. "
        f"Services have it after the next deployment: `roas deploy {environment.name} VERSION`."
    )
    if session.terminal.as_json:
        session.terminal.document(to_json(version))
    return ExitCode.SUCCEEDED


def _read_value(name: str) -> bytes:
    """Return what is typed twice, or all of a pipe. Raises InvalidRequestError where the two differ."""
    if not sys.stdin.isatty():
        return sys.stdin.buffer.read()
    typed = getpass.getpass(f"Value of {name}: ")
    if getpass.getpass("Once more: ") != typed:
        raise InvalidRequestError("The two values differ.", hint="Type the command again.")
    return typed.encode()
