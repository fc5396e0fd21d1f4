"""What the execution of a release would come upon is found before it begins, all of it at once."""

import secrets

from roas.models.stack import ObstacleKind
from roas.stack.policy.holdings import NOTHING_HELD, EngineHoldings
from roas.stack.resolution.obstacles import find_obstacles
from tests.integration.stack.open_stacks import open_stacks

STACK = """
services:
  web:
    image: tiny:v1
    networks: [proxy, missing]
    volumes: ["kept:/kept", "gone:/gone"]
  named: {{image: tiny:v1, container_name: {name}, network_mode: none}}
  open: {{image: tiny:v1, ports: ["127.0.0.1:{port}:80"]}}
networks:
  proxy: {{external: true, name: {name}-net}}
  missing: {{external: true, name: {name}-gone}}
  unused: {{external: true, name: {name}-unused}}
volumes:
  kept: {{external: true, name: {name}-kept}}
  gone: {{external: true, name: {name}-lost}}
"""


async def test_obstacles_found_on_engine(stack, docker_client, tmp_path, busybox_image):
    name = f"o{secrets.token_hex(4)}"
    network, volume = docker_client.networks.create(f"{name}-net"), docker_client.volumes.create(f"{name}-kept")
    # The port is published by a container that Compose did not create, as is the name.
    other = docker_client.containers.run(busybox_image, name=name, detach=True, ports={"80/tcp": ("127.0.0.1", None)})
    try:
        other.reload()
        port = other.ports["80/tcp"][0]["HostPort"]
        async with open_stacks(
            tmp_path / "trusting",
            "container_name:named",
            *(f"external_volume:{name}-{item}" for item in ("kept", "lost")),
            *(f"external_network:{name}-{item}" for item in ("net", "gone", "unused")),
        ) as trusting:
            environment = stack(STACK.format(name=name, port=port))
            resolved = await trusting.of(environment).resolve(None, write_contents=False)
    finally:
        other.remove(force=True)
        network.remove()
        volume.remove()
    assert [(obstacle.kind, obstacle.message) for obstacle in resolved.obstacles] == [
        (ObstacleKind.EXTERNAL, f"The external network {name}-gone does not exist."),
        (ObstacleKind.EXTERNAL, f"The external volume {name}-lost does not exist."),
        (ObstacleKind.CONTAINER_NAME, f"The name {name} of named is held by a container that Compose did not create."),
        (ObstacleKind.PORT, f"Port 127.0.0.1:{port}/tcp of open is held by the container {name}."),
    ]


def test_no_obstacles_where_engine_is_away(environment):
    model = {"services": {"web": {"networks": {"a": None}}}, "networks": {"a": {"external": True}}}
    assert find_obstacles(model, environment, NOTHING_HELD) == ()
    assert len(find_obstacles(model, environment, EngineHoldings({}, ()))) == 1
