"""The disk of the state fills up while a command line carries a deployment out: it is told, and goes on with room."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import disk_usage

import pytest

from tests.e2e.cli.conftest import SECONDS, CommandLine, wait_for_line

SIZE = 600 << 20  # more than the checks want


def resize(disk: Path, size: int) -> None:
    """Give the file system another size, while it is used."""
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


@pytest.fixture
def disk(line: CommandLine) -> Iterator[Path]:
    """The state's folder on a file system of its own."""
    line.state.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "roas-test", line.state], check=True)
    yield line.state
    subprocess.run(["umount", "-l", line.state], check=True)


def test_disk_that_fills_in_the_middle_is_waited_for(line: CommandLine, disk: Path) -> None:
    deploying = line.start("deploy", "dev", "v1")
    wait_for_line(deploying, "database: creating")
    used = disk_usage(disk).used
    resize(disk, used + 4096)
    assert deploying.stderr is not None
    told = ""
    while "goes on once the journal can be written again" not in told:
        told += (line_read := deploying.stderr.readline())
        assert line_read, told
    assert "disk is full" in told
    resize(disk, SIZE)
    out, err = deploying.communicate(timeout=SECONDS)
    assert deploying.returncode == 0, out + told + err
    assert "The journal can be written again." in err
    assert line.running() == {"database": "v1", "web": "v1"}
