"""A stack with a proxy in front, as the documentation has it: written, asked, and used."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.compose_labels import of_service
from testbed.ports import free_port
from testbed.proxy_images import caddy_image, haproxy_image, web_image
from tools.campaigns.requests.recipe import AdminSocket, write_recipe
from tools.campaigns.requests.scene import QUICK_CHECK, SLOW_CHECK

RATE = 20  # requests a second
QUICK = {SLOW_CHECK: QUICK_CHECK}  # the page's own check is played where the whole recipe is
# Where a version is never ready, that is known soon. Each check takes a twentieth of a second of a core.
SOON = QUICK | {"start_period: 30s": "start_period: 2s", "interval: 5s": "interval: 2s\n      retries: 2"}


@pytest.fixture(scope="session")
def proxy_images(docker_client) -> None:
    """Make the images that the recipes name."""
    haproxy_image(docker_client, "haproxy:3.0")
    caddy_image(docker_client, "caddy:2")
    for version in ("v1", "v2"):
        web_image(docker_client, f"shop/web:{version}", version=version)
    web_image(docker_client, "shop/web:warms", version="warms", WARMING="2")


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    return tmp_path / "stack" / "orders" / "log"


@pytest.fixture
def write(stack, orders, proxy_images) -> Callable[..., int]:
    """Return what writes a recipe, with a place for the orders, and returns the port of the proxy."""

    def write(proxy: str, **changes: str) -> int:
        port = free_port()
        orders.parent.mkdir(exist_ok=True)
        place = {"    stop_grace_period: 10s": "    volumes: [./orders:/orders]\n    stop_grace_period: 10s"}
        write_recipe(stack.folder, proxy, port, **(place | changes))
        return port

    return write


def edit(stack, before: str, after: str) -> None:
    """Write something else into the compose file, as people do between two deployments."""
    page = stack.folder / "compose.yaml"
    text = page.read_text()
    assert before in text
    page.write_text(text.replace(before, after))


def admin(stack) -> AdminSocket:
    volume = stack.client.volumes.get(f"{stack.project()}_haproxy")
    return AdminSocket(Path(volume.attrs["Mountpoint"]) / "admin.sock")


def addresses(stack, service: str = "web") -> set[str]:
    found = of_service(stack.containers(), service)
    return {f"{net['IPAddress']}:8080" for item in found for net in item.attrs["NetworkSettings"]["Networks"].values()}


def up(stack) -> set[str]:
    """Return who gets requests: nobody as long as the proxy has not opened its socket."""
    if not admin(stack).is_open():
        return set()
    return {address for address, status in admin(stack).states().values() if status == "UP"}


def whole(stack) -> bool:
    return up(stack) == addresses(stack) and not admin(stack).set_aside()


async def slow_request(port: int, seconds: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /slow?%d HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n" % seconds)
    return reader, writer


async def websocket(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    """Open a WebSocket; returns the version that it greets with."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101"), head
    frame = await reader.readexactly(4)
    assert frame[:2] == b"\x81\x02", "a text of two bytes"
    return reader, writer, frame[2:]
