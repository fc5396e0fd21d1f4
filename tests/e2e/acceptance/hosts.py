"""Five hosts by ssh, each with a stack of its own, and what one bot holds of them: connections, processes, files."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import docker

from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings
from testbed.leftovers import children_of
from testbed.sample import sample_image
from testbed.ssh_hosts import RemoteHost, SshHosts
from tests.e2e.acceptance.stack import REPOSITORY, Stack

OBSERVATION_SECONDS = 0.2
VERSIONS = ("v1", "v2")


def with_images(host: RemoteHost) -> None:
    """Give a host the images of the stacks."""
    client = host.client()
    try:
        for version in VERSIONS:
            sample_image(client, f"{REPOSITORY}:{version}", version=version)
    finally:
        client.close()


@dataclass(frozen=True)
class Fleet:
    """Know the hosts, and the stack of each: an environment by the host's name."""

    hosts: SshHosts
    folder: Path
    clients: dict[str, docker.DockerClient]
    base_name: str

    @property
    def names(self) -> list[str]:
        """Return the names of the environments."""
        return [host.hostname for host in self.hosts.hosts]

    def host(self, name: str) -> RemoteHost:
        """Return the host of an environment."""
        return next(host for host in self.hosts.hosts if host.hostname == name)

    def stack(self, name: str) -> Stack:
        """Return the stack of an environment, as its own engine shows it."""
        return Stack(self.folder / "stack", self.base_name, self.clients[name], self.host(name).docker_host)

    def version(self, name: str) -> set[str]:
        """Return the versions of all that runs on a host, and make sure that all of it runs."""
        images = {self.clients[name].images.get(f"{REPOSITORY}:{version}").id: version for version in VERSIONS}
        return {images[found] for found in self.stack(name).images(name).values()}

    def settings(self) -> Settings:
        """Return the settings of a bot that reaches each host by ssh."""
        environments = {
            host.hostname: EnvironmentSettings(docker_host=host.url, observation_seconds=OBSERVATION_SECONDS)
            for host in self.hosts.hosts
        }
        return Settings(
            _env_file=None,
            stack_dir=self.folder / "stack",
            state_dir=self.folder / "state",
            compose_project_name=self.base_name,
            environment_names=tuple(self.names),
            environments=environments,
            docker_key_file=self.hosts.key,
            docker_known_hosts_file=self.hosts.known_hosts,
        )


@dataclass(frozen=True)
class Held:
    """Count what is held at a moment: on all hosts together, and by the bot's process."""

    logins: int
    dropped: int
    servers: int
    files: int
    threads: int
    children: int

    def __str__(self) -> str:
        return ", ".join(f"{name} {getattr(self, name)}" for name in self.__dataclass_fields__)


def held(hosts: SshHosts) -> Held:
    """Count logins, connections that sshd dropped, its processes, and this process's files, threads and children."""

    def every(count: Callable[[RemoteHost], int]) -> int:
        return sum(map(count, hosts.hosts))

    return Held(
        every(lambda host: host.ssh.logins),
        every(lambda host: host.ssh.dropped),
        every(lambda host: len(host.ssh.processes())),
        len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - without a descriptor of its own for each
        threading.active_count(),
        len(children_of(os.getpid())),
    )
