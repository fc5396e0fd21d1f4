"""The command line respects whose state folder it is, and whose container it runs in."""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from roas.application import Application
from roas.commands.executor import LocalExecutor
from roas.commands.state_owner import check_readable
from roas.errors import InvalidRequestError, StateError
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from tests.e2e.commands.conftest import CommandLine

OWNER = 12345
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


# Everything is imported before the program becomes somebody who may not read the interpreter of this machine.
HISTORY_AS_ROOT = """
import os, sys
from pathlib import Path
from roas.commands import state_owner
from roas.commands import run_command_line
os.environ["STATE_DIR"] = "state-of-root"
assert run_command_line(["history"]) == 0
state_owner.check_readable = lambda uid: None
os.environ["STATE_DIR"] = "state"
assert run_command_line(["history", "--json"]) == 0
print({path.stat().st_uid for path in Path("state").rglob("*")})
"""
LOOK_AS_SOMEBODY_ELSE = """
import asyncio, os
from contextlib import AsyncExitStack
from pathlib import Path
from roas.commands.running_bot import find_running_bot
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
    ended = dry_line.run_program(HISTORY_AS_ROOT)
    assert ended.stdout.splitlines()[-1] == f"{{{OWNER}}}", ended.stderr


@needs_root
def test_unreadable_program_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hidden = tmp_path / "python"
    hidden.touch(mode=0o600)
    monkeypatch.setattr("sys.executable", str(hidden))
    with pytest.raises(StateError, match=f"belongs to user {OWNER}, who cannot read this program"):
        check_readable(OWNER)
    assert os.geteuid() == 0


@needs_root
def test_unreadable_folder_not_taken_for_idle(dry_line: CommandLine) -> None:
    """A folder that is closed to us is not taken for one without a bot."""
    open_the_way_to(dry_line.folder)
    dry_line.state.mkdir(mode=0o700)
    ended = dry_line.run_program(LOOK_AS_SOMEBODY_ELSE)
    assert "is closed to this user" in ended.stdout, ended.stderr


@dataclass
class PlayedProbe:
    """Say that this process runs in a container of some project."""

    project: str

    def in_container(self) -> bool:
        return True

    async def own_container(self) -> OwnContainer:
        return OwnContainer("c" * 64, "shop-discord-bot-1", self.project, "discord-bot")


@dataclass
class PlayedOrchestrator:
    resumed: int = 0
    environments: dict[str, Environment] = field(default_factory=dict)

    def environment(self, name: str) -> Environment:
        return Environment(name, f"shop-{name}", Path("/shop"), ())

    async def resume(self) -> tuple[Any, ...]:
        self.resumed += 1
        return ()


def executor_in(project: str, orchestrator: PlayedOrchestrator) -> LocalExecutor:
    engine = SimpleNamespace(probe_for=lambda _environment: PlayedProbe(project))
    return LocalExecutor(cast("Application", SimpleNamespace(orchestrator=orchestrator, engine=engine)))


async def test_own_container_not_replaced() -> None:
    orchestrator = PlayedOrchestrator()
    with pytest.raises(InvalidRequestError, match="a container of prod that the deployment may replace"):
        await executor_in("shop-prod", orchestrator).prepare("prod")
    assert orchestrator.resumed == 0


async def test_other_project_deployable_from_container() -> None:
    orchestrator = PlayedOrchestrator()
    assert await executor_in("shop-prod", orchestrator).prepare("dev") == ()
    assert orchestrator.resumed == 1
