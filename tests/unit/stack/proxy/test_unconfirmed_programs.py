"""A check of a configuration, which nobody has confirmed yet, runs the program that runs already and no other."""

import posixpath
from pathlib import Path
from typing import Any, cast

import pytest

from roas.stack.model.live_files import LiveFiles, services_with_live_files, with_live_files
from roas.stack.proxy.live_configuration import LiveConfiguration
from tests.unit.stack.proxy.fake_docker import FakeDocker

CONFIGURATION = "/usr/local/etc/haproxy/haproxy.cfg"
PLAIN = "global\nbackend web\n  server a web:80\n"
CADDY = ("caddy", "run", "--config", "/etc/caddy/Caddyfile")


class Proxy:
    """Be a proxy that runs with some files, and is planned with others."""

    def __init__(self, folder: Path, argv: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.docker = FakeDocker(argv) if argv else FakeDocker()

    def model(self, files: dict[str, str], **fields: Any) -> dict[str, Any]:
        volumes = []
        for target, text in files.items():
            kept = self.folder / f"{abs(hash((target, text))):064d}"
            kept.write_text(text)
            volumes.append({"type": "bind", "source": str(kept), "target": target, "read_only": True})
        model = {"services": {"haproxy": {"image": "haproxy:3.0", "volumes": volumes, **fields}}}
        return with_live_files(model, services_with_live_files(model, ()), "dev/shop", self.folder)

    def run(self, files: dict[str, str]) -> None:
        """Let the container that runs have these files."""
        service = self.model(files)["services"]["haproxy"]
        LiveFiles(self.folder).put(service)
        for volume in service["volumes"]:
            self.docker.mount(Path(volume["source"]), posixpath.normpath(volume["target"]))

    async def is_asked(self, files: dict[str, str], **fields: Any) -> bool:
        proxies = LiveConfiguration(cast("Any", self.docker), LiveFiles(self.folder))
        await proxies.check(self.model(files, **fields), "haproxy", "image")
        return bool(self.docker.checks)


@pytest.fixture
def proxy(tmp_path: Path) -> Proxy:
    return Proxy(tmp_path)


@pytest.mark.parametrize(
    "target",
    [
        "/usr/local/sbin/haproxy",
        "/usr/local/etc/haproxy/../../sbin/haproxy",
        "/etc/ld.so.preload",
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/etc",
        "/usr/local/etc",
        "/",
    ],
)
async def test_what_is_bound_elsewhere_is_asked_once_it_runs(proxy: Proxy, target: str) -> None:
    """As it is over the program itself, or over a library."""
    assert not await proxy.is_asked({CONFIGURATION: PLAIN, target: "x"})
    proxy.run({CONFIGURATION: PLAIN, target: "y"})
    assert not await proxy.is_asked({CONFIGURATION: PLAIN, target: "x"})
    assert await proxy.is_asked({CONFIGURATION: f"{PLAIN}backend other\n", target: "y"})


@pytest.mark.parametrize(
    "variables", [{"LD_PRELOAD": "/usr/local/etc/haproxy/x"}, {"OPENSSL_CONF": CONFIGURATION}, {"ANY": "x"}]
)
async def test_another_variable_is_asked_once_it_runs(proxy: Proxy, variables: dict[str, str]) -> None:
    """By some of them a loader takes other programs along."""
    assert not await proxy.is_asked({CONFIGURATION: PLAIN}, environment=variables)
    proxy.docker.variables = [f"{name}={value}" for name, value in variables.items()]
    assert await proxy.is_asked({CONFIGURATION: PLAIN}, environment=variables)


@pytest.mark.parametrize("fields", [{"user": "root"}, {"working_dir": "/tmp"}])
async def test_who_runs_otherwise_is_not_asked(proxy: Proxy, fields: dict[str, str]) -> None:
    assert not await proxy.is_asked({CONFIGURATION: PLAIN}, **fields)


@pytest.mark.parametrize(
    "line",
    [
        "lua-load /x.lua",
        "\tlua-load-per-thread /x.lua",
        "lua-prepend-path /x",
        '"lua-load" /x.lua',
        'l"ua-load" /x.lua',
        "lua\\-load /x.lua",
        "\\x6cua-load /x.lua",
        '"${A}" /x.lua',
        "\x0blua-load /x.lua",
        "ssl-engine /x.so",
        "ssl-provider x",
        "module-load x.so",
    ],
)
async def test_configuration_that_loads_a_program_is_not_asked(proxy: Proxy, line: str) -> None:
    """However HAProxy lets that be spelled, and in whichever of its files."""
    assert not await proxy.is_asked({CONFIGURATION: f"{PLAIN}global\n{line}\n"})
    assert not await proxy.is_asked({CONFIGURATION: PLAIN, "/usr/local/etc/haproxy/more.cfg": line})


@pytest.mark.parametrize("text", ["\x7fELF", "#!/bin/sh\n"])
async def test_program_beside_the_configuration_is_not_asked(proxy: Proxy, text: str) -> None:
    assert not await proxy.is_asked({CONFIGURATION: PLAIN, "/usr/local/etc/haproxy/haproxy": text})


async def test_configuration_of_an_image_is_not_asked(proxy: Proxy) -> None:
    """It may load what is bound."""
    assert not await proxy.is_asked({"/usr/local/etc/haproxy/x.lua": "print(1)"})


async def test_new_files_of_a_configuration_are_asked(tmp_path: Path) -> None:
    files = {
        CONFIGURATION: f"# lua-load\n{PLAIN}",
        "/usr/local/etc/haproxy/errors/503.http": "HTTP/1.0 503",
        "/run/secrets/tls": "key",
    }
    (tmp_path / "haproxy").mkdir()
    assert await Proxy(tmp_path / "haproxy").is_asked(files)
    (tmp_path / "caddy").mkdir()
    caddy = Proxy(tmp_path / "caddy", CADDY)
    assert await caddy.is_asked({CADDY[-1]: "{$DOMAIN} {\n}\n"}, image="caddy:2")
