"""A proxy's socket is found by what its container mounts, and by what the bot's own container mounts of that."""

from pathlib import Path, PurePosixPath
from typing import Any, cast

import pytest

from roas.models.stack import ServiceProxy
from roas.stack.proxy import proxies
from roas.stack.proxy.proxies import SocketPlace, _mount_of, _seen_in, connector
from tests.unit.stack.proxy.fake_haproxy import FakeHAProxy

VOLUME = "/var/lib/docker/volumes/shop_haproxy/_data"
SOCKET = PurePosixPath("/var/lib/haproxy/admin.sock")


def container(**mounts: str) -> dict[str, object]:
    kinds = {"v": "volume", "b": "bind", "t": "tmpfs"}
    return {
        "Mounts": [
            {"Type": kinds[name[0]], "Source": source, "Destination": place}
            for name, pair in mounts.items()
            for source, _, place in [pair.partition(":")]
        ]
    }


def test_innermost_mount_has_the_socket() -> None:
    proxy = container(b1="/srv/shop/lib:/var/lib", v1=f"{VOLUME}:/var/lib/haproxy", b2="/srv/shop/x:/etc/haproxy")
    found = _mount_of(proxy, SOCKET)
    assert found is not None
    assert found["Source"] == VOLUME


def test_socket_of_the_containers_own_layer_is_not_seen() -> None:
    assert _mount_of(container(b1="/srv/shop/x:/etc/haproxy"), SOCKET) is None
    assert _mount_of(container(t1=":/var/lib/haproxy"), SOCKET) is None


def test_volume_is_where_the_bot_has_it() -> None:
    bot = container(v1="/var/lib/docker/volumes/shop_state/_data:/state", v2=f"{VOLUME}:/run/haproxy")
    assert _seen_in(bot, Path(VOLUME)) == Path("/run/haproxy")


def test_folder_of_the_stack_is_below_what_the_bot_has() -> None:
    bot = container(b1="/srv/shop:/srv/shop")
    assert _seen_in(bot, Path("/srv/shop/run")) == Path("/srv/shop/run")


def test_what_the_bot_does_not_mount_is_not_seen() -> None:
    bot = container(b1="/srv/shop:/srv/shop", b2="/var/run/docker.sock:/var/run/docker.sock")
    assert _seen_in(bot, Path(VOLUME)) is None


async def test_engine_is_not_asked_while_the_proxy_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine may take seconds to answer when containers have just crashed, and the requests are given back then."""
    asked: list[str] = []

    async def find(_engine: object, service: str, _path: object) -> SocketPlace | None:
        asked.append(service)
        return SocketPlace(tmp_path, PurePosixPath("admin.sock"), "id") if len(asked) == 1 else None

    monkeypatch.setattr(proxies, "find_socket", find)
    monkeypatch.setattr(proxies, "PLACE_SECONDS", 0.0)
    connect = connector(cast("Any", None), ServiceProxy("haproxy"))
    async with FakeHAProxy().listening(tmp_path / "admin.sock"):
        for _ in range(3):
            assert await connect() is not None
    assert asked == ["haproxy"]
    assert await connect() is None, "it is gone, and so is its socket"
    assert asked == ["haproxy"] * 2
