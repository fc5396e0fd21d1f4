"""A container with reserved devices (GPUs) stays when its stack is taken over; the driver is a pretended one."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from roas.models.environment import Environment
from testbed.busybox import busybox
from testbed.daemon import PrivateDaemon
from testbed.images import import_image
from testbed.rootfs import Rootfs
from tests.integration.stack.conftest import SLEEPER
from tests.integration.stack.containers.test_same_as_compose import as_adopted, trusting

# The engine has the driver where this program is; it calls it before a container starts.
HOOK = "nvidia-container-runtime-hook"
RESERVED = {
    "all": {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]},
    "two": {"driver": "nvidia", "count": 2, "capabilities": ["utility", "gpu"]},
    "named": {"driver": "nvidia", "device_ids": ["1", "0"], "capabilities": ["gpu"], "options": {"a": "b"}},
    "any": {"capabilities": ["gpu"]},
}


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An engine that believes that it has GPUs."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / HOOK).write_text("#!/bin/sh\ncat > /dev/null\n")
    (programs / HOOK).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with PrivateDaemon(tmp_path / "daemon") as daemon:
        yield daemon


@pytest.fixture
def environment(daemon: PrivateDaemon, tmp_path: Path) -> Environment:
    (tmp_path / "stack").mkdir()
    file = tmp_path / "stack" / "compose.yaml"
    return Environment("dev", "gpus", tmp_path / "stack", (file,), docker_host=daemon.docker_host)


@pytest.fixture
def client(daemon: PrivateDaemon):
    client = daemon.client()
    root = Rootfs()
    root.add_busybox(busybox(client))
    import_image(client, root.tar(), "tiny:v1", CMD=SLEEPER, ENV="PATH=/bin")
    yield client
    client.close()


def services(reserved) -> str:
    """Return a compose file; JSON is YAML."""
    plain = {"image": "tiny:v1", "stop_grace_period": "0s"}
    found = {
        name: plain | {"deploy": {"resources": {"reservations": {"devices": [item]}}}}
        for name, item in reserved.items()
    }
    version = subprocess.run(["docker", "compose", "version", "--short"], capture_output=True, text=True, check=True)
    if tuple(map(int, version.stdout.split("-")[0].split(".")[:2])) >= (2, 30):
        found["short"] = plain | {"gpus": "all"}
    return json.dumps({"services": found})


async def test_reserved_devices_stay_until_changed(client, environment, tmp_path):
    environment.compose_files[0].write_text(services(RESERVED))
    before, after, unlike = await as_adopted(environment, client, tmp_path / "trusting")
    assert unlike == {}
    assert after == before
    changed = {name: {**item, "capabilities": ["gpu", "video"]} for name, item in RESERVED.items()}
    changed["all"] = {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    changed["named"] = {**RESERVED["named"], "device_ids": ["0"]}
    environment.compose_files[0].write_text(services(changed))
    engine = await trusting(environment, tmp_path / "again")
    try:
        stack = await engine.of(environment).resolve(None)
        wanted = await engine.of(stack.environment).images.look_up(stack, frozenset(stack.definitions))
        model = await engine.of(stack.environment).releases.preview(
            stack, {name: str(container.image_id) for name, container in wanted.items()}
        )
    finally:
        await engine.close()
    differing = {name: fields["x-deploy"].get("unlike") for name, fields in model["services"].items()}
    assert {name: differing[name] for name in changed} == {name: ["devices reserved"] for name in changed}
