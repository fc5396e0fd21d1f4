"""Find Docker Compose on this machine."""

import os
import shutil
from pathlib import Path

from roas.errors import EngineError
from roas.messages.message import said


def compose_command() -> tuple[str, ...]:
    """Return how Compose is called, by itself where that can be. Raises EngineError where there is none."""
    if plugin := find_plugin():
        return (str(plugin),)
    if docker := shutil.which("docker"):
        return (docker, "compose")
    return (str(compose_binary()),)


def compose_binary() -> Path:
    """Find Compose itself: what is confined starts no other program. Raises EngineError."""
    if plugin := find_plugin():
        return plugin
    if standalone := shutil.which("docker-compose"):
        return Path(standalone)
    raise EngineError(
        said("Docker Compose is not installed here."),
        hint=said("Install the Compose plugin: https://docs.docker.com/compose/install/."),
    )


def mark(program: Path) -> tuple[str, ...]:
    """Return what changes with a program that is replaced; whoever could forge that could run any other, too."""
    status = program.stat()
    return str(program), *map(
        str, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    )


def find_plugin() -> Path | None:
    """Return the Compose plugin of the Docker CLI, or None."""
    plugins = (
        Path(os.environ.get("DOCKER_CONFIG") or Path(os.environ.get("HOME", "/"), ".docker")) / "cli-plugins",
        Path("/usr/local/lib/docker/cli-plugins"),
        Path("/usr/local/libexec/docker/cli-plugins"),
        Path("/usr/lib/docker/cli-plugins"),
        Path("/usr/libexec/docker/cli-plugins"),
    )
    paths = (folder / "docker-compose" for folder in plugins)
    return next((path for path in paths if os.access(path, os.X_OK) and path.is_file()), None)


def die_with_parent() -> tuple[str, ...]:
    """Have the kernel kill the child when this process is killed, so that it does not start the next service."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()
