"""What the engine itself needs: containers made and started by its API, and waited for by its events."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker

from testbed.engine import Engine

LABEL = "roas-benchmark-limit"
DEADLINE_SECONDS = 300.0
NANOSECONDS = 1_000_000_000


def time_limit(
    engine: Engine, image: str, command: str, services: Mapping[str, Sequence[str]], *, network: bool = False
) -> float:
    """Return the seconds until all containers are healthy; each is started when those that it needs are.

    With a `network`, one is made for them first, as a stack's own is.
    """
    client = engine.client()
    client.api.trust_env = False
    events = client.api.events(decode=True, filters={"label": LABEL, "event": "health_status"})
    healthy = {name: threading.Event() for name in services}

    def listen() -> None:
        for event in events:
            if event["Action"].endswith(": healthy"):
                healthy[event["Actor"]["Attributes"][LABEL]].set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        started = time.monotonic()
        with ThreadPoolExecutor(len(services)) as threads:
            mode = client.networks.create(LABEL).name if network else "none"
            ids = threads.map(lambda one: _create(client, image, command, one, str(mode)), services)
            made = dict(zip(services, ids, strict=True))
            waiting = [
                threads.submit(_start, client, made[name], [healthy[other] for other in needs], healthy[name])
                for name, needs in services.items()
            ]
            for item in waiting:
                item.result()
        return time.monotonic() - started
    finally:
        events.close()
        for container in client.containers.list(all=True, filters={"label": LABEL}):
            container.remove(force=True)
        for made_network in client.networks.list(names=[LABEL]):
            made_network.remove()
        client.close()


def _create(client: docker.DockerClient, image: str, command: str, name: str, network: str) -> str:
    check = {
        "Test": ["CMD-SHELL", command],
        "Interval": 5 * NANOSECONDS,
        "StartPeriod": 30 * NANOSECONDS,
        "StartInterval": NANOSECONDS // 10,
    }
    settings: dict[str, Any] = {
        "Image": image,
        "Labels": {LABEL: name},
        "Healthcheck": check,
        "HostConfig": client.api.create_host_config(network_mode=network, init=True),
    }
    created: dict[str, Any] = client.api.create_container_from_config(settings)  # type: ignore[no-untyped-call]
    return str(created["Id"])


def _start(
    client: docker.DockerClient, container: str, needs: Sequence[threading.Event], healthy: threading.Event
) -> None:
    for other in (*needs, healthy):
        if other is healthy:
            client.api.start(container)
        if not other.wait(DEADLINE_SECONDS):
            raise RuntimeError(f"a container was not healthy within {DEADLINE_SECONDS:g} s")
