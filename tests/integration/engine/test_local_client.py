"""A local engine is asked about single containers without the SDK's layers, and says the same."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
import requests

from roas.engine.client import EngineClients, open_client
from roas.engine.containers.removal import _start as start
from roas.engine.local_client import SocketReader
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
    assert asked_by_sdk == [], "the connection that was kept is of the engine before, and another one is made"
    assert local.api.inspect_container(container)["Id"] == container
    assert asked_by_sdk == []


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


def test_what_is_read_whole_is_read_as_by_sdk(
    local: docker.DockerClient, docker_client: docker.DockerClient, container: str, asked_by_sdk: list[str]
) -> None:
    label = {"label": ["com.docker.compose.project=nobody's & more"]}
    image = docker_client.api.inspect_container(container)["Image"]
    asked: list[Callable[[docker.DockerClient], Any]] = [
        lambda client: [one["Id"] for one in client.api.containers(all=True)],
        lambda client: client.api.containers(all=True, filters=label),
        # The engine has no order for images of the same second, nor for volumes.
        lambda client: sorted(client.api.images(), key=lambda one: str(one["Id"])),
        lambda client: [one["Id"] for one in client.api.networks(names=["bridge"])],
        lambda client: sorted(one["Name"] for one in client.api.volumes()["Volumes"] or ()),
        lambda client: client.api.inspect_image(image),
        lambda client: client.api.inspect_image("tiny:v1"),
        lambda client: client.api.version(),
        lambda client: client.api.info()["ID"],
        lambda client: client.api.ping(),
    ]
    asked_by_sdk.clear()
    found = [ask(local) for ask in asked]
    assert asked_by_sdk == []
    assert container in found[0]
    assert found == [ask(docker_client) for ask in asked]


@pytest.mark.parametrize("image", ["nobody/has:this", "sha256:" + "0" * 64])
def test_refusal_of_what_is_read_is_the_sdks(
    local: docker.DockerClient, docker_client: docker.DockerClient, asked_by_sdk: list[str], image: str
) -> None:
    with pytest.raises(docker.errors.ImageNotFound) as refused:
        local.api.inspect_image(image)
    assert asked_by_sdk == [], "it is not asked twice"
    with pytest.raises(docker.errors.ImageNotFound) as by_sdk:
        docker_client.api.inspect_image(image)
    assert refused.value.explanation == by_sdk.value.explanation
    assert refused.value.status_code == 404


def test_start_is_asked_once_and_without_sdk(
    local: docker.DockerClient, docker_client: docker.DockerClient, busybox_image: str, asked_by_sdk: list[str]
) -> None:
    made = docker_client.containers.create(busybox_image, network_mode="none")
    broken = docker_client.containers.create(busybox_image, command="/no/such/program", network_mode="none")
    try:
        asked_by_sdk.clear()
        for _ in range(2):  # what runs is left as it is
            start(local, str(made.id))
        with pytest.raises(docker.errors.APIError) as refused:
            start(local, str(broken.id))
        with pytest.raises(docker.errors.NotFound, match="No such container"):
            start(local, "0" * 64)
        assert asked_by_sdk == []
        assert docker_client.api.inspect_container(made.id)["State"]["Running"]
        with pytest.raises(docker.errors.APIError) as by_sdk:
            start(docker_client, str(broken.id))
        assert refused.value.status_code == by_sdk.value.status_code
        assert "/no/such/program" in str(refused.value.explanation)
    finally:
        made.remove(force=True)
        broken.remove(force=True)


def test_start_whose_answer_is_lost_is_not_asked_again(tmp_path: Path) -> None:
    """Whether a container was started is not known then: it may have ended since, and would run twice."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()

        def hang_up() -> None:
            connection, _ = listening.accept()
            with connection:
                asked.append(connection.recv(1000).split(b" ")[0])

        serving = threading.Thread(target=hang_up, daemon=True)
        serving.start()
        with pytest.raises(OSError, match="without response"):
            SocketReader(str(tmp_path / "socket"), 5).post("/containers/x/start", 5)
        serving.join(5)
        listening.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listening.accept()
    assert asked == [b"POST"]
