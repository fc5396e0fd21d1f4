"""A small stack that a test may deploy: a store, and a web that depends on it and mounts a configuration file."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from testbed.compose_labels import PROJECT_LABEL, SERVICE_LABEL
from tests.e2e.acceptance.stack import PATIENT_CHECK as CHECK

REPOSITORY = "roas-wire/app"
# A store that stays as it is, whichever version is deployed: half the containers that each would replace.
STAYS = {"image": f"{REPOSITORY}:v1"}
# For what is well all the time: another probe takes 50 ms of a core.
CALM = {"healthcheck": CHECK | {"interval": "60s"}}
# For what never becomes healthy: this is known after its first three seconds, and not when it is probed next.
SOON_JUDGED = {"healthcheck": CHECK | {"interval": "1s"}}


@dataclass(frozen=True)
class Shop:
    """Know the stack's folder and see, by Docker alone, what runs of it."""

    folder: Path
    base_name: str
    client: docker.DockerClient
    repository: str

    def write(self, *, alone: bool = False, networked: bool = False, **changes: Mapping[str, Any]) -> None:
        """Write the compose file; `changes` adds to or overrides the keys of a service.

        With `alone` there is the web and no store: half the containers, where nothing depends on both. They talk to
        nobody, and have no network unless they are `networked`: a place in one is a tenth of what a container costs.
        """
        image = f"{self.repository}:${{VERSION:?}}"
        plain: dict[str, Any] = {"image": image, "init": True, "healthcheck": CHECK}
        if not networked:
            plain["network_mode"] = "none"
        services: dict[str, dict[str, Any]] = {
            "store": dict(plain),
            "web": {
                **plain,
                "volumes": ["./config:/config:ro"],
                "depends_on": {"store": {"condition": "service_healthy"}},
            },
        }
        for name, keys in changes.items():
            services[name] = services.get(name, {}) | dict(keys)
        if alone:
            del services["store"], services["web"]["depends_on"]
        self.folder.mkdir(exist_ok=True)
        (self.folder / "config").mkdir(exist_ok=True)
        (self.folder / "config" / "greeting").write_text("hello\n")
        (self.folder / "docker-compose.yml").write_text(json.dumps({"services": services}))

    def containers(self, environment: str) -> list[Any]:
        """Return every container of an environment, running or not."""
        label = f"{PROJECT_LABEL}={self.base_name}-{environment}"
        return self.client.containers.list(all=True, ignore_removed=True, filters={"label": label})

    def running(self, environment: str) -> dict[str, str]:
        """Return the image id of each service's running, healthy container; surplus ones are a failure."""
        found: dict[str, str] = {}
        for container in self.containers(environment):
            service = container.labels[SERVICE_LABEL]
            assert service not in found, f"two containers of {service}"
            assert container.attrs["State"]["Status"] == "running", f"{container.name} is {container.status}"
            assert container.attrs["State"]["Health"]["Status"] == "healthy", f"{container.name} is unhealthy"
            # What a rollback kept until its replacement was ready has given its number away.
            assert re.fullmatch(rf"{self.base_name}-{environment}-{service}-\d", container.name)
            found[service] = container.attrs["Image"]
        return found

    def clear(self) -> None:
        """Remove all containers and networks of all environments of this stack."""
        for container in self.client.containers.list(all=True, ignore_removed=True):
            if container.labels.get(PROJECT_LABEL, "").startswith(f"{self.base_name}-"):
                container.remove(force=True, v=True)
        for network in self.client.networks.list():
            if (network.attrs.get("Labels") or {}).get(PROJECT_LABEL, "").startswith(f"{self.base_name}-"):
                network.remove()
