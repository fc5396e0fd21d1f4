"""The probe answers from a real engine and a real machine."""

import socket
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import docker
import pytest

from roas.engine.client import EngineClients
from roas.engine.compose.runner import ComposeRunner
from roas.engine.containers.own_container import own_container_id
from roas.engine.machine.probe import DockerProbe
from roas.errors import EngineUnavailableError
from roas.models.environment import Environment
from roas.models.facts import PublishedPort


@pytest.fixture
async def clients() -> AsyncIterator[EngineClients]:
    opened = EngineClients()
    yield opened
    await opened.close()


def probe_of(clients: EngineClients, docker_host: str) -> DockerProbe:
    return DockerProbe(
        clients, ComposeRunner("test"), Environment("dev", "shop-dev", Path(), (), docker_host=docker_host)
    )


@pytest.fixture
def real_probe(clients: EngineClients, docker_host: str) -> DockerProbe:
    return probe_of(clients, docker_host)


@pytest.fixture
def lost_probe(clients: EngineClients, tmp_path: Path) -> DockerProbe:
    return probe_of(clients, f"unix://{tmp_path}/none.sock")


@pytest.fixture
def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])


async def test_real_engine_described(real_probe: DockerProbe) -> None:
    facts = await real_probe.version()
    assert int(facts.api_version.split(".")[1]) >= 41
    assert facts.memory_bytes > 0
    assert await real_probe.disk_free(Path(facts.data_root))


async def test_unreachable_engine_reported(lost_probe: DockerProbe) -> None:
    with pytest.raises(EngineUnavailableError, match="does not answer"):
        await lost_probe.version()


async def test_container_ports_listed_with_project(
    real_probe: DockerProbe, docker_client: docker.DockerClient, sample_image: Callable[..., str], free_port: int
) -> None:
    name = f"probe-{uuid.uuid4().hex[:8]}"
    container = docker_client.containers.run(
        sample_image("probe-sample:v1"),
        name=name,
        detach=True,
        ports={"8080/tcp": ("127.0.0.1", free_port)},
        labels={"com.docker.compose.project": "neighbour"},
    )
    try:
        assert PublishedPort("127.0.0.1", free_port, "tcp", name, "neighbour") in await real_probe.published_ports()
    finally:
        container.remove(force=True)


async def test_port_of_process_not_free(lost_probe: DockerProbe) -> None:
    if not lost_probe.shares_host():
        pytest.skip("the tests run in a container themselves")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert await lost_probe.port_is_free("127.0.0.1", port, "tcp") is False
    assert await lost_probe.port_is_free("127.0.0.1", port, "tcp") is True


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
