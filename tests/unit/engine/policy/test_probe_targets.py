"""A probe asks the environment's own services, whatever name leads there, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from roas.engine.compose_engine import ComposeEngine
from roas.engine.policy.probe_rules import judge_probes
from roas.models.environment import Environment
from roas.redaction import Redactor
from tests.integration.engine.applying import deploy


def _asked(url: object, **fields: Any) -> list[str]:
    own = {"image": "x", "x-deploy": {"probe": url}, "ports": [{"published": "8080", "target": 80}], **fields}
    return [one.entry for one in judge_probes({"services": {"web": own, "db": {"image": "x"}}})]


@pytest.mark.parametrize(
    "url", ["http://web/", "tcp://db:5432", {"url": "redis://db"}, "http://127.0.0.1:8080/up", "http://localhost:8080"]
)
def test_probe_of_own_service_passes(url: object) -> None:
    assert _asked(url) == []


def test_probe_by_another_name_of_a_service_passes() -> None:
    assert _asked("http://shop.local", hostname="Shop.local") == []
    assert _asked("http://alias", networks={"default": {"aliases": ["alias"]}}) == []


@pytest.mark.parametrize(
    ("url", "entry"),
    [
        ("http://169.254.169.254/latest/meta-data", "probe:169.254.169.254:80"),
        ("https://intranet.example/admin?delete=all", "probe:intranet.example:443"),
        ("http://127.0.0.1:8000/", "probe:127.0.0.1:8000"),
        ("redis://:pw@other-redis", "probe:other-redis:6379"),
        ({"url": "tcp://[::1]:22"}, "probe:::1:22"),
    ],
)
def test_probe_of_anything_else_refused(url: object, entry: str) -> None:
    assert _asked(url) == [entry]


def test_probe_of_a_dependent_judged_too() -> None:
    edge = {"x-deploy": {"depends_on": {"db": {"probe": "http://elsewhere:1/"}}}}
    assert [one.entry for one in judge_probes({"services": {"web": edge, "db": {}}})] == ["probe:elsewhere:1"]


async def test_addresses_of_own_services_only(
    engine: ComposeEngine, stack: Callable[..., Environment], docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    environment = stack("services: {web: {image: 'tiny:v1', ports: ['127.0.0.1::80']}}")
    await deploy(engine, environment)
    (own,) = docker_client.containers.list(filters={"label": f"com.docker.compose.project={environment.project}"})
    ((name, joined),) = own.attrs["NetworkSettings"]["Networks"].items()
    published = int(own.attrs["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"])
    other = docker_client.containers.run("tiny:v1", detach=True)
    try:
        other.reload()
        ((_, foreign),) = other.attrs["NetworkSettings"]["Networks"].items()
        asked = {
            "own": (joined["IPAddress"], 80),
            "gateway": (joined["Gateway"], 22),
            "foreign": (foreign["IPAddress"], 80),
            "published": ("127.0.0.1", published),
            "loopback": ("127.0.0.1", published + 1),
            "mapped": (f"::ffff:{joined['IPAddress']}", 80),
            "metadata": ("169.254.169.254", 80),
        }
        permitted = {
            what: await engine.probe_targets.permitted(environment, "whatever", port, (address,)) == (address,)
            for what, (address, port) in asked.items()
        }
        allowing = ComposeEngine(
            state_dir=tmp_path / "other", instance_id="T", policy_allow=("dev/probe:intranet:80",), redactor=Redactor()
        )
        there = ("169.254.169.254",)
        assert await allowing.probe_targets.permitted(environment, "intranet", 80, there) == there
        assert await allowing.probe_targets.permitted(environment, "intranet", 81, there) == ()
        assert await allowing.probe_targets.permitted(replace(environment, name="prod"), "intranet", 80, there) == ()
        await allowing.close()
    finally:
        other.remove(force=True)
    assert name.startswith(environment.project)
    assert {what for what, may in permitted.items() if may} == {"own", "published", "mapped"}
