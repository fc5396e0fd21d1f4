"""What is asked for on the command line is carried by the bot, and shows in the channel like any other."""

import asyncio
import os
import subprocess

import pytest

from testbed.preloaded import PreloadedPopen
from tests.e2e.wire.bot_process import ROOT
from tests.integration.sandbox.channel import live, outcome

pytestmark = pytest.mark.wire


async def roas(settings: dict[str, str], *arguments: str, module: str = "roas") -> tuple[int, str]:
    """Type a command where the bot's settings are, and return its exit code and what it said."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **settings}
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


async def test_command_line_deploy_shown_in_channel(bot, bot_settings, people, shop, image_ids):
    """The bot carries it out; and where none lives, the next one posts what the command line carried out itself."""
    shop.write(alone=True)
    code, said = await roas(bot_settings, "deploy", "dev", "v1")
    assert code == 0, said
    assert "in the bot" in said
    deployment_id = said.partition("Started ")[2].split()[0]
    assert "succeeded" in (await outcome(people, deployment_id)).text
    assert "completion" in (await live(people, deployment_id, "completion")).text
    assert shop.running("dev") == {"web": image_ids["v1"]}
    assert await bot.stop() == 0
    code, said = await roas(bot_settings, "deploy", "dev", "v2")
    assert code == 0, said
    assert "in the bot" not in said
    deployment_id = said.partition("Started ")[2].split()[0].rstrip(".")
    await bot.start()
    assert "succeeded" in (await outcome(people, deployment_id)).text
    assert shop.running("dev") == {"web": image_ids["v2"]}
