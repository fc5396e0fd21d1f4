"""Show the story on a Swarm, and remove everything."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

from demo.narrator import Narrator
from demo.processes import start_sandbox
from demo.scene import StoryError
from demo.swarm.stage import SwarmStage, swarm_stage
from demo.swarm.story import SwarmStory
from roas.concurrency import end_tasks
from sandbox.client import SandboxClient


def show_swarm(narrator: Narrator, folder: Path, *, keep: bool) -> int:
    """Play on three nodes. Raises StoryError where something goes another way than promised."""
    narrator.note("Starting three Docker Engines in network namespaces, a Swarm of them, and a registry.")
    with swarm_stage(folder) as stage:
        return asyncio.run(_show(narrator, stage, keep=keep))


async def _show(narrator: Narrator, stage: SwarmStage, *, keep: bool) -> int:
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        sandbox, address = await start_sandbox(stage.host_address(), stage.folder)
        stack.push_async_callback(sandbox.stop)
        bot = await stage.start_bot(address)
        stack.push_async_callback(bot.stop)
        narrator.note("A sandbox runs in Discord's place, and the bot beside the first node, which is the manager.")
        people = await stack.enter_async_context(SandboxClient(address["control_url"], address["control_token"]))
        play = asyncio.create_task(SwarmStory(stage, people, narrator).play())
        ends = [asyncio.create_task(item.child.wait()) for item in (sandbox, bot)]
        try:
            await asyncio.wait({play, *ends}, return_when=asyncio.FIRST_COMPLETED)
            sandbox.check()
            bot.check()
            await play
        except (StoryError, TimeoutError) as error:
            raise StoryError(f"{error}\n\nThe bot's last output:\n{bot.tail()}") from error
        finally:
            await end_tasks(play, *ends)
        if violations := await people.violations():
            raise StoryError(f"the bot sent what Discord would refuse: {violations[:3]}")
        narrator.summary(time.monotonic() - began)
        if keep:
            narrator.console.print(f"\nThe channel: [bold]{address['page_url']}[/bold]", soft_wrap=True)
            narrator.console.print(f"The manager: [bold]DOCKER_HOST={stage.swarm.docker_host}[/bold]", soft_wrap=True)
            narrator.console.print("Ctrl-C ends it and clears everything away.")
            await sandbox.child.wait()
    narrator.note("Clearing away what was made.")
    return 0
