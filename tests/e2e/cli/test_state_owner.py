"""The command line respects whose state folder it is."""

import os
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.cli.conftest import CommandLine
from tests.unit.cli.test_state_owner import OWNER, needs_root

# Everything is imported before the program becomes somebody who may not read the interpreter of this machine.
LOCK_AS_ROOT = """
import os, sys
from pathlib import Path
from roas.cli import running as state_owner
from roas.cli import run_command_line
os.environ["STATE_DIR"] = "state-of-root"
assert run_command_line(["lock", "dev", "--reason", "the fair"]) == 0
state_owner.check_readable = lambda uid: None
os.environ["STATE_DIR"] = "state"
assert run_command_line(["lock", "dev", "--reason", "the fair", "--json"]) == 0
print({path.stat().st_uid for path in Path("state").rglob("*")})
"""
LOOK_AS_SOMEBODY_ELSE = """
import asyncio, os
from contextlib import AsyncExitStack
from pathlib import Path
from roas.cli.connection import find_running_bot
from roas.errors import StateError

async def look():
    async with AsyncExitStack() as stack:
        return await find_running_bot(Path("state").resolve(), stack)

async def main():
    try:
        print(await look())
    except StateError as error:
        print(error.message)

os.setuid(12345)
asyncio.run(main())
"""

# The lock, the check of the folder and the key are what people meet of a folder that is another user's.
USE_AS_SOMEBODY_ELSE = f"""
import os
from pathlib import Path
from roas.checks.secrets import _judge_folder
from roas.cli import run_command_line
from roas.errors import EngineError
from roas.stack.sources.secret_key import SecretKey
os.environ["STATE_DIR"] = "loaded"
run_command_line(["lock", "dev", "--reason", "the fair"])
os.environ["STATE_DIR"] = "state"
os.setuid({OWNER})
print(_judge_folder(Path("state").resolve()).remedy)
try:
    SecretKey(Path("state/inner/key")).read()
except EngineError as error:
    print(error.hint)
print(run_command_line(["lock", "dev", "--reason", "the fair"]))
"""


def open_the_way_to(folder: Path) -> None:
    """Let other users pass through the folders that pytest closes."""
    for passed in (folder, *folder.parents):
        if passed.is_relative_to(tempfile.gettempdir()) and passed != Path(tempfile.gettempdir()):
            passed.chmod(passed.stat().st_mode | 0o055)


@needs_root
def test_files_of_root_owned_by_folder_owner(dry_line: CommandLine) -> None:
    open_the_way_to(dry_line.folder)
    dry_line.state.mkdir(mode=0o700)
    os.chown(dry_line.state, OWNER, OWNER)
    ended = dry_line.run_program(LOCK_AS_ROOT)
    assert ended.stdout.splitlines()[-1] == f"{{{OWNER}}}", ended.stderr


@needs_root
def test_unreadable_folder_not_taken_for_idle(dry_line: CommandLine) -> None:
    """A folder that is closed to us is not taken for one without a bot."""
    open_the_way_to(dry_line.folder)
    dry_line.state.mkdir(mode=0o700)
    ended = dry_line.run_program(LOOK_AS_SOMEBODY_ELSE)
    assert "is closed to this user" in ended.stdout, ended.stderr


@needs_root
def test_folder_is_given_to_the_bots_user_as_told(dry_line: CommandLine) -> None:
    open_the_way_to(dry_line.folder)
    inner = dry_line.state / "inner"
    inner.mkdir(parents=True, mode=0o700)
    dry_line.state.chmod(0o755)
    refused = dry_line.run_program(USE_AS_SOMEBODY_ELSE)
    for told in (
        "The bot's user must own all that is in STATE_DIR.",
        f"`chown -R {OWNER} {dry_line.state}`",
    ):
        assert told in " ".join((refused.stdout + refused.stderr).split()), refused
    subprocess.run(["chown", "-R", str(OWNER), dry_line.state], check=True)
    dry_line.state.chmod(0o700)
    done = dry_line.run_program(USE_AS_SOMEBODY_ELSE)
    assert done.stdout.splitlines()[-1:] == ["0"], done.stderr
    assert "chown" not in done.stdout + done.stderr
    assert (inner / "key").stat().st_uid == OWNER


def read_only(state: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", state], check=True)


def writable(state: Path) -> None:
    subprocess.run(["mount", "-o", "remount,rw", state], check=True)


def fill(state: Path) -> None:
    with suppress(OSError), (state / "fill").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def make_room(state: Path) -> None:
    (state / "fill").unlink()


@needs_root
@pytest.mark.parametrize(
    ("wrong", "told", "right"),
    [
        (read_only, "is on a file system that is mounted read-only", writable),
        (fill, "has free space", make_room),
    ],
)
def test_state_folder_is_mended_as_told(
    dry_line: CommandLine, wrong: Callable[[Path], None], told: str, right: Callable[[Path], None]
) -> None:
    state = dry_line.state
    state.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "roas-test", state], check=True)
    try:
        wrong(state)
        refused = dry_line.run("lock", "dev", "--reason", "the fair")
        assert refused.returncode != 0
        assert told in " ".join(refused.stderr.split()), refused
        right(state)
        assert dry_line.run("lock", "dev", "--reason", "the fair").returncode == 0
    finally:
        subprocess.run(["umount", "-l", state], check=True)


def test_journal_is_begun_anew_as_told(dry_line: CommandLine) -> None:
    refused = dry_line.run("restore")
    assert refused.returncode != 0
    assert "Without a copy, `roas restore --new` begins a new journal" in " ".join(refused.stderr.split()), refused
    assert dry_line.run("restore", "--new").returncode == 0
    assert dry_line.run("lock", "dev", "--reason", "the fair").returncode == 0
