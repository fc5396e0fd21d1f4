"""A local engine is asked about single containers without the SDK's layers, and says the same."""

import threading
from collections.abc import Iterator
from typing import Any

import docker
import docker.errors
import pytest
import requests

from roas.engine.client import EngineClients, open_client
from testbed.daemon import PrivateDaemon


@pytest.fixture
def local(docker_host: str) -> Iterator[docker.DockerClient]:
    client = open_client(docker_host)
    yield client
    client.close()


@pytest.fixture
def container(docker_client: docker.DockerClient, busybox_image: str) -> Iterator[str]:
    made = docker_client.containers.run(busybox_image, detach=True, network_mode="none")
    yield str(made.id)
    made.remove(force=True)


@pytest.fixture
def asked_by_sdk(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record what the SDK asks."""
    asked: list[str] = []
    request = requests.Session.request

    def requested(self: requests.Session, method: str, url: str, **named: Any) -> Any:
        asked.append(url)
        return request(self, method, url, **named)

    monkeypatch.setattr(requests.Session, "request", requested)
    return asked


def test_container_is_read_as_by_sdk(
    local: docker.DockerClient, docker_client: docker.DockerClient, container: str, asked_by_sdk: list[str]
) -> None:
    found = local.api.inspect_container(container)
    used = local.api.stats(container, stream=False, one_shot=True)
    assert asked_by_sdk == []
    assert found == docker_client.api.inspect_container(container)
    assert used["memory_stats"]["usage"] > 0
    assert used["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    assert used.keys() == docker_client.api.stats(container, stream=False, one_shot=True).keys()


def test_refusal_is_named_by_sdk(local: docker.DockerClient) -> None:
    with pytest.raises(docker.errors.NotFound, match="No such container"):
        local.api.inspect_container("0" * 64)
    with pytest.raises(docker.errors.NotFound, match="No such container"):
        local.api.stats("0" * 64, stream=False, one_shot=True)


def test_asked_again_after_engine_restart(
    local: docker.DockerClient, private_daemon: PrivateDaemon, container: str, asked_by_sdk: list[str]
) -> None:
    assert local.api.inspect_container(container)["State"]["Running"]
    private_daemon.restart()
    asked_by_sdk.clear()
    assert local.api.inspect_container(container)["Id"] == container
    assert len(asked_by_sdk) == 1, "the connection that was kept is of the engine before"
    assert local.api.inspect_container(container)["Id"] == container
    assert len(asked_by_sdk) == 1


async def test_each_keeps_order_and_raises_the_fault() -> None:
    clients = EngineClients()
    try:
        assert clients.each(lambda number: number * 2, list(range(100))) == list(range(0, 200, 2))
        taken: list[int] = []
        never = threading.Event()

        def fail_first(number: int) -> None:
            taken.append(number)
            if number == 0:
                raise ValueError(number)
            never.wait(0.01)

        with pytest.raises(ValueError, match="0"):
            clients.each(fail_first, list(range(1000)))
        clients._each.shutdown()
        assert len(taken) < 100, "nobody goes on whose answer nobody gets"
    finally:
        await clients.close()
