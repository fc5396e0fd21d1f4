"""`login`: log in to an image registry for the bot, as `docker login` does for a person."""

import os
import shutil
from typing import Annotated

import typer

from roas.cli.running import run_command
from roas.cli.session import Session
from roas.errors import InvalidRequestError, SettingsError
from roas.stack.docker_client import login_folder

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
