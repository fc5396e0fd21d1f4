"""A bot in a container of its own reaches HAProxy's socket by the volume that both have mounted."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from docker.errors import ContainerError

from testbed.bot_image import bot_image
from testbed.engine import manual_environment
from testbed.ports import free_port
from testbed.proxy_images import haproxy_image, web_image
from testbed.waiting import wait_until
from tools.campaigns.requests.recipe import AdminSocket, write_recipe
from tools.campaigns.requests.users import users

pytestmark = pytest.mark.long

PROJECT, VOLUME = "shop-dev", "shop-dev_haproxy"
CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"]
RATE = 20
# What the recipe's own check asks, in a fifth of its time: it loads all that opens a URL.
RECIPES_CHECK = "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health')"
REQUEST = r"b'GET /health HTTP/1.0\\r\\n\\r\\n'"
CONNECT = "import socket; c = socket.create_connection(('127.0.0.1', 8080))"
CHECK = f"{CONNECT}; c.send({REQUEST}); assert b' 200 ' in c.recv(99)"


class Shop:
    """Hold a stack with HAProxy in front, and the bot's image that deploys it."""

    def __init__(self, engine, client, folder: Path, port: int) -> None:
        self.engine, self.client, self.folder, self.port = engine, client, folder, port
        self.state = folder.with_name("state")

    def compose(self, *arguments: str) -> None:
        """Run Compose by hand, on v1."""
        command = ["docker-compose", "-p", PROJECT, *arguments]
        environment = manual_environment(self.engine.docker_host) | {"VERSION": "v1"}
        subprocess.run(command, cwd=self.folder, env=environment, check=True, capture_output=True, timeout=120)

    def deploy(self, version: str, *, with_socket: bool = True) -> str:
        """Deploy by a container of the bot's image. Raises ContainerError."""
        socket = self.engine.docker_host.removeprefix("unix://")
        mounts = {
            socket: {"bind": "/var/run/docker.sock"},
            str(self.folder): {"bind": str(self.folder), "mode": "ro"},
            str(self.state): {"bind": str(self.state)},
        }
        if with_socket:
            mounts[VOLUME] = {"bind": "/run/haproxy", "mode": "ro"}
        said = self.client.containers.run(
            "roas-bot:v1",
            ["roas", "deploy", "dev", version],
            environment={
                "STACK_DIR": str(self.folder),
                "STATE_DIR": str(self.state),
                "COMPOSE_PROJECT_NAME": "shop",
                "ENVIRONMENTS__DEV__OBSERVATION_SECONDS": "0.5",
            },
            volumes=mounts,
            tmpfs={"/tmp": "mode=1777"},
            read_only=True,
            cap_drop=["ALL"],
            cap_add=CAPABILITIES,
            security_opt=["no-new-privileges:true"],
            remove=True,
            stderr=True,
        )
        return str(said.decode())

    def admin(self) -> AdminSocket:
        """Return HAProxy's socket, as it is seen from outside of all containers."""
        return AdminSocket(Path(self.client.volumes.get(VOLUME).attrs["Mountpoint"]) / "admin.sock")

    def kept_states(self) -> str:
        """Return what HAProxy would read if it were started now."""
        kept = Path(self.client.volumes.get(VOLUME).attrs["Mountpoint"]) / "server-state"
        return kept.read_text() if kept.exists() else ""

    def is_whole(self) -> bool:
        """Return whether both containers get requests, and nothing is set aside."""
        states = [status for _, status in self.admin().states().values()]
        return states == ["UP"] * 2 and not self.admin().set_aside()

    def images(self) -> set[str]:
        """Return the images of the web's containers, without what a release adds: `web:v2-0123456789ab`."""
        label = [f"com.docker.compose.project={PROJECT}", "com.docker.compose.service=web"]
        found = self.client.containers.list(filters={"label": label})
        return {str(item.attrs["Config"]["Image"]).partition("-")[0] for item in found}


@pytest.fixture
def shop(building_engine, tmp_path) -> Iterator[Shop]:
    client = building_engine.client()
    bot_image(building_engine, "roas-bot:v1", version="v1")
    haproxy_image(client)
    for version in ("v1", "v2"):
        web_image(client, f"shop/web:{version}", version=version)
    folder = tmp_path / "shop"
    port = free_port()
    changes = {
        "    stop_grace_period: 10s": "    volumes: [./orders:/orders]\n    stop_grace_period: 10s",
        RECIPES_CHECK: CHECK,
    }
    write_recipe(folder, "HAProxy", port, **changes)
    (folder / "orders").mkdir(mode=0o777)
    (tmp_path / "state").mkdir()
    folder.chmod(0o755)
    # Whoever has it mounted before the first deployment finds it made by Compose.
    labels = {"com.docker.compose.project": PROJECT, "com.docker.compose.volume": "haproxy"}
    client.volumes.create(VOLUME, labels=labels)
    shop = Shop(building_engine, client, folder, port)
    shop.compose("up", "-d")
    yield shop
    shop.compose("down", "--volumes", "-t", "1")
    client.close()


def test_bot_in_container_drains_by_shared_volume(shop: Shop) -> None:
    assert wait_until(lambda: shop.admin().is_open() and shop.is_whole(), 30)
    with users(shop.port, rate=RATE) as seen, ThreadPoolExecutor() as pool:
        deploying = pool.submit(shop.deploy, "v2")
        kept = wait_until(lambda: "web" in shop.kept_states(), 120, poll=0.05)
        deploying.result()
    assert kept, "what is held is kept for a start of the proxy"
    assert "web" not in shop.kept_states()
    assert shop.is_whole()
    assert not seen.lost, seen.report
    assert set(seen.report["versions"]) == {"v1", "v2"}
    with pytest.raises(ContainerError) as refused:
        shop.deploy("v1", with_socket=False)
    told = refused.value.stderr.decode()
    assert "is not seen from here" in told, told
    assert "Mount the volume that has the socket into the bot's container, too." in told
    assert shop.is_whole()
    assert {image.rpartition(":")[2] for image in shop.images()} == {"v2"}
