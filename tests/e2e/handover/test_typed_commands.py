"""Each command that people are told to type for the bot is typed, where today's files would change another service."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import yaml

from testbed.engine import manual_environment
from testbed.home_stack import BOT_SERVICE, Home, HomeStackError
from tests.e2e.handover.conftest import comes_to_rest
from tests.unit.advised_commands import OURS, advised_commands

# Some thirty programs are started, one after the other.
pytestmark = pytest.mark.timeout(600)

# A deployment is asked for to change services; a word in capitals stands for one's own.
NOT_TYPED = ("roas deploy", "roas COMMAND", "roas login")
# So is a rollback. The others follow without an end, ask for a password, or describe another stack.
NOT_IN_THE_BOT = ("rollback", "deploy", "events --follow", "login", "init", "…", "COMMAND", ">", "{command}", "--force")
FIELDS = {"{environment}": "dev", "{name}": "dev", "{names}": BOT_SERVICE, "ENVIRONMENT": "dev", "ENV": "dev"}
# The entrypoint of these images is how they start as a bot; the shipped image's takes a command.
WITHOUT_TERMINAL = {"exec": ("-T",), "run": ("-T", "--entrypoint", "entrypoint")}
# To load the bot takes a command a second of a core: it is loaded once for all, and each runs in a process of its own.
LOADED_ONCE = """
import os, sys
from roas.cli import run_command_line
for line in sys.stdin:
    if (child := os.fork()) == 0:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        sys.exit(run_command_line(line.split()))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def typed_by_hand() -> list[list[str]]:
    """Return the commands that name the bot's service, for this stack, each once."""
    found = {command.replace("{service}", BOT_SERVICE).replace(" prod", " dev") for command in advised_commands()}
    named = sorted(item for item in found if f" {BOT_SERVICE}" in item and not any(word in item for word in NOT_TYPED))
    return [item.removeprefix("docker compose ").split() for item in named]


def typed_in_the_bot() -> list[str]:
    """Return our own commands, as they are typed beside a living bot."""
    found = {command.partition(" #")[0] for command in advised_commands(OURS)}
    for field, text in FIELDS.items():
        found = {command.replace(field, text) for command in found}
    wanted = (item.removeprefix(f"{OURS} ") for item in found if not any(word in item for word in NOT_IN_THE_BOT))
    return sorted(wanted)


@contextmanager
def typing_in_the_bot(home: Home) -> Iterator[Callable[[str], int]]:
    """Give what types a command of ours in the bot's container, and returns its exit code."""
    (bot,) = home.bots()
    command = ["docker", "exec", "-i", bot.id, "python", "-c", LOADED_ONCE]
    environ = manual_environment(home.engine.docker_host)
    with subprocess.Popen(command, env=environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        said, asked = shell.stdout, shell.stdin

        def type_in(command: str) -> int:
            print(command, file=asked, flush=True)
            return int(said.readline())

        yield type_in
        asked.close()


def others(home: Home) -> dict[str, Any]:
    """Return all other containers, and since when each runs."""
    everything = [item for item in home.everything() if item not in home.bots(stopped=True)]
    return {item.id: (item.name, item.attrs["State"]["StartedAt"], item.status) for item in everything}


def test_typed_commands_leave_other_services_alone(home: Home, long_lane: bool):
    """In the ordinary lane, one of each kind of Compose command, and every fourth of ours."""
    file = home.folder / "docker-compose.yml"
    before, written = others(home), file.read_text()
    stack = yaml.safe_load(written)
    stack["services"]["store"]["environment"] = {"CHANGED": "since it was deployed"}
    by_hand, ours = typed_by_hand(), typed_in_the_bot()
    assert len(by_hand) >= 7, by_hand
    assert len(ours) >= 15, ours
    if not long_lane:
        by_hand = [*{command[0]: command for command in by_hand}.values()]
        ours = ["status", *ours[::4]]
    try:
        file.write_text(yaml.safe_dump(stack, sort_keys=False))
        for command in by_hand:
            arguments = [command[0], *WITHOUT_TERMINAL.get(command[0], ()), *command[1:]]
            with suppress(HomeStackError):  # it may be refused as things are; it changes nothing else all the same
                home.compose(*arguments)
            assert others(home) == before, " ".join(command)
        codes = {}
        with typing_in_the_bot(home) as type_in:
            for command in ours:
                codes[command] = type_in(command)
                assert others(home) == before, command
        assert [command for command, code in codes.items() if code < 0] == [], "a signal ended it"
        assert codes["status"] == 0, codes
    finally:
        file.write_text(written)
        home.compose("up", "-d", "--no-deps", BOT_SERVICE)
    assert comes_to_rest(home)
