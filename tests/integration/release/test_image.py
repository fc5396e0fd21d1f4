"""The image that a release is published as says its version, and nothing of the machine that built it."""

import json
import re
from pathlib import Path

import docker
import pytest
from packaging.utils import canonicalize_name

from release import image, sbom, traces
from testbed.bot_image import bot_image, build_bot_image
from testbed.engine import Engine
from testbed.python_base import python_base

# Packages are installed from an index, and the machine may have much else to do.
pytestmark = pytest.mark.timeout(420)

ROOT = Path(__file__).resolve().parents[3]
TAG = "roas-bot:1.2.3"
CACHED = "roas-bot:cached"
MADE = "1767225600"


@pytest.fixture
def built(building_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> str:
    """Build it once, on a base like a registry's, which has no Docker command line."""
    build_bot_image(building_engine, TAG, version="1.2.3", with_docker=False)
    monkeypatch.setenv("DOCKER_HOST", building_engine.docker_host)
    return TAG


def test_image_says_its_version_and_no_trace(built: str):
    from roas.version import __version__

    # The label is 1.2.3, as it was built; the code says what it is.
    (found,) = image.faults(built, "1.2.3", traces.traces(ROOT))
    assert f"{__version__}', not 1.2.3" in found


def test_docker_command_line_comes_by_apt(built: str, building_engine: Engine):
    client = building_engine.client()
    try:
        base = python_base(client, with_docker=False)
        assert run(client, base, "command -v docker docker-compose || echo none") == "none\n"
        said = run(client, built, "docker --version; docker compose version; docker-compose version")
        assert said.count("Docker version") == 1
        assert said.count("Docker Compose version") == 2
        assert run(client, built, "ls /var/lib/apt/lists | wc -l") == "0\n"
    finally:
        client.close()


def run(client: docker.DockerClient, tag: str, script: str) -> str:
    said: bytes = client.containers.run(tag, ["-c", script], entrypoint="sh", remove=True)
    return said.decode()


def test_faults_of_an_image_are_named(built: str):
    found = list(image.faults(built, "9.9.9", {"org.opencontainers.image.title"}))
    assert any("its label" in fault and "1.2.3" in fault for fault in found)
    assert any("org.opencontainers.image.title" in fault for fault in found)


def test_cached_packages_make_the_same_image(built: str, building_engine: Engine):
    """What most tests and the demo run is what a person builds."""
    bot_image(building_engine, CACHED, version="1.2.3")
    client = building_engine.client()
    try:
        assert configuration(client, CACHED) == configuration(client, built)
        files = contents(client, CACHED)
        assert "/opt/bot/roas/__main__.py" in files
        assert "/opt/roas/bin/python" in files
        assert files == contents(client, built)
    finally:
        client.close()


def test_bot_finds_bytecode_of_all_that_it_loads(built: str, building_engine: Engine):
    """Nobody can write any later: what has none is compiled at each start, and for each command."""
    program = (
        "import sys, roas.service, roas.commands, pathlib; roas.commands.application();"
        " print(*(one.__name__ for one in list(sys.modules.values()) if (spec := getattr(one, '__spec__', None))"
        " and spec.has_location and spec.cached and not pathlib.Path(spec.cached).exists()))"
    )
    client = building_engine.client()
    try:
        assert client.containers.run(built, ["-c", program], entrypoint="python", remove=True).decode().split() == []
    finally:
        client.close()


def test_sbom_names_what_is_in_the_image(built: str, building_engine: Engine):
    """Debian's own record and the installed packages' metadata say what is in there."""
    document = json.loads(sbom.describe_image(built, "1.2.3", (ROOT / "requirements.lock").read_text(), MADE))
    named = {(one["purl"].partition(":")[2].partition("/")[0], one["name"]) for one in document["components"]}
    client = building_engine.client()
    try:
        status: bytes = client.containers.run(built, ["/var/lib/dpkg/status"], entrypoint="cat", remove=True)
        entries = [one for one in status.decode().split("\n\n") if "\nStatus: install ok installed\n" in one]
        installed = {match[1] for one in entries if (match := re.match(r"Package: (\S+)", one.strip()))}
        assert len(installed) > 50
        assert {name for kind, name in named if kind == "deb"} == installed
        found = re.findall(r"/site-packages/([^/]+)-[^/]+\.dist-info/METADATA ", contents(client, built))
        packages = {
            canonicalize_name(name) for name in found if name.startswith(("discord", "docker", "redis", "aiohttp"))
        }
        assert packages >= {"discord-py", "docker", "redis", "aiohttp"}
        assert packages <= {name for kind, name in named if kind == "pypi"}
    finally:
        client.close()


def configuration(client: docker.DockerClient, tag: str) -> dict[str, object]:
    found: dict[str, object] = client.images.get(tag).attrs["Config"]
    return found


def contents(client: docker.DockerClient, tag: str) -> str:
    """List every file with its owner, rights and length, but for what Python compiled, and when."""
    program = (
        "find /opt /usr/local -name __pycache__ -prune -o -type f -printf '%p %U:%G %m %s\\n' -o -printf '%p %l\\n'"
    )
    return run(client, tag, f"{program} | sort")
