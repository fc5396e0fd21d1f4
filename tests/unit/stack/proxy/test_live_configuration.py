"""A configuration is read before it counts: how many servers it has, and by which command it is checked.

And nothing is told to read it again that cannot.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, cast

import pytest

from roas.concurrency import pause
from roas.models.stack import ServiceProxy
from roas.stack.model.live_files import LiveFiles, services_with_live_files, with_live_files
from roas.stack.proxy import live_configuration, proxies
from roas.stack.proxy.configuration_check import _binds, _has_plain_volumes, caddy_command
from roas.stack.proxy.live_configuration import LiveConfiguration, count_servers
from roas.stack.proxy.proxies import SocketPlace
from tests.unit.stack.proxy.fake_docker import MASTER, OFFICIAL, FakeDocker
from tests.unit.stack.proxy.fake_haproxy import FakeHAProxy, FakeServer

TEXT = """
defaults
    default-server check inter 250ms
frontend users
    use_backend web
backend web
    server-template web 1 web:8080 init-addr libc,none
    server-template web 2-6 web:8080
    # server old 10.0.0.1:80
    server one 10.0.0.1:80 check
backend ranged
    server-template web 3-5 web:8080
listen both
    server one 10.0.0.1:80
backend none
"""


def test_servers_are_counted() -> None:
    found = count_servers(TEXT)
    assert {name: found[name] for name in ("web", "ranged", "both", "none")} == {
        "web": 7,
        "ranged": 3,
        "both": 1,
        "none": 0,
    }


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (
            ["/usr/bin/caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"],
            ["/usr/bin/caddy", "validate", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"],
        ),
        (["caddy", "run", "--watch", "-c", "/file"], ["caddy", "validate", "-c", "/file"]),
        (["caddy", "file-server"], []),
    ],
)
def test_caddy_is_asked_with_its_own_configuration(argv: list[str], command: list[str]) -> None:
    assert caddy_command(argv, "validate") == command


TARGET = "/usr/local/etc/haproxy/haproxy.cfg"
INIT = "/sbin/docker-init -- haproxy -db -f /usr/local/etc/haproxy/haproxy.cfg"


def model(folder: Path, target: str = TARGET, **fields: Any) -> dict[str, Any]:
    """Return a model with a HAProxy that reads a kept file, and a service behind it."""
    kept = folder / ("b" * 64)
    kept.write_text("backend web\n")
    volumes = [{"type": "bind", "source": str(kept), "target": target, "read_only": True}]
    services = {
        "haproxy": {"image": "haproxy:3.0", "volumes": volumes, **fields},
        "web": {"image": "web", "x-deploy": {"proxy": "haproxy"}},
    }
    found = {"name": "shop", "services": services}
    return with_live_files(found, services_with_live_files(found, [ServiceProxy("haproxy")]), "shop-dev", folder)


def seen(folder: Path, monkeypatch: pytest.MonkeyPatch, docker: FakeDocker, target: str = TARGET) -> dict[str, Any]:
    """Let the socket be seen, and the container have what the model that is returned binds."""

    async def find(*_: object) -> SocketPlace:
        return SocketPlace(folder, PurePosixPath("admin.sock"), "id")

    monkeypatch.setattr(proxies, "find_socket", find)
    wanted = model(folder, target)
    for place, _ in LiveFiles(folder).of(wanted["services"]["haproxy"]):
        docker.mount(place, target)
    return wanted


async def reload(docker: FakeDocker, folder: Path, monkeypatch: pytest.MonkeyPatch, target: str = TARGET) -> bool:
    """Have HAProxy read its file again, which it does not."""
    monkeypatch.setattr(live_configuration, "RELOAD_SECONDS", 0.2)
    wanted = seen(folder, monkeypatch, docker, target)
    async with FakeHAProxy({"web": {}}).listening(folder / "admin.sock"):
        return await LiveConfiguration(cast("Any", docker), LiveFiles(folder)).reload(wanted, "haproxy")


@pytest.mark.parametrize(
    ("argv", "processes", "target"),
    [
        (("/scripts/run.sh",), MASTER, TARGET),
        (("docker-entrypoint.sh", "sh", "-c", "envsubst < /tpl > /cfg && haproxy -f /cfg"), MASTER, TARGET),
        (("/docker-entrypoint.sh", *OFFICIAL[1:]), MASTER, "/docker-entrypoint.sh"),
        (("/sbin/docker-init", "--", "haproxy", "-db", "-f", TARGET), (INIT, INIT.partition("-- ")[2]), TARGET),
    ],
    ids=["a script", "a shell", "the file is the script", "no master"],
)
async def test_what_cannot_read_its_files_again_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...], processes: tuple[str, ...], target: str
) -> None:
    """A script writes what HAProxy reads when the container starts; SIGUSR2 is the end of one without a master."""
    docker = FakeDocker(argv, processes)
    assert not await reload(docker, tmp_path, monkeypatch, target)
    assert not docker.commands, "it is sent no signal"


async def test_image_without_a_shell_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = FakeDocker()
    docker.has_shell = False
    assert not await reload(docker, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("fields", "is_live"),
    [
        ({}, True),
        ({"command": ["haproxy", "-f", TARGET]}, True),
        ({"command": ["-f", TARGET]}, True),
        ({"entrypoint": ["/usr/sbin/haproxy"], "command": ["-W", "-f", TARGET]}, True),
        ({"command": ["sh", "-c", "envsubst < /tpl > /cfg && haproxy -f /cfg"]}, False),
        ({"entrypoint": ["/run.sh"]}, False),
    ],
)
def test_plan_says_that_what_a_script_starts_is_replaced(tmp_path: Path, fields: dict[str, Any], is_live: bool) -> None:
    """Its file is bound by content, so that a change of it is one of the container."""
    (volume,) = model(tmp_path, **fields)["services"]["haproxy"]["volumes"]
    assert Path(volume["source"]).name.startswith("live-") is is_live


class Reloading(FakeDocker):
    """Take a while over what is sent by a command in the container."""

    def __init__(self) -> None:
        super().__init__()
        self.signalled, self.goes_on = asyncio.Event(), asyncio.Event()

    async def call(self, question: Callable[[Any], Any]) -> Any:
        known = len(self.commands)
        answer = await super().call(question)
        if len(self.commands) > known:
            self.signalled.set()
            await self.goes_on.wait()
        return answer


async def test_what_is_held_during_a_reload_is_told_the_new_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new version comes together with a configuration: the old process would take what is held with it."""
    docker, haproxy = Reloading(), FakeHAProxy({"web": {"web1": FakeServer("10.0.0.1"), "web2": FakeServer()}})
    wanted, files = seen(tmp_path, monkeypatch, docker), LiveFiles(tmp_path)
    live = LiveConfiguration(cast("Any", docker), files)
    async with haproxy.listening(tmp_path / "admin.sock"), asyncio.timeout(10):
        reloading = asyncio.create_task(live.reload(wanted, "haproxy"))
        await docker.signalled.wait()
        holding = asyncio.create_task(live.in_front_of("web", ServiceProxy("haproxy", backends=("web",))).hold(1))
        await pause(0.1)
        assert not haproxy.commands, "the old process is told nothing"
        haproxy.pid = 2
        docker.goes_on.set()
        assert await reloading
        await holding
    assert haproxy.drained() == {"web2"}


