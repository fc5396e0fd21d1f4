"""The probe answers from a real engine and a real machine."""

import uuid
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from roas.models.facts import PublishedPort
from roas.stack.containers.own_container import own_container_id
from roas.stack.docker.engine import EngineClients
from roas.stack.machine.probe import DockerProbe
from testbed.ports import free_port
from tests.unit.checks.test_probe import clients, lost_probe, probe_of

__all__ = ["clients", "lost_probe"]


@pytest.fixture
def real_probe(clients: EngineClients, docker_host: str) -> DockerProbe:
    return probe_of(clients, docker_host)


async def test_real_engine_described(real_probe: DockerProbe) -> None:
    facts = await real_probe.version()
    assert int(facts.api_version.split(".")[1]) >= 41
    assert facts.memory_bytes > 0
    assert await real_probe.disk_free(Path(facts.data_root))


async def test_container_ports_listed_with_project(
    real_probe: DockerProbe, docker_client: docker.DockerClient, sample_image: Callable[..., str]
) -> None:
    port, name = free_port(), f"probe-{uuid.uuid4().hex[:8]}"
    container = docker_client.containers.run(
        sample_image("probe-sample:v1"),
        name=name,
        detach=True,
        ports={"8080/tcp": ("127.0.0.1", port)},
        labels={"com.docker.compose.project": "neighbour"},
    )
    try:
        assert PublishedPort("127.0.0.1", port, "tcp", name, "neighbour") in await real_probe.published_ports()
    finally:
        container.remove(force=True)


async def test_compose_and_memory_found(lost_probe: DockerProbe) -> None:
    assert (await lost_probe.compose_version()).lstrip("v").startswith(("2.", "3.", "4.", "5."))
    assert await lost_probe.memory_available()
    assert await lost_probe.disk_free(Path("/nowhere/at/all")) is None


async def test_own_container_id_found(docker_client: docker.DockerClient, sample_image: Callable[..., str]) -> None:
    sees = docker_client.containers.create(sample_image("probe-sample:v1"), ["cat", "/proc/self/mountinfo"])
    try:
        sees.start()
        sees.wait(timeout=30)
        assert own_container_id(sees.logs().decode()) == sees.id
    finally:
        sees.remove(force=True)
