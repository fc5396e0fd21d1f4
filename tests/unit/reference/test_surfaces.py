"""What people, jobs and agents hold on to is as it was recorded: help, slash commands, the API on TCP, MCP's tools.

Where a change is meant: `python -m tests.unit.reference.test_surfaces` records anew; the difference is then reviewed.
"""

import asyncio
import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import discord
import pytest
from discord.ext import commands

from roas.api.remote_documents import openapi
from roas.cli import run_command_line
from roas.ui.command_names import CommandTranslator
from tools.reference import command_line
from tools.reference.slash_commands import slash_commands

ROOT = Path(__file__).resolve().parents[3]
RECORDED = Path(__file__).with_name("surfaces")
# What draws them, in the versions that the lock names: others draw the same otherwise.
DRAWN_BY = ("click", "discord-py", "mcp", "pydantic", "typer")
LOCKED = dict(re.findall(r"^([\w-]+)==([^\s;]+)", (ROOT / "requirements-dev.lock").read_text(), re.MULTILINE))
pytestmark = pytest.mark.skipif(
    any(version(name) != LOCKED[name] for name in DRAWN_BY), reason="recorded with the versions of the lock"
)


def _help() -> str:
    """Return what each command and each group prints for `--help`, and what is translated of it."""
    words = [words for words, _ in command_line.commands()]
    groups = sorted({path[:1] for path in words if len(path) > 1})
    printed = io.StringIO()
    for language, paths in (("en", [(), *words, *groups]), ("zh_TW", [()])):
        with patch.dict(os.environ, {"LANGUAGE": language, "COLUMNS": "80"}), contextlib.redirect_stdout(printed):
            for path in paths:
                print("$", *("roas", *path, "--help"))
                assert run_command_line([*path, "--help"]) == 0
    return printed.getvalue()


def _slash_commands() -> str:
    """Return what Discord is sent of each command, in both languages."""
    tree, translator = commands.Bot("!", intents=discord.Intents.none()).tree, CommandTranslator()

    async def payloads() -> list[dict[str, Any]]:
        return [await command.get_translated_payload(tree, translator) for command in slash_commands()]

    return _document(asyncio.run(payloads()))


def _openapi() -> str:
    described = openapi()
    del described["info"]["version"]
    return _document(described)


def _tools() -> str:
    """Return what `roas mcp` says of its tools, over stdio."""
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    command = [sys.executable, "-m", "roas", "mcp"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdin is not None
        assert agent.stdout is not None
        for request in (
            {"id": 1, "method": "initialize", "params": client},
            {"method": "notifications/initialized"},
            {"id": 2, "method": "tools/list", "params": {}},
        ):
            print(json.dumps({"jsonrpc": "2.0", **request}), file=agent.stdin, flush=True)
        answers = [json.loads(agent.stdout.readline())["result"] for _ in range(2)]
        agent.stdin.close()
    return _document({"instructions": answers[0]["instructions"], **answers[1]})


def _document(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


SURFACES: dict[str, Callable[[], str]] = {
    "help.txt": _help,
    "slash_commands.json": _slash_commands,
    "openapi.json": _openapi,
    "mcp_tools.json": _tools,
}


@pytest.mark.parametrize("name", SURFACES)
def test_surface_is_as_recorded(name: str) -> None:
    assert SURFACES[name]() == (RECORDED / name).read_text(), __doc__


def test_nothing_else_is_recorded() -> None:
    assert {path.name for path in RECORDED.iterdir()} == SURFACES.keys()


if __name__ == "__main__":
    for file, surface in SURFACES.items():
        (RECORDED / file).write_text(surface())