STORE = Path("/state/contents")
LIVE = {STORE / "live-1": STORE / "kept"}
COPY = {"type": "bind", "source": str(STORE / "live-1"), "target": "/conf", "read_only": True}


@pytest.mark.parametrize("source", ["/run/docker.sock", "/etc/ssl", "/srv/shop/conf", f"{STORE}/folder/in-it"])
def test_check_that_nobody_confirmed_has_nothing_of_the_host(source: str) -> None:
    """Not even what the container that runs was given."""
    service = {"volumes": [COPY, {"type": "bind", "source": source, "target": "/t", "read_only": True}]}
    running = {"Mounts": [{"Type": "bind", "Source": source, "Destination": "/t"}]}
    assert _binds(service, LIVE, running) is None
    assert _binds({"volumes": [COPY]}, LIVE, running) == [f"{STORE}/kept:/conf:ro"]


@pytest.mark.parametrize(
    ("driver", "options", "is_plain"),
    [("local", None, True), ("local", {}, True), ("local", {"device": "/"}, False), ("nfs", None, False)],
)
def test_check_that_nobody_confirmed_has_plain_volumes(driver: str, options: Any, is_plain: bool) -> None:
    client: Any = SimpleNamespace(inspect_volume=lambda name: {"Name": name, "Options": options})
    running = {"Mounts": [{"Type": "volume", "Driver": driver, "Name": "v"}, {"Type": "bind", "Source": "/etc"}]}
    assert _has_plain_volumes(client, running) is is_plain
