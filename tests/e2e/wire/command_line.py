"""The command line in a bot's container."""

import asyncio
import subprocess

from testbed.inherited import chosen_programs
from testbed.preloaded import PreloadedPopen
from tests.e2e.wire.bot_process import ROOT


async def roas(settings: dict[str, str], *arguments: str, module: str = "roas") -> tuple[int, str]:
    """Type a command where the bot's settings are, and return its exit code and what it said."""
    environment = {**chosen_programs(), "PYTHONPATH": str(ROOT), **settings}
    child = PreloadedPopen(
        [module, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    out, _ = await asyncio.to_thread(child.communicate)
    return child.returncode, out
