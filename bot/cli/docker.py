"""`login` and `compose`: run Docker's own programs as the bot would."""

import os
import shutil
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from roas.cli.running import EnvironmentName, Session, find_environment, open_journal, run_command
from roas.errors import InvalidRequestError, RoasError, SettingsError
from roas.models.environment import EngineKind, Environment
from roas.stack.client import EngineClients, refuse_many_hosts
from roas.stack.compose.commands import ALL_PROFILES, ComposeProject
from roas.stack.compose.runner import ComposeRunner
from roas.stack.docker_client import login_folder
from roas.stack.images.readable_names import set_references
from roas.stack.model.services import named_model, services_of
from roas.stack.model.store import MODELS, ModelStore

Registry = Annotated[str, typer.Argument(metavar="REGISTRY", help="Its address, such as ghcr.io.")]
User = Annotated[str, typer.Option("--username", "-u", help="Who logs in.")]
FOLDER_MODE = 0o700
# It is an engine that asks the registry: the one that is named, which knows the registries that have no certificate.
INHERITED = ("PATH", "HOME", "TERM", "DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


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
    variables = {name: os.environ[name] for name in INHERITED if name in os.environ}
    os.execve(docker, [docker, *options, "--", registry], variables)  # noqa: S606 - an argument list


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
    finally:
        await clients.close()
    _become_compose(environment, models.existing(models.save(named_model(model, names))), arguments, instance_id)


def _become_compose(environment: Environment, model: Path, arguments: list[str], instance_id: str) -> NoReturn:
    """Replace this process by Compose, so that the terminal, signals and the exit code are its own."""
    project = ComposeProject.of_model(environment, model)
    command, variables = ComposeRunner(instance_id).run_in_foreground(
        [*project.arguments(), *ALL_PROFILES, *arguments], environment
    )
    variables |= {name: os.environ[name] for name in ("TERM", "COLUMNS", "LINES") if name in os.environ}
    if environment.folder.is_dir():
        os.chdir(environment.folder)
    os.execve(command[0], command, variables)  # noqa: S606 - a path of our own finding, and an argument list
