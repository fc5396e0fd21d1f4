"""A local engine is asked without the Docker SDK, and says the same."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
import requests

from roas.engine.api import EngineClient
from roas.engine.api_errors import ApiError, ApiNotFoundError
from roas.engine.client import EngineClients, open_client
from roas.engine.sdk_client import SdkClient
from roas.engine.socket_connection import SocketConnections
from roas.models.environment import Environment
from testbed.daemon import PrivateDaemon


@pytest.fixture
def local(docker_host: str) -> Iterator[EngineClient]:
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
    local: EngineClient, docker_client: docker.DockerClient, container: str, asked_by_sdk: list[str]
) -> None:
    found = local.api.inspect_container(container)
    used = local.api.stats(container, stream=False, one_shot=True)
    assert asked_by_sdk == []
    assert found == docker_client.api.inspect_container(container)
    assert used["memory_stats"]["usage"] > 0
    assert used["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    assert used.keys() == docker_client.api.stats(container, stream=False, one_shot=True).keys()


def test_refusal_is_named(local: EngineClient) -> None:
    with pytest.raises(ApiNotFoundError, match="No such container"):
        local.api.inspect_container("0" * 64)
    with pytest.raises(ApiNotFoundError, match="No such container"):
        local.api.stats("0" * 64, stream=False, one_shot=True)


def test_asked_again_after_engine_restart(
    local: EngineClient, private_daemon: PrivateDaemon, container: str, asked_by_sdk: list[str]
) -> None:
    assert local.api.inspect_container(container)["State"]["Running"]
    private_daemon.restart()
    asked_by_sdk.clear()
    assert local.api.inspect_container(container)["Id"] == container
    assert asked_by_sdk == [], "the connection that was kept is of the engine before, and another one is made"
    assert local.api.inspect_container(container)["Id"] == container
    assert asked_by_sdk == []


async def test_each_keeps_order_and_raises_the_fault(docker_host: str) -> None:
    clients = EngineClients()
    environment = Environment("dev", Path("/stack"), (), "shop-dev", docker_host=docker_host)

    async def each(work: Callable[[int], Any], numbers: list[int]) -> list[Any]:
        return await clients.call(environment, lambda _: clients.each(work, numbers))

    try:
        assert await each(lambda number: number * 2, list(range(100))) == list(range(0, 200, 2))
        taken: list[int] = []
        never = threading.Event()

        def fail_first(number: int) -> None:
            taken.append(number)
            if number == 0:
                raise ValueError(number)
            never.wait(0.01)

        with pytest.raises(ValueError, match="0"):
            await each(fail_first, list(range(1000)))
        clients._threads[docker_host].each.shutdown()
        assert len(taken) < 100, "nobody goes on whose answer nobody gets"
    finally:
        await clients.close()


def test_what_is_read_whole_is_read_as_by_sdk(
    local: EngineClient, docker_client: docker.DockerClient, container: str, asked_by_sdk: list[str]
) -> None:
    label = {"label": ["com.docker.compose.project=nobody's & more"]}
    image = docker_client.api.inspect_container(container)["Image"]
    asked: list[Callable[[Any], Any]] = [
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
        lambda client: bool(client.api.ping()),
    ]
    asked_by_sdk.clear()
    found = [ask(local) for ask in asked]
    assert asked_by_sdk == []
    assert container in found[0]
    assert found == [ask(docker_client) for ask in asked]


@pytest.mark.parametrize("image", ["nobody/has:this", "sha256:" + "0" * 64])
def test_refusal_of_what_is_read_is_the_sdks(
    local: EngineClient, docker_client: docker.DockerClient, asked_by_sdk: list[str], image: str
) -> None:
    with pytest.raises(ApiNotFoundError) as refused:
        local.api.inspect_image(image)
    assert asked_by_sdk == [], "it is not asked twice"
    with pytest.raises(docker.errors.ImageNotFound) as by_sdk:
        docker_client.api.inspect_image(image)
    assert refused.value.explanation == by_sdk.value.explanation
    assert refused.value.status == 404


def test_start_is_asked_once_and_without_sdk(
    local: EngineClient, docker_client: docker.DockerClient, busybox_image: str, asked_by_sdk: list[str]
) -> None:
    made = docker_client.containers.create(busybox_image, network_mode="none")
    broken = docker_client.containers.create(busybox_image, command="/no/such/program", network_mode="none")
    try:
        asked_by_sdk.clear()
        for _ in range(2):  # what runs is left as it is
            local.api.start(str(made.id), timeout=30)
        with pytest.raises(ApiError) as refused:
            local.api.start(str(broken.id), timeout=30)
        with pytest.raises(ApiNotFoundError, match="No such container"):
            local.api.start("0" * 64, timeout=30)
        assert asked_by_sdk == []
        assert docker_client.api.inspect_container(made.id)["State"]["Running"]
        with pytest.raises(docker.errors.APIError) as by_sdk:
            docker_client.api.start(str(broken.id))
        assert refused.value.status == by_sdk.value.status_code
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
            SocketConnections(str(tmp_path / "socket"), 5, {}).send("POST", "/containers/x/start", 5)
        serving.join(5)
        listening.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listening.accept()
    assert asked == [b"POST"]


def test_what_is_done_is_done_without_sdk(
    local: EngineClient, docker_client: docker.DockerClient, busybox_image: str, asked_by_sdk: list[str]
) -> None:
    made = docker_client.containers.run(busybox_image, "sleep 60", detach=True, network_mode="none", init=True)
    made.pause()
    before = time.time()
    asked_by_sdk.clear()
    local.api.unpause(str(made.id))
    local.api.rename(str(made.id), "renamed")
    assert local.api.inspect_container("renamed")["State"]["Status"] == "running"
    local.api.stop("renamed", timeout=1)
    local.api.stop("renamed", timeout=1)  # what has stopped stays so
    local.api.tag(busybox_image, "roas-test/tagged", "v1", force=True)
    local.api.tag(busybox_image, "roas-test/tagged", None)
    with pytest.raises(ApiError) as refused:
        local.api.remove_image(str(local.api.inspect_image(busybox_image)["Id"]))
    assert refused.value.status == 409
    for tag in ("v1", "latest"):
        local.api.remove_image(f"roas-test/tagged:{tag}")
    local.api.remove_container("renamed", force=True)
    for gone in (local.api.unpause, local.api.inspect_container):
        with pytest.raises(ApiNotFoundError, match="No such container"):
            gone("renamed")
    assert time.time() - before < 10
    assert asked_by_sdk == []


def test_events_come_without_sdk_and_end_when_closed(
    local: EngineClient, docker_client: docker.DockerClient, container: str, asked_by_sdk: list[str]
) -> None:
    stream = local.api.events(filters={"type": ["container"], "event": ["pause", "unpause"]})
    found: list[Any] = []
    came = threading.Event()

    def read() -> None:
        for event in stream:
            found.append((event["Action"], event["Actor"]["ID"]))
            if len(found) == 2:
                came.set()

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    asked_by_sdk.clear()
    docker_client.api.pause(container)
    docker_client.api.unpause(container)
    assert came.wait(20)
    assert not [one for one in asked_by_sdk if "events" in one]
    assert found == [("pause", container), ("unpause", container)]
    stream.close()
    reading.join(20)
    assert not reading.is_alive(), "whoever waits for the next one is woken"


def test_headers_of_dockers_configuration_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as what a gate before the engine asks for."""
    (tmp_path / "config.json").write_text('{"HttpHeaders": {"X-Gate": "open"}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                asked.append(connection.recv(1000))
                connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"ApiVersion":"1.44"}')

        serving = threading.Thread(target=answer, daemon=True)
        serving.start()
        open_client(f"unix://{tmp_path}/socket").close()
        serving.join(5)
    assert b"X-Gate: open" in asked[0]


