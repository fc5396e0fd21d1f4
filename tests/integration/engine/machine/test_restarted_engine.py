"""What an engine said of itself serves no longer once it went away: it may be back as another one."""

import docker
import pytest

from roas.engine.client import EngineClients
from roas.engine.containers.docker_events import EventSubscription
from roas.errors import EngineUnavailableError
from roas.models.environment import Environment
from testbed.daemon import PrivateDaemon


async def test_engine_that_was_started_again_is_asked_again(
    environment: Environment, docker_client: docker.DockerClient, private_daemon: PrivateDaemon, busybox_image: str
) -> None:
    clients = EngineClients()

    async def containers() -> int:
        return int((await clients.call(environment, clients.fresh.information))["Containers"])

    before = await containers()
    made = docker_client.containers.create(busybox_image, network_mode="none")
    try:
        async with EventSubscription(clients, environment) as events:
            assert await containers() == before, "what was said a moment ago serves"
            private_daemon.restart()
            with pytest.raises(EngineUnavailableError):
                await anext(events)
        assert await containers() == before + 1
    finally:
        made.remove(force=True)
        await clients.close()
