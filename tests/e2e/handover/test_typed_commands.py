"""Each command that people are told to type for the bot is typed, where today's files would change another service."""

from contextlib import suppress
from typing import Any

import pytest
import yaml

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


def typed() -> list[list[str]]:
    """Return the commands that name the bot's service, for this stack, each once."""
    found = {command.replace("{service}", BOT_SERVICE).replace(" prod", " dev") for command in advised_commands()}
    named = sorted(item for item in found if f" {BOT_SERVICE}" in item and not any(word in item for word in NOT_TYPED))
    return [item.removeprefix("docker compose ").split() for item in named] + in_the_bot()


def in_the_bot() -> list[list[str]]:
    """Return our own commands, as they are typed beside a living bot."""
    found = {command.partition(" #")[0] for command in advised_commands(OURS)}
    for field, text in FIELDS.items():
        found = {command.replace(field, text) for command in found}
    wanted = sorted(item for item in found if not any(word in item for word in NOT_IN_THE_BOT))
    return [["exec", BOT_SERVICE, "python", "-m", *command.split()] for command in wanted]


def others(home: Home) -> dict[str, Any]:
    """Return all other containers, and since when each runs."""
    everything = [item for item in home.everything() if item not in home.bots(stopped=True)]
    return {item.id: (item.name, item.attrs["State"]["StartedAt"], item.status) for item in everything}


def test_typed_commands_leave_other_services_alone(home: Home):
    file = home.folder / "docker-compose.yml"
    before, written = others(home), file.read_text()
    stack = yaml.safe_load(written)
    stack["services"]["store"]["environment"] = {"CHANGED": "since it was deployed"}
    commands = typed()
    assert len(commands) >= 7 + 15, commands
    try:
        file.write_text(yaml.safe_dump(stack, sort_keys=False))
        for command in commands:
            arguments = [command[0], *WITHOUT_TERMINAL.get(command[0], ()), *command[1:]]
            with suppress(HomeStackError):  # it may be refused as things are; it changes nothing else all the same
                home.compose(*arguments)
            assert others(home) == before, " ".join(command)
    finally:
        file.write_text(written)
        home.compose("up", "-d", "--no-deps", BOT_SERVICE)
    assert comes_to_rest(home)
