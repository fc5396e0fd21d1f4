"""Where files can share what they hold, services stand still for a moment, however much they hold."""

import contextlib
import secrets
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from roas.models.environment import Environment, PolicyLevel
from roas.redaction import Redactor
from roas.stack.stacks import Stacks
from testbed.busybox import busybox
from testbed.daemon import PrivateDaemon
from testbed.images import import_image
from testbed.rootfs import Rootfs
from tests.integration.stack.applying import deploy
from tests.integration.stack.backups.test_volumes import backup_of, restore, rule, run

DISK_BYTES = 2 * 1024**3
DATA_BYTES = 512 * 1024**2
WAITS = '["sh", "-c", "trap \'exit 0\' TERM; while :; do sleep 1 & wait $!; done"]'
COMPOSE = """
services:
  store:
    image: gnu:v1
    network_mode: none
    volumes: ["data:/data", "more:/more"]
volumes: {data: {}, more: {}}
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on a disk of its own, of a file system that has reflinks."""
    if shutil.which("mkfs.xfs") is None:
        pytest.skip("xfsprogs is not installed")
    image, folder = tmp_path / "disk.img", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.long
async def test_services_stand_still_for_less_time_than_the_copy_takes(disk: Path, tmp_path: Path) -> None:
    with PrivateDaemon(disk / "engine") as daemon, contextlib.closing(daemon.client()) as client:
        root = Rootfs()
        root.add_busybox(busybox(client))
        root.links.pop("bin/cp")
        root.add_program("cp")
        import_image(client, root.tar(), "gnu:v1", CMD=WAITS, ENV="PATH=/usr/bin:/bin")
        folder = tmp_path / "stack"
        folder.mkdir()
        (folder / "docker-compose.yml").write_text(COMPOSE)
        environment = Environment(
            name="dev",
            project=f"t{secrets.token_hex(4)}",
            folder=folder,
            compose_files=(folder / "docker-compose.yml",),
            docker_host=daemon.docker_host,
            policy=PolicyLevel.DEFAULT,
        )
        stacks = Stacks(state_dir=tmp_path / "state", instance_id="BOT-TEST", policy_allow=(), redactor=Redactor())
        try:
            await deploy(stacks, environment)
            stack = stacks.of(environment)
            run(stack, client, f"head -c {DATA_BYTES} /dev/urandom >/data/large; echo before >/data/rows; sync")
            wanted, stood = rule(stack), []
            container_id = await stack.data.find_container("store", wanted, "")
            assert container_id is not None
            still = stands_still(stood)
            saved = await stack.data.save("BACKUP-01KB0000000000000000000001", "store", wanted, container_id, still)
            run(stack, client, "echo after >/data/rows; rm /data/large")
            assert saved.size > DATA_BYTES
            assert stood[0] < saved.seconds / 3, (stood, saved.seconds)
            await restore(stack, backup_of(saved, wanted, "BACKUP-01KB0000000000000000000001"), wanted)
            told = run(stack, client, "cat /data/rows; stat -c %s /data/large")
            assert told.split() == ["before", str(DATA_BYTES)]
            assert len(client.volumes.list()) == 2, "no copy is left"
        finally:
            await stacks.close()


@asynccontextmanager
async def stands_still(stood: list[float]) -> AsyncIterator[None]:
    """Measure for how long services would stand still."""
    began = time.monotonic()
    yield
    stood.append(time.monotonic() - began)
