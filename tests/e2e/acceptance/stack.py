"""A stack in a folder of its own: written by the test, and seen by Docker alone."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from testbed.compose_labels import NUMBER_LABEL, PROJECT_LABEL, SERVICE_LABEL
from testbed.engine import manual_environment
from testbed.sample import CHECK as SAMPLE_CHECK
from testbed.sample import HEALTH_COMMAND, WATCHED
from tests.integration.stack.normalised import normalised

REPOSITORY = "roas-acceptance/app"
CHECK = SAMPLE_CHECK | {"test": ["CMD-SHELL", f"{HEALTH_COMMAND} && echo all is well"]}
WATCHED_CHECK = CHECK | WATCHED


def patiently(command: str) -> list[str]:
    """Return a probe that tries a few times: to try once more costs nothing, and another probe 50 ms of a core."""
    return ["CMD-SHELL", f"for n in 1 2 3 4 5; do {command} && exit; sleep 0.1; done; exit 1"]


# Once it is well, whoever wants to know soon that it broke says so by WATCHED_CHECK.
PATIENT_CHECK = CHECK | {"test": patiently(f"{HEALTH_COMMAND} && echo all is well"), "interval": "10s"}


def service(**changes: Any) -> dict[str, Any]:
    """Return a service of the sample image at the version that is deployed, quick to judge and quick to stop."""
    plain = {
        "image": f"{REPOSITORY}:${{VERSION:?}}",
        "init": True,
        "stop_grace_period": "1s",
        "healthcheck": PATIENT_CHECK,
    }
    return {key: value for key, value in (plain | changes).items() if value is not None}


def alone(**changes: Any) -> dict[str, Any]:
    """Return such a service that talks to nobody: a place in a network is a tenth of what a container costs."""
    return service(network_mode="none", **changes)


@dataclass
class Stack:
    """Know where the stack lies and what its projects are called."""

    folder: Path
    base_name: str
    client: docker.DockerClient
    docker_host: str

    def write(self, services: Mapping[str, Any], **top: Any) -> None:
        """Write the compose file; JSON is YAML."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "docker-compose.yml").write_text(json.dumps({"services": services, **top}, indent=1))

    def put(self, path: str, text: str) -> Path:
        """Write a file of the stack's folder."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def project(self, environment: str = "dev") -> str:
        """Return the project's name that an environment has by convention."""
        return f"{self.base_name}-{environment}"

    def containers(self, environment: str = "dev", *labels: str) -> list[Any]:
        """Return every container of an environment, running or not, in order of service and number."""
        own = {"label": [f"{PROJECT_LABEL}={self.project(environment)}", *labels]}
        found = self.client.containers.list(all=True, ignore_removed=True, filters=own)
        return sorted(found, key=lambda one: (one.labels[SERVICE_LABEL], int(one.labels[NUMBER_LABEL])))

    def container(self, service: str, environment: str = "dev") -> Any:
        """Return the one container of a service."""
        (found,) = self.containers(environment, f"{SERVICE_LABEL}={service}")
        return found

    def listed(self, environment: str = "dev") -> dict[str, dict[str, Any]]:
        """Return what the engine lists of each container, by its name: that costs less than to inspect each."""
        own = {"label": [f"{PROJECT_LABEL}={self.project(environment)}"]}
        found = self.client.api.containers(all=True, filters=own)
        found.sort(key=lambda one: (one["Labels"][SERVICE_LABEL], int(one["Labels"][NUMBER_LABEL])))
        names = [next(name for name in item["Names"] if name.count("/") == 1) for item in found]  # others are links
        return {
            name.removeprefix(f"/{self.project(environment)}-"): item for name, item in zip(names, found, strict=True)
        }

    def ids(self, environment: str = "dev") -> dict[str, str]:
        """Return the container's id by its name."""
        return {name: item["Id"] for name, item in self.listed(environment).items()}

    def images(self, environment: str = "dev") -> dict[str, str]:
        """Return the image id of each container, and make sure that each runs and that none is unhealthy."""
        found = self.listed(environment)
        for name, item in found.items():
            assert item["State"] == "running", f"{name} is {item['State']}"
            assert "(" not in item["Status"] or "(healthy)" in item["Status"], f"{name} is {item['Status']}"
        return {name: one["ImageID"] for name, one in found.items()}

    def looks(self, environment: str = "dev") -> dict[str, dict[str, Any]]:
        """Return the normalised inspect of each container by its name."""
        return {container.name: normalised(self.client, container.id) for container in self.containers(environment)}

    def variables(self, service: str, environment: str = "dev") -> dict[str, str]:
        """Return the environment variables of a service's container, from its inspect."""
        pairs = (entry.partition("=") for entry in self.container(service, environment).attrs["Config"]["Env"])
        return {name: value for name, _, value in pairs}

    def read(self, service: str, path: str, environment: str = "dev") -> str:
        """Read a file as a container of a service sees it; again, if it seems empty: a busy engine may lose output."""
        for _ in range(5):
            code, output = self.container(service, environment).exec_run(["cat", path])
            assert code == 0, output
            if output:
                break
        return str(output.decode())

    def manually(
        self,
        *arguments: str,
        environment: str = "dev",
        file: Path | None = None,
        project: str | None = None,
        **variables: str,
    ) -> None:
        """Run Compose as a person would, who has a shell and no bot."""
        own = manual_environment(self.docker_host)
        name = project or self.project(environment)
        command = ["docker-compose", "-p", name, "-f", str(file or self._file), *arguments]
        done = subprocess.run(
            command, env=own | variables, cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def clear_with_images(self) -> None:
        """Remove what the projects of this stack left on the engine, and the images that were built for them."""
        self.clear()
        for image in self.client.images.list():
            if image.labels.get(PROJECT_LABEL, "").startswith(self.base_name):
                for tag in image.tags:
                    self.client.images.remove(tag, force=True)

    def clear(self) -> None:
        """Remove whatever the projects of this stack left on the engine."""
        labelled = {"label": [PROJECT_LABEL]}
        for container in self.client.containers.list(all=True, sparse=True, filters=labelled):
            if container.attrs["Labels"][PROJECT_LABEL].startswith(self.base_name):
                container.remove(force=True, v=True)
        for resources in (self.client.networks, self.client.volumes):
            for resource in resources.list(filters=labelled):
                if ((resource.attrs.get("Labels") or {}).get(PROJECT_LABEL) or "").startswith(self.base_name):
                    resource.remove()

    @property
    def _file(self) -> Path:
        return self.folder / "docker-compose.yml"


def _own_name(names: list[str]) -> str:
    """Return the name of a container; the others are links that lead to it."""
    return next(name for name in names if name.count("/") == 1)


def differences(left: Any, right: Any, place: str = "") -> list[str]:
    """Say in words where two looks differ; empty where they are the same."""
    if isinstance(left, dict) and isinstance(right, dict):
        keys = sorted({*left, *right}, key=str)
        return [found for key in keys for found in differences(left.get(key), right.get(key), f"{place}/{key}")]
    return [] if left == right else [f"{place}: {left!r} is not {right!r}"]
