"""The engine that random cases are played on: its images, and what hands type and `docker inspect` says."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors

from testbed.busybox import busybox
from testbed.clearing import remove_containers
from testbed.compose_labels import PROJECT_LABEL, SERVICE_LABEL
from testbed.daemon import UNFILTERED, PrivateDaemon
from testbed.engine import manual_environment
from testbed.images import import_image
from testbed.rootfs import Rootfs
from testbed.waiting import wait_until
from tools.campaigns.plans.effects import Look

ONE_OFF = "com.docker.compose.oneoff"
VERSIONS = ("v1", "v2", "v3")
OTHER = "other"
SLEEP = '["sleep", "100000"]'
ENDS = ["true"]  # other than what hands run of it
SOURCE = "plans/app"
HAND_SECONDS = 120
JOB_SECONDS = 30.0


@dataclass(frozen=True)
class Ground:
    """An engine on which nothing but cases is played."""

    client: docker.DockerClient
    docker_host: str

    def docker(self, *arguments: str, **variables: str) -> str:
        """Type a Docker command; what it complains of is no failure of ours, as it is none for people."""
        own = manual_environment(self.docker_host) | variables
        command = ["docker", *arguments]
        done = subprocess.run(
            command,
            env=own,
            capture_output=True,
            text=True,
            check=False,
            timeout=HAND_SECONDS,
            stdin=subprocess.DEVNULL,
        )
        return "" if done.returncode == 0 else done.stderr.strip()

    def compose(self, folder: Path, project: str, *arguments: str, **variables: str) -> str:
        """Type a Compose command in a stack's folder."""
        own = manual_environment(self.docker_host) | variables
        command = ["docker-compose", "-p", project, "-f", str(folder / "compose.yaml"), *arguments]
        done = subprocess.run(
            command, env=own, cwd=folder, capture_output=True, text=True, check=False, timeout=HAND_SECONDS
        )
        return "" if done.returncode == 0 else done.stderr.strip()

    def tag_images(self, repository: str) -> None:
        """Give a case images of its own names, so that it can move them."""
        for version in (*VERSIONS, OTHER):
            self.client.api.tag(f"{SOURCE}:{version}", repository, version, force=True)

    def containers(self) -> list[dict[str, Any]]:
        """Inspect every container of the engine, in order of project, service and name."""
        found = []
        for container in self.client.api.containers(all=True):
            try:
                found.append(self.client.api.inspect_container(container["Id"]))
            except docker.errors.NotFound:
                continue
        return sorted(
            found, key=lambda one: (*(label(one, name) for name in (PROJECT_LABEL, SERVICE_LABEL)), one["Name"])
        )

    def look(self, project: str) -> Look:
        """Return what inspect says: by service, the containers by id, when each was started and how it is.

        What is of no service of the project goes by a name of its own: no plan has it, and nothing may happen to it.
        """
        found: dict[str, dict[str, tuple[str, str]]] = {}
        for container in self.containers():
            ours = label(container, PROJECT_LABEL) == project and label(container, ONE_OFF) == "False"
            name = label(container, SERVICE_LABEL) if ours else f"{label(container, PROJECT_LABEL)} {container['Name']}"
            found.setdefault(name, {})[container["Id"]] = (
                container["State"]["StartedAt"],
                container["State"]["Status"],
            )
        return found

    def wait_for_jobs(self, service: str) -> None:
        """Wait until what ends by itself has ended: that is no effect of a deployment."""

        def ended() -> bool:
            jobs = [
                container
                for container in self.containers()
                if label(container, SERVICE_LABEL) == service and container["Config"]["Cmd"] == ENDS
            ]
            return all(job["State"]["Status"] != "running" for job in jobs)

        if not wait_until(ended, JOB_SECONDS):
            raise TimeoutError(f"{service} does not end")

    def images(self, project: str) -> Mapping[str, set[str]]:
        """Return the image IDs of each service's containers."""
        found: dict[str, set[str]] = {}
        for container in self.containers():
            if label(container, PROJECT_LABEL) == project and label(container, ONE_OFF) == "False":
                found.setdefault(label(container, SERVICE_LABEL), set()).add(container["Image"])
        return found

    def clear(self) -> None:
        """Remove every container, network and tag that a case left."""
        remove_containers(self.client)
        for image in self.client.api.images():
            for tag in image.get("RepoTags") or ():
                if not tag.startswith(f"{SOURCE}:"):
                    self.client.api.remove_image(tag, force=True, noprune=True)


def label(inspected: Mapping[str, Any], name: str) -> str:
    """Return a container's label, or nothing."""
    return str((inspected["Config"].get("Labels") or {}).get(name, ""))


def make_images(client: docker.DockerClient) -> None:
    """Make images that sleep, each with other content."""
    root = Rootfs()
    root.add_busybox(busybox(client))
    for version in (*VERSIONS, OTHER):
        root.add("version", version)
        import_image(client, root.tar(), f"{SOURCE}:{version}", CMD=SLEEP, ENV="PATH=/bin")


@contextmanager
def opened_ground(folder: Path) -> Iterator[Ground]:
    """Start a private engine with the images of the cases."""
    with PrivateDaemon(folder / "engine", settings=UNFILTERED) as daemon:
        client = daemon.client()
        try:
            make_images(client)
            yield Ground(client, daemon.docker_host)
        finally:
            client.close()
