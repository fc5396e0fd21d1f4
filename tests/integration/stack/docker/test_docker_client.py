"""One engine is asked by the Docker SDK: its refusals are ours, and nothing that is done is done twice."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from roas.stack.docker.api_errors import ApiError, ApiNotFoundError
from roas.stack.docker.sdk import EngineClient
from testbed.daemon import PrivateDaemon


@pytest.fixture
def client(docker_host: str) -> Iterator[EngineClient]:
    opened = EngineClient(docker_host)
    yield opened
    opened.close()


@pytest.fixture
def container(docker_client: docker.DockerClient, busybox_image: str) -> Iterator[str]:
    made = docker_client.containers.run(busybox_image, detach=True, network_mode="none")
    yield str(made.id)
    made.remove(force=True)


@pytest.mark.parametrize("ask", ["inspect_container", "start", "logs", "unpause"])
def test_what_is_not_there_is_refused_by_name(client: EngineClient, ask: str) -> None:
    with pytest.raises(ApiNotFoundError, match="No such container") as refused:
        getattr(client, ask)("0" * 64)
    assert refused.value.status == 404


def test_asked_again_after_engine_restart(client: EngineClient, private_daemon: PrivateDaemon, container: str) -> None:
    assert client.inspect_container(container)["State"]["Running"]
    private_daemon.restart()
    assert client.inspect_container(container)["Id"] == container


def test_start_leaves_what_runs_and_names_what_cannot(
    client: EngineClient, docker_client: docker.DockerClient, busybox_image: str
) -> None:
    made = docker_client.containers.create(busybox_image, network_mode="none")
    broken = docker_client.containers.create(busybox_image, command="/no/such/program", network_mode="none")
    try:
        for _ in range(2):
            client.start(str(made.id), timeout=30)
        with pytest.raises(ApiError, match="/no/such/program"):
            client.start(str(broken.id), timeout=30)
        assert client.inspect_container(str(made.id))["State"]["Running"]
    finally:
        made.remove(force=True)
        broken.remove(force=True)


def test_events_end_when_closed(client: EngineClient, docker_client: docker.DockerClient, container: str) -> None:
    stream = client.events(filters={"type": ["container"], "event": ["pause", "unpause"]}, decode=True)
    found: list[Any] = []
    came = threading.Event()

    def read() -> None:
        for event in stream:
            found.append((event["Action"], event["Actor"]["ID"]))
            if len(found) == 2:
                came.set()

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    docker_client.api.pause(container)
    docker_client.api.unpause(container)
    assert came.wait(20)
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
        EngineClient(f"unix://{tmp_path}/socket").close()
        serving.join(5)
    assert b"X-Gate: open" in asked[0]
