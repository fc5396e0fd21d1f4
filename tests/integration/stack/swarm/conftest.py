"""One Swarm of one node for all modules of this folder, with the sample app's images on it."""

import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from roas.concurrency import pause
from roas.models.environment import Environment
from roas.stack.docker.engine import EngineClients
from roas.stack.model.definitions import read_definitions
from roas.stack.swarm.tasks.tasks import StackReading, read_stack
from roas.stack.swarm.writing.following import follow_update
from roas.stack.swarm.writing.service_spec import service_spec
from roas.stack.swarm.writing.update_verdict import UpdateJudgement, Written
from roas.stack.swarm.writing.writer import SwarmWriter
from testbed.sample import CHECK, sample_image
from testbed.swarm import Swarm, client_of
from testbed.waiting import wait_until

Json = dict[str, Any]
# What is left to chance nowhere: no time is lost with waiting, and nothing is published.
QUICK: Json = {
    "endpoint_mode": "dnsrr",
    "update_config": {"monitor": "1s", "failure_action": "rollback"},
    "rollback_config": {"monitor": "500ms"},
    "restart_policy": {"condition": "any", "delay": "300ms"},
}


@pytest.fixture(scope="session")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    """Run a Swarm of one node."""
    with Swarm(tmp_path_factory.mktemp("swarm")) as made:
        with client_of(made.manager) as client:
            sample_image(client, "app:v1", version="v1")
            sample_image(client, "app:v2", version="v2")
        yield made


@pytest.fixture(scope="session")
def swarm_client(swarm: Swarm) -> Iterator[docker.DockerClient]:
    """Give an SDK client of the manager."""
    with client_of(swarm.manager) as client:
        yield client


@pytest.fixture
def swarm_environment(tmp_path: Path, swarm: Swarm, swarm_client: docker.DockerClient) -> Iterator[Environment]:
    """An environment in an empty folder; what its stack leaves in the Swarm is removed."""
    folder = tmp_path / "stack"
    folder.mkdir()
    project = f"s{secrets.token_hex(4)}"
    yield Environment(
        "dev", project, folder, (folder / "docker-compose.yml",), docker_host=swarm.docker_host, observation_seconds=1.0
    )
    own = {"label": f"com.docker.stack.namespace={project}"}
    for service in swarm_client.services.list(filters=own):
        service.remove()
    wait_until(lambda: not swarm_client.api.containers(all=True, filters=own), 20)


# Where the machine is busy, a server takes longer to begin than a container may that is to fail soon.
PATIENT = {**CHECK, "interval": "60s", "start_period": "30s"}


@dataclass
class Shop:
    """One service of a stack, written and followed as the engine does."""

    environment: Environment
    writer: SwarmWriter

    def spec(self, *, image: str = "app:v1", **fields: Any) -> Json:
        """Return the spec of the service `shop`; `deploy` is laid over what is quick."""
        deploy = {**QUICK, **fields.pop("deploy", {})}
        service = {"image": image, "healthcheck": PATIENT, "deploy": deploy, "stop_grace_period": "1s", **fields}
        service["networks"] = {"default": None}
        networks = {"default": {"name": "bridge-less"}}
        model: Mapping[str, Any] = {
            "name": self.environment.project,
            "services": {"shop": service},
            "networks": networks,
        }
        definition = read_definitions(model)["shop"]
        found = service_spec(self.environment.project, model, definition)
        found["TaskTemplate"].pop("Networks")
        return found

    async def write(self, **fields: Any) -> Written:
        """Write the service."""
        return await self.writer.write(self.spec(**fields))

    async def follow(self, written: Written) -> UpdateJudgement:
        """Wait for what becomes of a write; it is shown where a test fails."""
        began = time.monotonic()

        async def look() -> StackReading:
            await pause(0.25)
            return await self.writer.ask(lambda calls: read_stack(calls, self.environment.project))

        judged = await follow_update(look, written)
        print(f"after {time.monotonic() - began:.1f} s: {judged.verdict} ({judged.reason})")
        return judged

    async def bring(self, **fields: Any) -> UpdateJudgement:
        """Write the service, and wait for what becomes of it."""
        return await self.follow(await self.write(**fields))

    async def statuses(self) -> list[Json]:
        """Return what the manager says of each of its tasks."""
        name = f"{self.environment.project}_shop"
        found = await self.writer.ask(lambda calls: calls.tasks(service=name))
        return [item["Status"] for item in found]

    async def there(self) -> Json:
        """Return the service as the manager shows it."""
        found = await self.writer.ask(lambda calls: calls.service(f"{self.environment.project}_shop"))
        assert found is not None
        return found


@pytest.fixture
async def shop(swarm_environment: Environment) -> AsyncIterator[Shop]:
    """Give a service that is not there yet."""
    clients = EngineClients()
    yield Shop(swarm_environment, SwarmWriter(clients.of(swarm_environment)))
    await clients.close()
