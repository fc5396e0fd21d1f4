"""The command line respects whose state folder it is."""

import os
import tempfile
from pathlib import Path

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
