"""An engine that is restarted in the middle of a copy or of a restore: nothing runs on half of the data."""

import asyncio
import secrets
from typing import Any

import docker
import pytest

from roas.app.application import open_application
from roas.models.deployment import DataStep
from roas.stack.backups.volume_helper import LABEL
from testbed.sample import sample_image
from tests.e2e.acceptance.conftest import settings_for
from tests.e2e.acceptance.people import People, succeeded
from tests.e2e.acceptance.stack import REPOSITORY, Stack, alone
from tests.e2e.acceptance.test_data_backups import ROWS, grant, put_rows
from tests.e2e.acceptance.trouble import until

# So much, or so slow, that there is a middle of it.
LARGE_BYTES = 400_000_000
WAYS: dict[str, dict[str, Any]] = {
    "volume": {"volume": "data"},
    "command": {
        "command": "sleep 3; cat /data/rows",
        "restore": "cat >/data/new; sleep 3; mv /data/new /data/rows",
    },
}
# How data is backed up; how the engine goes, and whether containers outlive it; how they are told to start again. One
# that is stopped, rather than killed, takes half a minute more.
TABLE = [
    pytest.param("volume", "kill", False, "always"),
    pytest.param("volume", "stop", False, "always", marks=pytest.mark.long),
    pytest.param("volume", "stop", False, "unless-stopped", marks=pytest.mark.long),
    pytest.param("volume", "kill", False, "no", marks=pytest.mark.long),
    pytest.param("volume", "stop", True, "always", marks=pytest.mark.long),
    pytest.param("volume", "kill", True, "always", marks=pytest.mark.long),
    pytest.param("command", "stop", False, "always", marks=pytest.mark.long),
    pytest.param("command", "kill", False, "always", marks=pytest.mark.long),
    pytest.param("command", "kill", True, "always", marks=pytest.mark.long),
]


@pytest.fixture
def frail(fresh_daemon, tmp_path):
    """Give a stack on an engine of its own, which the test may break."""
    client = fresh_daemon.client()
    for version in ("v1", "v2"):
        sample_image(client, f"{REPOSITORY}:{version}", version=version)
    stack = Stack(tmp_path / "stack", f"frail{secrets.token_hex(2)}", client, fresh_daemon.docker_host)
    yield stack
    fresh_daemon.keep_containers(wanted=False)
    stack.clear()
    client.close()


@pytest.mark.parametrize(("way", "goes", "outlives", "policy"), TABLE)
async def test_engine_restarted_in_a_copy_leaves_all_whole(
    frail: Stack, fresh_daemon, tmp_path, way, goes, outlives, policy
):
    """First while the data is backed up, then while it is restored."""
    fresh_daemon.keep_containers(wanted=outlives)
    store = alone(volumes=["data:/data"], restart=policy, **{"x-deploy": {"backup": WAYS[way]}})
    web = alone(restart=policy, depends_on={"store": {"condition": "service_healthy"}})
    frail.write({"store": store, "web": web}, volumes={"data": {}})
    async with open_application(settings_for(frail, tmp_path / "state")) as application:
        people = People(application)
        await people.succeed("v1")
        put_rows(frail)
        frail.container("store").exec_run(["sh", "-c", f"head -c {LARGE_BYTES} /dev/zero >/data/large"])

        async def restart_while(copying: asyncio.Task, writes: bool) -> None:
            begun = copies if way == "volume" else runs_command
            await until(lambda: asyncio.to_thread(begun, frail, copying, writes))
            assert not copying.done()
            await asyncio.to_thread(fresh_daemon.restart, kill=goes == "kill")

        deploying = asyncio.create_task(people.deploy("v2"))
        await restart_while(deploying, False)
        deployed = succeeded(await deploying)
        assert (deployed.held, len(deployed.backups)) == ((), 1)
        assert_whole(frail, "v2", ROWS)
        put_rows(frail, "destroyed\n")
        granted = await grant(application, data=("with",))
        restoring = asyncio.create_task(people.rollback(data=("with",), granted=granted))
        await restart_while(restoring, True)
        restored = succeeded(await restoring)
        assert restored.data_step is DataStep.RESTORED
        assert_whole(frail, "v1", ROWS)
        assert not list((tmp_path / "state" / "data-backups").glob("*.part"))


def copies(stack: Stack, copying: asyncio.Task, writes: bool) -> bool:
    """Return whether the helper that saves the volume, or that restores it, has begun; or whether it is too late."""
    volume = f"{stack.project()}_data"
    found = stack.client.api.containers(filters={"label": f"{LABEL}={stack.project()}"})
    mounts = [mount for item in found for mount in item["Mounts"] if mount.get("Name") == volume]
    return copying.done() or any(mount["RW"] is writes for mount in mounts)


def runs_command(stack: Stack, copying: asyncio.Task, writes: bool) -> bool:
    """Return whether the command that saves the data, or that restores it, runs; or whether it is too late."""
    shown = str(stack.container("store").top()) if stack.container("store").status == "running" else ""
    return copying.done() or ("sleep 3" in shown and ("mv /data/new" in shown) is writes)


def assert_whole(stack: Stack, version: str, rows: str) -> None:
    """All of the stack runs that version on all of its data, and no helper is left."""
    assert set(stack.images().values()) == {stack.client.images.get(f"{REPOSITORY}:{version}").id}
    assert len(stack.images()) == 2
    assert stack.read("store", "/data/rows") == rows
    code, size = stack.container("store").exec_run(["stat", "-c", "%s", "/data/large"])
    assert (code, int(size)) == (0, LARGE_BYTES)
    assert helpers(stack.client, stack.project()) == []


def helpers(client: docker.DockerClient, project: str) -> list:
    return client.containers.list(all=True, filters={"label": f"{LABEL}={project}"})
