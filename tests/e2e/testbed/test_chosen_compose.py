"""Whatever is started by tests, measurements, the demo and campaigns uses the Compose that the run has chosen."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import demo.home
import tools.campaigns.corpus.ground
import tools.campaigns.swarm.ground
from testbed.engine import Engine, manual_environment
from testbed.inherited import chosen_programs
from testbed.preloaded import run_preloaded
from testbed.private_registry import PrivateRegistry
from testbed.running_bot import bot_environment
from tests.e2e.cli.conftest import CommandLine
from tests.e2e.cli.test_take_over import person
from tests.e2e.stack.swarm.swarm_line import SwarmLine
from tests.e2e.wire.bot_process import BotProcess
from tests.e2e.wire.command_line import roas
from tools.benchmarks import swarm

pytestmark = pytest.mark.long

SHOWN = "tests.e2e.testbed.shown_compose"
CHOSEN = "99.1.2"
NOWHERE = "unix:///nowhere/docker.sock"
PLUGIN = f"""#!/bin/sh
if [ "$1" = docker-cli-plugin-metadata ]; then
  echo '{{"SchemaVersion": "0.1.0", "Vendor": "nobody", "Version": "{CHOSEN}"}}'
else
  echo "$*" >> "$(dirname "$0")/calls"
  echo {CHOSEN}
fi
"""
DISCORD: Any = {
    "bot_token": "a.b.c",
    "guild_id": 1,
    "ops_channel_id": 2,
    "api_url": "http://127.0.0.1:9",
    "gateway_url": "ws://127.0.0.1:9",
    "roles": {"deployer": 1, "approver": 2, "hotfix": 3, "alert": 4},
}


@pytest.fixture(autouse=True)
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that has chosen a Compose of its own."""
    plugin = tmp_path / "chosen" / "cli-plugins" / "docker-compose"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(PLUGIN)
    plugin.chmod(0o755)
    monkeypatch.setenv("DOCKER_CONFIG", str(plugin.parents[1]))
    return plugin.parents[1]


def with_login(folder: Path) -> Path:
    """Write the logins of a folder of its own."""
    cast("Any", PrivateRegistry.write_login)(SimpleNamespace(password="p", address="registry:1"), folder / "docker")
    return folder


def typed_in_corpus(folder: Path) -> Mapping[str, str]:
    """Return with what the campaign of other people's stacks types a command of ours."""
    given: list[Mapping[str, str]] = []

    def run(*_: str, env: Mapping[str, str], **__: Any) -> subprocess.CompletedProcess[str]:
        given.append(env)
        return subprocess.CompletedProcess((), 0, "", "")

    ground = tools.campaigns.corpus.ground
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ground, "run_preloaded", run)
        ground.Ground(cast("Any", SimpleNamespace(client=lambda: None)), folder).roas(folder, "status")
    return given[0]


WAYS: dict[str, Callable[[Path], Mapping[str, str]]] = {
    "typed by hand": lambda folder: manual_environment(NOWHERE, folder),
    "nothing but programs": lambda _: chosen_programs(),
    "a bot to measure": lambda folder: bot_environment(Engine(NOWHERE), folder, "shop", DISCORD),
    "a command of the tests": lambda folder: CommandLine(folder, NOWHERE, "shop").environ(),
    "who takes over": lambda folder: person(CommandLine(folder, NOWHERE, "shop")),
    "a command on a Swarm": lambda folder: SwarmLine(
        folder, NOWHERE, "shop", docker_config=with_login(folder) / "docker"
    ).environ(),
    "both sides on a Swarm": lambda folder: swarm.Ground(
        with_login(folder), cast("Any", Engine(NOWHERE)), cast("Any", None)
    ).environ("state"),
    "the campaign on a Swarm": lambda folder: tools.campaigns.swarm.ground.Ground(
        with_login(folder), cast("Any", Engine(NOWHERE)), cast("Any", SimpleNamespace(path=folder / "gate"))
    ).environ(),
    "the campaign of stacks": typed_in_corpus,
}


@pytest.mark.parametrize("way", WAYS)
def test_environment_finds_chosen_compose(way: str, tmp_path: Path) -> None:
    found = dict(WAYS[way](tmp_path)) | {"PYTHONPATH": str(Path(__file__).parents[3])}
    done = run_preloaded(SHOWN, cwd=tmp_path, env=found, timeout=60)
    assert done.stdout.strip() == CHOSEN, done.stderr


async def test_bot_of_tests_finds_chosen_compose(tmp_path: Path) -> None:
    bot = BotProcess({}, tmp_path / "log", SHOWN)
    await bot.start()
    assert await bot.ended() == 0
    assert bot.log.read_text().strip() == CHOSEN


async def test_command_beside_bot_finds_chosen_compose() -> None:
    assert await roas({}, module=SHOWN) == (0, f"{CHOSEN}\n")


def test_demo_starts_its_bot_by_chosen_compose(tmp_path: Path, chosen: Path) -> None:
    folders = dict.fromkeys(("home", "state", "stack", "followed"), tmp_path)
    stage = SimpleNamespace(engine=Engine(NOWHERE), name="demo", repository=None, **folders)
    demo.home.start_bot(cast("Any", stage), DISCORD)
    assert (chosen / "cli-plugins" / "calls").read_text() == "compose up --detach\n"
