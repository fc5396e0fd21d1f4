"""A bot that was started by hand goes on when its terminal is closed or held, and still stops when it is told to."""

import asyncio
import signal
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from sandbox.client import SandboxClient
from testbed.inherited import inherited
from testbed.terminal import CTRL_S, Terminal, terminal
from tests.e2e.wire.bot_process import ROOT
from tests.integration.sandbox.channel import ask

pytestmark = [pytest.mark.wire, pytest.mark.long]

CONNECT_SECONDS = 120.0
STOP_SECONDS = 20.0


async def test_bot_outlives_its_terminal(bot_settings, people, tmp_path):
    with bot_in_terminal(bot_settings, tmp_path) as opened:
        await connected(people)
        opened.close()
        for _ in range(2):  # what it logs of the first one goes nowhere, and may not break it
            assert "nothing" in (await ask(people, "bob", "status", environment="dev")).lower()
        opened.process.send_signal(signal.SIGHUP)
        assert "nothing" in (await ask(people, "bob", "status", environment="dev")).lower()
        opened.process.send_signal(signal.SIGQUIT)
        assert await asyncio.to_thread(opened.process.wait, STOP_SECONDS) == 0


async def test_held_terminal_holds_no_bot(bot_settings, people, tmp_path):
    """Somebody pressed Ctrl-S, or the connection hangs: the kernel lets nobody write there until it goes on."""
    with bot_in_terminal(bot_settings, tmp_path) as opened:
        await connected(people)
        opened.press(CTRL_S)
        for _ in range(2):
            opened.process.send_signal(signal.SIGHUP)  # which it logs
            assert "nothing" in (await ask(people, "bob", "status", environment="dev")).lower()
        opened.process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(opened.process.wait, STOP_SECONDS) == 0


async def connected(people: SandboxClient) -> None:
    """Wait until a command is answered: it can be typed before the bot hears of it by its gateway."""
    await people.wait_for_commands("status", deadline_seconds=CONNECT_SECONDS)
    await people.wait_until_connected(CONNECT_SECONDS)


def bot_in_terminal(settings: dict[str, str], folder: Path) -> AbstractContextManager[Terminal]:
    """Start the bot by hand."""
    environment = {**inherited(), "PYTHONPATH": str(ROOT), "TERM": "xterm", **settings}
    return terminal([sys.executable, "-m", "roas"], environment, folder)
