"""Volumes are copied out of an engine and back, whole, by a container that can do nothing else."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import docker
import pytest

from roas.errors import BackupError, EngineError
from roas.models.backup import BackupReason, DataBackup
from roas.models.environment import Environment
from roas.models.stack import BackupRule
from roas.stack.backups.service_data import SavedData
from roas.stack.backups.volume_helper import LABEL
from roas.stack.stack import Stack
from roas.stack.stacks import Stacks
from testbed.busybox import busybox
from testbed.daemon import PrivateDaemon
from testbed.images import import_image
from testbed.rootfs import Rootfs
from tests.integration.stack.applying import deploy

COMPOSE = """
services:
  store:
    image: tiny:v1
    network_mode: none
    volumes: ["data:/data", "more:/more"]
  reader:
    image: tiny:v1
    network_mode: none
    volumes: ["data:/data:ro"]
volumes: {data: {}, more: {}}
"""
IDS = [f"BACKUP-01KB000000000000000000000{number}" for number in range(3)]
# A folder with nothing in it, names that need care, owners, modes, links, and what is neither file nor folder.
FILLS = """
umask 022
echo rows >/data/rows; chmod 640 /data/rows; busybox chown 999:1000 /data/rows
mkdir -p /data/empty '/data/with a space'; chmod 2770 /data/empty; busybox chown 7:8 /data
echo x >'/data/with a space/-dash
line'; ln -s nowhere /data/dangling; ln /data/rows /data/same; busybox mkfifo /data/pipe
chmod 4755 /data/same; echo wal >/more/wal; chmod 1777 /more
"""
SHOWS = (
    "cd /data && find . /more -exec stat -c '%n %F %a %u:%g' {} + | sort && "
    "find . /more -type f -exec stat -c '%n %h %Y %s' {} + | sort && "
    "find . /more -type f -exec busybox md5sum {} + | sort; busybox readlink dangling"
)


def run(stack: Stack, client: docker.DockerClient, script: str, service: str = "store") -> str:
    """Run a script in the container of a service."""
    labels = [f"com.docker.compose.project={stack.environment.project}", f"com.docker.compose.service={service}"]
    (container,) = client.containers.list(filters={"label": labels})
    code, output = container.exec_run(["sh", "-ec", script])
    assert code == 0, output
    return str(output.decode())


def rule(stack: Stack, **changes: object) -> BackupRule:
    volumes = tuple(f"{stack.environment.project}_{name}" for name in ("data", "more"))
    return BackupRule((), (), 5, **({"volumes": volumes, "helper": "store"} | changes))


def backup_of(saved: SavedData, wanted: BackupRule, backup_id: str) -> DataBackup:
    now = datetime.now(UTC)
    told = ("DEPLOY-1", BackupReason.DEPLOYMENT, 1, now, saved.seconds, saved.size, saved.sha256, wanted.volumes)
    return DataBackup(backup_id, "dev", "store", *told)


async def save(stack: Stack, wanted: BackupRule, backup_id: str = IDS[0]) -> DataBackup:
    """Back volumes up as a deployment does, but for what stands still meanwhile."""
    container_id = await stack.data.find_container("store", wanted, "")
    assert container_id is not None
    return backup_of(await stack.data.save(backup_id, "store", wanted, container_id), wanted, backup_id)


async def restore(stack: Stack, backup: DataBackup, wanted: BackupRule) -> None:
    await stack.data.verify(backup)
    container_id = await stack.data.find_container("store", wanted, "")
    assert container_id is not None
    await stack.data.restore(backup, container_id)


def helpers(client: docker.DockerClient, stack: Stack) -> list:
    own = {"label": f"{LABEL}={stack.environment.project}"}
    return client.containers.list(all=True, ignore_removed=True, filters=own)


@pytest.fixture
async def applied(engine: Stacks, stack: Callable[..., Environment]) -> Stack:
    environment = stack(COMPOSE)
    await deploy(engine, environment)
    return engine.of(environment)


async def test_volume_is_as_it_was_and_has_nothing_else(applied: Stack, docker_client: docker.DockerClient) -> None:
    run(applied, docker_client, FILLS)
    before = run(applied, docker_client, SHOWS)
    assert "nowhere" in before
    backup = await save(applied, rule(applied))
    run(
        applied,
        docker_client,
        "rm -r /data/rows '/data/with a space'; echo n | busybox tee /data/new >/data/.n; chmod 0 /more",
    )
    await restore(applied, backup, rule(applied))
    assert run(applied, docker_client, SHOWS) == before
    run(applied, docker_client, "test ! -e /data/new && test ! -e /data/.n")
    assert helpers(docker_client, applied) == []


async def test_empty_volume_comes_back_empty(applied: Stack, docker_client: docker.DockerClient) -> None:
    backup = await save(applied, rule(applied))
    run(applied, docker_client, "echo new >/data/new")
    await restore(applied, backup, rule(applied))
    assert run(applied, docker_client, "find /data /more -mindepth 1") == ""


async def test_volume_that_is_not_there_is_not_made(applied: Stack, docker_client: docker.DockerClient) -> None:
    """Whoever mounts it first makes it, and the stack may give it options that a helper does not know."""
    wanted, new = rule(applied), f"{applied.environment.project}_new"
    asked = rule(applied, volumes=(new, *wanted.volumes))
    assert (await applied.data.existing(asked)).volumes == wanted.volumes
    await save(applied, await applied.data.existing(asked))
    assert new not in {volume.name for volume in docker_client.volumes.list()}


async def test_users_of_a_volume_are_found(applied: Stack, docker_client: docker.DockerClient) -> None:
    """What is not of the stack is not stopped: nothing is copied beside it. What does not run is in nobody's way."""
    wanted = rule(applied)
    users = await applied.data.users("store", wanted.volumes)
    assert {(user.service, user.writes, user.runs) for user in users} == {
        ("store", True, True),
        ("reader", False, True),
    }
    mounts = {wanted.volumes[0]: {"bind": "/x", "mode": "ro"}}
    other = docker_client.containers.create("tiny:v1", name=f"{applied.environment.project}-other", volumes=mounts)
    try:
        assert len(await applied.data.users("store", wanted.volumes)) == 3
        other.start()
        with pytest.raises(BackupError, match="-other, which is no service of this stack") as refused:
            await applied.data.users("store", wanted.volumes)
        assert f"docker stop {other.name}" in refused.value.hint
        other.stop()
        await applied.data.users("store", wanted.volumes)
    finally:
        other.remove(force=True)