def test_refusal_through_sdk_is_ours(local: EngineClient) -> None:
    with pytest.raises(ApiNotFoundError, match="No such container"):
        local.sdk.logs("0" * 64)


def test_engine_elsewhere_is_asked_by_sdk(
    docker_host: str, docker_client: docker.DockerClient, busybox_image: str
) -> None:
    """By the same names, and with the same errors."""
    elsewhere = SdkClient(docker_host, timeout_seconds=30, connections=4)
    made = docker_client.containers.create(busybox_image, "sleep 60", network_mode="none", init=True)
    with closing(elsewhere):
        stream = elsewhere.api.events(filters={"type": ["container"], "event": ["start"]})
        elsewhere.api.start(str(made.id), timeout=30)
        assert next(iter(stream))["Actor"]["ID"] == made.id
        stream.close()
        assert made.id in {one["Id"] for one in elsewhere.api.containers()}
        assert elsewhere.api.inspect_container(str(made.id))["State"]["Running"]
        elsewhere.api.remove_container(str(made.id), force=True)
        with pytest.raises(ApiNotFoundError, match="No such container"):
            elsewhere.api.start(str(made.id), timeout=30)
        with pytest.raises(ApiNotFoundError, match="No such image"):
            elsewhere.api.inspect_image("nobody/has:this")
    with pytest.raises(OSError, match=r"Connection refused|No such file"):
        SdkClient(f"{docker_host}.gone", timeout_seconds=1, connections=1)
