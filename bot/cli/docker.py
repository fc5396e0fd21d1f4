"""`login` and `compose`: run Docker's own programs as the bot would."""

import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from roas.cli.running import EnvironmentName, Session, find_environment, open_journal, run_command
from roas.configuration.environments import ssh_access
from roas.configuration.tables import EnvironmentSettings
from roas.errors import InvalidRequestError, RoasError, SettingsError
from roas.models.environment import EngineKind, Environment
from roas.stack.compose.commands import ALL_PROFILES, ComposeProject
from roas.stack.compose.processes import run_attached
from roas.stack.compose.runner import TLS_VARIABLES, ComposeRunner
from roas.stack.docker.engine import EngineClients, engine_address, refuse_many_hosts
from roas.stack.docker.sdk import LOCAL_SCHEMES, login_folder
from roas.stack.images.readable_names import set_references
from roas.stack.model.services import named_model, services_of
from roas.stack.model.store import MODELS, ModelStore

Registry = Annotated[str, typer.Argument(metavar="REGISTRY", help="Its address, such as ghcr.io.")]
User = Annotated[str, typer.Option("--username", "-u", help="Who logs in.")]
FOLDER_MODE = 0o700
# It is an engine that asks the registry: the one that is named, which knows the registries that have no certificate.
INHERITED = ("PATH", "HOME", "TERM")
# By what address an engine is reached → the program with its arguments, and its variables.
Program = Callable[[str], tuple[list[str], dict[str, str]]]


def login(registry: Registry, username: User) -> None:
    """Log in to a registry; the password is read from stdin. What the bot pulls from then on is pulled with it."""
    run_command(lambda session: _login(session, registry, username))


async def _login(session: Session, registry: str, username: str) -> int:
    if registry.startswith("-") or username.startswith("-"):
        raise InvalidRequestError("A registry and a user do not begin with a dash.", hint="See `roas login --help`.")
    docker = shutil.which("docker")
    if docker is None:
        raise SettingsError("There is no Docker CLI here.", hint="Install it, or run this in the bot's container.")
    folder = login_folder() or session.state_dir / "docker"
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    options = ["--config", str(folder), "login", "--username", username, "--password-stdin"]
    settings = session.settings
    access = ssh_access(settings, EnvironmentSettings())
    place = Environment("login", "login", Path.cwd(), (), docker_host=settings.docker_host, ssh=access)
    program = partial(_docker, [docker, *options, "--", registry])
    return await _become(EngineClients(), place, program)


def _docker(command: list[str], address: str) -> tuple[list[str], dict[str, str]]:
    """Return a command of Docker's with the variables by which it asks an engine."""
    inherited = INHERITED if address.startswith(LOCAL_SCHEMES) else (*INHERITED, *TLS_VARIABLES)
    variables = {name: os.environ[name] for name in inherited if name in os.environ}
    return command, {**variables, "DOCKER_HOST": address}


Arguments = Annotated[
    list[str], typer.Argument(metavar="-- ARGS...", help="Arguments for Compose, such as `-- ps -a`.")
]


def compose(environment: EnvironmentName, arguments: Arguments) -> None:
    """Run Docker Compose on the release that an environment runs, not on today's files; with Compose's exit code."""
    run_command(lambda session: _compose(session, environment, arguments))


async def _compose(session: Session, name: str, arguments: list[str]) -> int:
    environment = find_environment(session.settings, name)
    refuse_many_hosts(environment)
    if environment.engine is EngineKind.SWARM:
        raise InvalidRequestError(
            f"{environment.name} runs on a Swarm, which Compose knows nothing of.",
            hint=f"Use Docker's own commands on a manager: `docker stack ps {environment.project}`.",
        )
    async with open_journal(session) as state:
        model_hash = await state.releases.applied_model(environment.name)
        lock = await state.locks.get(environment.name)
        instance_id = state.instance_id
    if model_hash is None:
        raise InvalidRequestError(
            f"{environment.name} runs no release that this journal knows.", hint="Its first deployment creates one."
        )
    if lock is not None:
        session.terminal.say(f"warning: {lock.deployment_id} is changing {environment.name} right now.", on_err=True)
    models = ModelStore(session.state_dir / MODELS)
    clients = EngineClients()
    model, names = models.load(model_hash), dict[str, str]()
    try:
        names = await set_references(clients.of(environment), services_of(model))
    except RoasError as error:  # Compose says itself what it cannot do without
        session.terminal.say(f"warning: {error.message}", on_err=True)
    path = models.existing(models.save(named_model(model, names)))
    project = ComposeProject.of_model(environment, path)
    typed = [*project.arguments(), *ALL_PROFILES, *arguments]
    return await _become(clients, environment, partial(_compose_program, instance_id, typed))


def _compose_program(instance_id: str, arguments: Sequence[str], address: str) -> tuple[list[str], dict[str, str]]:
    """Return Compose with its arguments, and the variables by which it asks an engine."""
    command, variables = ComposeRunner(instance_id).run_in_foreground(arguments, address)
    terminal = {name: os.environ[name] for name in ("TERM", "COLUMNS", "LINES") if name in os.environ}
    return command, variables | terminal


async def _become(clients: EngineClients, environment: Environment, program: Program) -> int:
    """Replace this process by a program, so that the terminal, signals and the exit code are its own.

    Where the engine is on another host, that is a child, and this process keeps the connection; returns its exit code.
    Raises EngineUnavailableError where the host is not reached.
    """
    folder = environment.folder if environment.folder.is_dir() else Path.cwd()
    try:
        address = await clients.of(environment).reached()
        command, variables = program(address)
        if address == engine_address(environment):
            os.chdir(folder)
            os.execve(command[0], command, variables)  # noqa: S606 - a path of our own finding, and an argument list
        return await run_attached(command, variables, folder)
    finally:
        await clients.close()
