"""The image that a release is published as says its version, and nothing of the machine that built it."""

import json
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import docker
import pytest
from packaging.utils import canonicalize_name

import testbed.bot_image
import testbed.python_base
from testbed.bot_image import bot_image, build_bot_image, packages_recipe
from testbed.cache import cached, recipe_hash
from testbed.engine import Engine
from testbed.python_base import python_base
from tools.release import image, sbom, traces

# Packages are installed from an index, and the machine may have much else to do.
pytestmark = pytest.mark.timeout(420)

ROOT = Path(__file__).resolve().parents[3]
TAG = "roas-bot:1.2.3"
BY_A_PERSON = "roas-bot:by-a-person"
MADE = "1767225600"
# What says how a person's image is made and looked at here.
HOW = (testbed.bot_image, testbed.python_base, sys.modules[__name__])


@pytest.fixture(scope="module")
def built(building_engine: Engine) -> Iterator[str]:
    bot_image(building_engine, TAG, version="1.2.3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", building_engine.docker_host)
        yield TAG


@pytest.fixture(scope="module")
def of_a_person(building_engine: Engine) -> dict[str, Any]:
    """What is to be seen of the image that a person builds, on a base like a registry's, without Docker's command line.

    It is built anew where anything of it was changed but the bot's own code: packages come from an index and by apt.
    """
    client = building_engine.client()
    try:
        scripts = (path.read_text() for path in sorted((ROOT / "script").glob("container-*")))
        how = (Path(module.__file__ or "").read_text() for module in HOW)
        recipe = recipe_hash(packages_recipe(client), *scripts, *how)
        kept = cached(f"image-{recipe}.json", partial(write_down_image_of_a_person, building_engine, client))
        seen: dict[str, Any] = json.loads(kept.read_text())
        return seen
    finally:
        client.close()


def write_down_image_of_a_person(engine: Engine, client: docker.DockerClient, out: Path) -> None:
    build_bot_image(engine, BY_A_PERSON, version="1.2.3", with_docker=False)
    base = python_base(client, with_docker=False)
    seen = {
        "base": run(client, base, "command -v docker docker-compose || echo none"),
        "docker": run(client, BY_A_PERSON, "docker --version; docker compose version; docker-compose version"),
        "lists": run(client, BY_A_PERSON, "ls /var/lib/apt/lists | wc -l"),
        "configuration": configuration(client, BY_A_PERSON),
        "files": contents(client, BY_A_PERSON),
    }
    out.write_text(json.dumps(seen))


def without_code(files: str) -> list[str]:
    return [line for line in files.splitlines() if not line.startswith("/opt/bot/")]


def test_image_says_its_version_and_no_trace(built: str):
    from roas.version import __version__

    # The label is 1.2.3, as it was built; the code says what it is.
    (found,) = image.faults(built, "1.2.3", traces.traces(ROOT))
    assert f"{__version__}', not 1.2.3" in found


@pytest.mark.long
def test_docker_command_line_comes_by_apt(of_a_person: dict[str, Any]):
    assert of_a_person["base"] == "none\n"
    assert of_a_person["docker"].count("Docker version") == 1
    assert of_a_person["docker"].count("Docker Compose version") == 2
    assert of_a_person["lists"] == "0\n"


def run(client: docker.DockerClient, tag: str, script: str) -> str:
    said: bytes = client.containers.run(tag, ["-c", script], entrypoint="sh", remove=True)
    return said.decode()


def test_faults_of_an_image_are_named(built: str):
    found = list(image.faults(built, "9.9.9", {"org.opencontainers.image.title"}))
    assert any("its label" in fault and "1.2.3" in fault for fault in found)
    assert any("org.opencontainers.image.title" in fault for fault in found)


@pytest.mark.long
def test_cached_packages_make_the_same_image(built: str, building_engine: Engine, of_a_person: dict[str, Any]):
    """What most tests and the demo run is what a person builds."""
    client = building_engine.client()
    try:
        assert configuration(client, built) == of_a_person["configuration"]
        files = contents(client, built)
        for seen in (files, of_a_person["files"]):
            assert "/opt/bot/roas/__main__.py" in seen
            assert "/opt/roas/bin/python" in seen
        assert without_code(files) == without_code(of_a_person["files"])
    finally:
        client.close()


def test_bot_finds_bytecode_of_all_that_it_loads(built: str, building_engine: Engine):
    """Nobody can write any later: what has none is compiled at each start, and for each command."""
    program = (
        "import sys, roas.cli, pathlib; [roas.cli.load(name) for name in roas.cli.COMMANDS if name != 'mcp'];"
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
    named = {(item["purl"].partition(":")[2].partition("/")[0], item["name"]) for item in document["components"]}
    client = building_engine.client()
    try:
        status: bytes = client.containers.run(built, ["/var/lib/dpkg/status"], entrypoint="cat", remove=True)
        entries = [part for part in status.decode().split("\n\n") if "\nStatus: install ok installed\n" in part]
        installed = {match[1] for entry in entries if (match := re.match(r"Package: (\S+)", entry.strip()))}
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
