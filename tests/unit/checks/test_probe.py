"""The probe of an engine that is away says so, and still answers for the machine."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roas.errors import EngineUnavailableError
from roas.models.environment import Environment
from roas.stack.compose.runner import ComposeRunner
from roas.stack.docker.engine import EngineClients
from roas.stack.machine.probe import DockerProbe


@pytest.fixture
async def clients() -> AsyncIterator[EngineClients]:
    opened = EngineClients()
    yield opened
    await opened.close()


def probe_of(clients: EngineClients, host: str) -> DockerProbe:
    environment = Environment("dev", "shop-dev", Path(), (), docker_host=host)
    return DockerProbe(clients.of(environment), ComposeRunner("test"))


@pytest.fixture
def lost_probe(clients: EngineClients, tmp_path: Path) -> DockerProbe:
    return probe_of(clients, f"unix://{tmp_path}/none.sock")


async def test_unreachable_engine_reported(lost_probe: DockerProbe) -> None:
    with pytest.raises(EngineUnavailableError, match="does not answer"):
        await lost_probe.version()


async def test_port_of_process_not_free(lost_probe: DockerProbe) -> None:
    if not lost_probe.shares_host():
        pytest.skip("the tests run in a container themselves")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert await lost_probe.port_is_free("127.0.0.1", port, "tcp") is False
    assert await lost_probe.port_is_free("127.0.0.1", port, "tcp") is True
