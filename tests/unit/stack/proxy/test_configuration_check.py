"""A configuration that the proxy takes is refused by no check, and one that it refuses passes none."""

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, cast

import pytest

from roas.errors import ComposeFileError
from roas.stack.model.live_files import LiveFiles, services_with_live_files, with_live_files
from roas.stack.proxy.live_configuration import LiveConfiguration
from tests.unit.stack.proxy.fake_docker import OFFICIAL, FakeDocker

TARGET = "/usr/local/etc/haproxy/haproxy.cfg"
# As HAProxy 3.0 says it.
LOG = "[ALERT] (1) : config : parsing [haproxy.cfg:2] : log : invalid address: 'logs.lan' in 'logs.lan:514'"
DNS = "[ALERT] (1) : config : parsing [haproxy.cfg:9] : 'nameserver d' : invalid address: 'dns.lan' in 'dns.lan:53'"
PEER = "[ALERT] (1) : config : [haproxy.cfg:15] : 'server (null)/q' : invalid address: 'other' in 'other:10000'"
SERVER = "[ALERT] (1) : config : [haproxy.cfg:11] : 'server b/a' : could not resolve address 'ext.example.com'."
BIND = "[ALERT] (1) : config : parsing [haproxy.cfg:8] : 'bind' : invalid address: 'nowhere' in 'nowhere:8080'"
BACKEND = "[ALERT] (1) : config : Proxy 'f': unable to find required default_backend: 'zz'."
NAMES = {"logs.lan": LOG, "dns.lan": DNS, "other": PEER}


@pytest.fixture
def docker() -> FakeDocker:
    return FakeDocker()


def model(tmp_path: Path, **fields: Any) -> dict[str, Any]:
    """Return a model whose HAProxy reads a kept file."""
    kept = tmp_path / ("a" * 64)
    kept.write_text("backend web\n")
    volumes = [{"type": "bind", "source": str(kept), "target": TARGET, "read_only": True}]
    services = {"haproxy": {"image": "haproxy:3.0", "volumes": volumes, **fields}, "web": {"image": "web"}}
    found = {"services": services}
    return with_live_files(found, services_with_live_files(found, ()), "shop-dev", tmp_path)


async def check(docker: FakeDocker, tmp_path: Path, *, image: str = "image", **fields: Any) -> None:
    proxies = LiveConfiguration(cast("Any", docker), LiveFiles(tmp_path))
    await proxies.check(model(tmp_path, **fields), "haproxy", image)


def lacking(*more: str) -> Callable[[Collection[str]], str]:
    """Say what HAProxy does: first what its files say, and only of good ones, which servers have no address."""

    def say(hosts: Collection[str]) -> str:
        wrong = [text for name, text in NAMES.items() if name not in hosts] + [*more]
        return "\n".join(wrong or [SERVER] * ("ext.example.com" not in hosts))

    return say


async def test_names_outside_of_the_stack_are_no_fault(docker: FakeDocker, tmp_path: Path) -> None:
    """A log server, a nameserver, a peer and a server that the check cannot look up, as the proxy itself can."""
    docker.says = lacking()
    await check(docker, tmp_path)
    hosts = docker.checks[-1]["host_config"]["extra_hosts"]
    assert hosts.keys() == {"haproxy", "web", "ext.example.com", *NAMES}
    assert set(hosts.values()) == {"127.0.0.1"}
    assert [*docker.removed] == [f"check {number + 1}" for number in range(len(docker.checks))]


@pytest.mark.parametrize("wrong", [BACKEND, BIND])
async def test_what_is_wrong_beside_such_a_name_is_refused(docker: FakeDocker, tmp_path: Path, wrong: str) -> None:
    """Also an address to listen at, which has to be the proxy's own."""
    docker.says = lacking(wrong)
    with pytest.raises(ComposeFileError, match="haproxy refuses its new configuration"):
        await check(docker, tmp_path)


async def test_fault_that_comes_with_the_name_of_a_server_is_refused(docker: FakeDocker, tmp_path: Path) -> None:
    docker.says = lambda hosts: BACKEND if "ext.example.com" in hosts else f"{SERVER}\n{BACKEND}"
    with pytest.raises(ComposeFileError, match="unable to find required default_backend"):
        await check(docker, tmp_path)


@pytest.mark.parametrize(
    "argv",
    [("/scripts/run.sh",), ("docker-entrypoint.sh", "sh", "-c", "envsubst < /tpl > /cfg && haproxy -f /cfg")],
)
async def test_no_other_program_is_asked(tmp_path: Path, argv: tuple[str, ...]) -> None:
    """It would not end, or say no to options that are HAProxy's."""
    docker = FakeDocker(argv)
    docker.says = lambda _: "unknown option -c"
    await check(docker, tmp_path)
    assert not docker.checks


async def test_program_that_nobody_has_confirmed_is_not_asked(docker: FakeDocker, tmp_path: Path) -> None:
    """People see what it says: another one could say what the proxy's service has."""
    docker.says = lambda _: "a secret"
    await check(docker, tmp_path, image="another")
    await check(docker, tmp_path, command=["haproxy", "-f", "/another.cfg"])
    await check(docker, tmp_path, entrypoint=["/another/haproxy"])
    assert not docker.checks


async def test_check_runs_as_the_service_does(docker: FakeDocker, tmp_path: Path) -> None:
    """In its folder, and with a secret that the host renews, from where the container that runs has it."""
    docker.mount(tmp_path / "tls.pem", "/run/secrets/tls")
    docker.place = "/etc/haproxy"
    await check(docker, tmp_path, working_dir="/etc/haproxy", secrets=[{"source": "tls"}])
    (asked,) = docker.checks
    assert asked["working_dir"] == "/etc/haproxy"
    assert f"{tmp_path / 'tls.pem'}:/run/secrets/tls:ro" in asked["host_config"]["binds"]
    assert [*asked["entrypoint"], *asked["command"]] == [*OFFICIAL[:2], "-c", *OFFICIAL[2:]]
    await check(docker, tmp_path, working_dir="/etc/haproxy", secrets=[{"source": "new"}])
    assert len(docker.checks) == 1, "what the container that runs does not have is not bound"


async def test_check_of_a_killed_bot_is_removed(docker: FakeDocker, tmp_path: Path) -> None:
    docker.left = [{"Id": "left", "Created": time.time() - 3600}, {"Id": "of another plan", "Created": time.time()}]
    await check(docker, tmp_path)
    assert docker.removed == ["left", "check 1"]
