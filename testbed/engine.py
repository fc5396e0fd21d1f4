"""Find a Docker Engine, or start a private one where the machine has none running."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from testbed.daemon import PrivateDaemon, answers
from testbed.inherited import chosen_programs

DEFAULT_HOST = "unix:///var/run/docker.sock"


class NoEngineError(RuntimeError):
    """No engine answers and none can be started; the message says what to do."""


@dataclass(frozen=True)
class Engine:
    """An engine that answers."""

    docker_host: str
    private: PrivateDaemon | None = None

    def client(self, timeout: float = 60) -> docker.DockerClient:
        """Return a new SDK client of this engine; the caller closes it."""
        if self.private:
            return self.private.client(timeout)
        return docker.DockerClient(base_url=self.docker_host, timeout=int(timeout))

    def host_address(self) -> str:
        """Return the address at which this engine's containers reach this machine."""
        if self.private:
            return self.private.host_address
        client = self.client()
        try:
            return str(client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"])
        finally:
            client.close()


def manual_environment(docker_host: str | None, home: Path = Path("/root")) -> dict[str, str]:
    """Return the environment in which a person types Docker's commands: nothing of ours but the chosen programs."""
    return {**chosen_programs(), "HOME": str(home), "DOCKER_HOST": docker_host or DEFAULT_HOST}


@contextmanager
def find_or_start_engine(folder: Path, *, settings: dict[str, Any] | None = None) -> Iterator[Engine]:
    """Provide the engine of DOCKER_HOST or the default socket, else a private one, for the length of the block."""
    asked = os.environ.get("DOCKER_HOST")
    docker_host = asked or DEFAULT_HOST
    if answers(docker_host):
        yield Engine(docker_host)
        return
    if asked:
        raise NoEngineError(f"No Docker Engine answers at DOCKER_HOST={asked}. Start it, or unset DOCKER_HOST.")
    if shutil.which("dockerd") is None:
        raise NoEngineError(
            "No Docker Engine answers and none is installed. Run `script/bootstrap --engine` as root, or install "
            "Docker (see its own documentation for this system) and start it."
        )
    if os.geteuid() != 0:
        raise NoEngineError(
            "Docker is installed but no engine answers. Start it (`sudo systemctl start docker`, or `sudo dockerd`), "
            "and make sure that this user may use its socket (group `docker`), or run this as root."
        )
    with PrivateDaemon(folder, settings=settings) as daemon:
        yield Engine(daemon.docker_host, daemon)
