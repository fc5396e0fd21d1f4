"""The bot replaces itself while its state folder is on a slow disk: a FUSE file system that writes at a crawl."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.container_processes import until
from testbed.home_stack import Home
from testbed.waiting import wait_until
from tests.e2e.handover.conftest import clear_away, other_version
from tests.integration.sandbox.channel import outcome, start

pytestmark = pytest.mark.long

# A commit of the journal writes some 20 kB: it takes a tenth of a second then, and a copy of it some seconds.
BYTES_A_SECOND = 200_000
MOUNT_SECONDS = 20.0


@pytest.fixture
def home(standing: Home, tmp_path: Path) -> Iterator[Home]:
    """Start the stack anew, on a state folder that is slow."""
    clear_away(standing)
    state, disk = standing.folder / "state", tmp_path / "disk"
    state.mkdir(mode=0o700)
    disk.mkdir(mode=0o700)
    command = ["bindfs", "-f", f"--write-rate={BYTES_A_SECOND}", str(disk), str(state)]
    with subprocess.Popen(command) as slow:
        try:
            assert wait_until(state.is_mount, MOUNT_SECONDS)
            standing.compose("up", "-d")
            yield standing
            print(standing.logs())
        finally:
            for container in standing.everything():
                container.remove(force=True, v=True)
            subprocess.run(["umount", str(state)], check=True, timeout=MOUNT_SECONDS)
            slow.wait(MOUNT_SECONDS)
            shutil.rmtree(state)


async def test_bot_replaces_itself_on_slow_disk(home, people, images):
    """It takes its time, and nobody is given up: one bot, of the new version, healthy, and an outcome that says so."""
    version = other_version(home, images)
    told = await outcome(people, await start(people, "dora", "deploy", environment="dev", version=version))
    assert "succeeded" in told.text, told.text

    def healthy_bots() -> list[str] | None:
        (bot, *others) = home.bots(stopped=True)
        is_healthy = bot.attrs["State"]["Health"]["Status"] == "healthy"
        return [bot.attrs["Image"]] if is_healthy and not others else None

    assert await until(healthy_bots, "not one healthy bot", seconds=60.0) == [images[version]]