async def test_volume_is_measured_unless_that_takes_long(
    applied: Stack, docker_client: docker.DockerClient, private_daemon: PrivateDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the engine, which knows nothing of a volume that is not there, and may not answer for long."""
    run(applied, docker_client, "head -c 3000000 /dev/zero >/data/large; mkdir /more/in; echo x >/more/in/x")
    data, more = rule(applied).volumes
    sizes = await applied.data.volume_sizes((data, more, "gone"))
    assert sizes.keys() == {data, more}
    assert 3_000_000 <= sizes[data] < 3_100_000
    assert 2 <= sizes[more] < 100_000
    monkeypatch.setattr("roas.stack.docker.sdk.MEASURE_SECONDS", 0.2)
    private_daemon.pause()
    try:
        assert await applied.data.volume_sizes((data, more)) == {}
    finally:
        private_daemon.resume()


async def test_helper_can_do_nothing_else(applied: Stack, docker_client: docker.DockerClient) -> None:
    seen: list[dict] = []
    run(applied, docker_client, "busybox yes | head -c 20000000 >/data/large")
    saving = asyncio.create_task(save(applied, rule(applied)))
    while not saving.done() and not seen:
        for helper in await asyncio.to_thread(helpers, docker_client, applied):
            with suppress(docker.errors.NotFound):
                seen.append(docker_client.api.inspect_container(helper.id))
    await saving
    (found, *_) = seen
    host = found["HostConfig"]
    assert (host["NetworkMode"], host["CapDrop"], host["ReadonlyRootfs"]) == ("none", ["ALL"], True)
    assert {name.removeprefix("CAP_") for name in host["CapAdd"]} == {"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"}
    assert "no-new-privileges" in host["SecurityOpt"]
    written = [mount["Name"] for mount in found["Mounts"] if mount["RW"]]
    assert not set(written) & set(rule(applied).volumes), "its own place for a copy, at most"
    assert not set(written) & {volume.name for volume in docker_client.volumes.list()}, "which goes with it"
    assert found["Image"].startswith("sha256:")
    assert found["Config"]["Labels"].get("com.docker.compose.project") == ""


@pytest.mark.parametrize("way", ["kill", "rm"])
async def test_helper_that_is_killed_leaves_no_half_backup(
    applied: Stack, docker_client: docker.DockerClient, way: str
) -> None:
    run(applied, docker_client, "busybox yes | head -c 200000000 >/data/large")
    saving = asyncio.create_task(save(applied, rule(applied)))
    while not saving.done():
        for helper in await asyncio.to_thread(helpers, docker_client, applied):
            with suppress(docker.errors.APIError):
                await asyncio.to_thread(helper.kill if way == "kill" else lambda one=helper: one.remove(force=True))
    with pytest.raises((BackupError, EngineError)):
        await saving
    assert not list(applied.data.files.folder.iterdir())
    assert helpers(docker_client, applied) == []
    await save(applied, rule(applied), IDS[1])


async def test_helper_that_a_dead_bot_left_writes_no_more(applied: Stack, docker_client: docker.DockerClient) -> None:
    """It would replace what the next restore has written."""
    run(applied, docker_client, "echo rows >/data/rows")
    backup = await save(applied, rule(applied))
    left = docker_client.containers.run(
        "tiny:v1",
        ["sh", "-c", "while :; do echo old >/data/rows; done"],
        name=f"roas-data-{applied.environment.project}-left",
        labels={LABEL: applied.environment.project},
        volumes={rule(applied).volumes[0]: {"bind": "/data"}},
        detach=True,
    )
    await restore(applied, backup, rule(applied))
    assert run(applied, docker_client, "cat /data/rows") == "rows\n"
    assert left.id not in {helper.id for helper in helpers(docker_client, applied)}


async def test_image_that_cannot_copy_says_who_else_could(
    engine: Stacks, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    root = Rootfs()
    root.add("bin/cat", busybox(docker_client).read_bytes(), 0o755)
    root.add_folder("data", 0, 0)
    import_image(docker_client, root.tar(), "bare:v1", CMD='["cat"]', ENV="PATH=/bin")
    environment = stack(COMPOSE.replace("image: tiny:v1", "image: bare:v1\n    stdin_open: true", 1))
    await deploy(engine, environment)
    bare = engine.of(environment)
    with pytest.raises(BackupError) as refused:
        await save(bare, rule(bare))
    assert "`helper`" in refused.value.hint
    backup = await save(bare, rule(bare, helper="reader"), IDS[1])
    await restore(bare, backup, rule(bare, helper="reader"))
