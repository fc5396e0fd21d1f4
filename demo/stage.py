"""The stage: a copy of the sample stack under a name of its own, its images, and the clearing away afterwards."""

import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import docker
import docker.errors

from testbed.engine import Engine
from testbed.sample import Behaviour, sample_image

SOURCE = Path(__file__).parent / "stack"
ENVIRONMENT = "staging"
PROJECT_LABEL = "com.docker.compose.project"
Plant = Literal["v3-healthy", "v2-broken"]


@dataclass
class Stage:
    """A sample stack in a folder, with a project name that nobody else has."""

    engine: Engine
    folder: Path
    name: str = field(default_factory=lambda: f"roas-demo-{secrets.token_hex(3)}")
    image_ids: dict[str, str] = field(default_factory=dict)

    @property
    def project(self) -> str:
        """Return the Compose project of the environment that is deployed to."""
        return f"{self.name}-{ENVIRONMENT}"

    @property
    def stack(self) -> Path:
        """Return the folder of the compose file."""
        return self.folder / "stack"

    def build(self, plant: Plant | None = None) -> None:
        """Copy the stack and make its images: v1 and v2 are good, v3 never becomes healthy (`plant` changes that)."""
        shutil.copytree(SOURCE, self.stack)
        (self.stack / ".env").write_text(f"REPOSITORY={self.name}\n")
        moods: dict[str, Behaviour] = {
            "v1": "healthy",
            "v2": "unhealthy" if plant == "v2-broken" else "healthy",
            "v3": "healthy" if plant == "v3-healthy" else "unhealthy",
        }
        client = self.engine.client()
        try:
            self.image_ids["store"] = sample_image(client, f"{self.name}/store:1", version="store 1")
            for version, mood in moods.items():
                self.image_ids[version] = sample_image(
                    client, f"{self.name}/web:{version}", version=version, behaviour=mood
                )
        finally:
            client.close()

    def write_greeting(self, text: str) -> None:
        """Change the configuration in the working copy, as a person would before the next version."""
        (self.stack / "config" / "greeting.txt").write_text(text + "\n")

    def clear(self) -> None:
        """Remove the containers, networks and volumes of this project and the images that were made."""
        client = self.engine.client()
        try:
            mine: dict[str, str | list[str] | bool] = {"label": f"{PROJECT_LABEL}={self.project}"}
            for container in client.containers.list(all=True, filters=mine, sparse=True):
                with suppress(docker.errors.APIError):
                    container.remove(force=True, v=True)
            for network in client.networks.list(filters=mine):
                with suppress(docker.errors.APIError):
                    network.remove()
            for volume in client.volumes.list(filters=mine):
                with suppress(docker.errors.APIError):
                    volume.remove()
            for image_id in self.image_ids.values():
                with suppress(docker.errors.APIError):
                    client.images.remove(image_id, force=True)
        finally:
            client.close()
