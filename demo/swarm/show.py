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
from testbed.bot_service import BotServiceError


def show_swarm(narrator: Narrator, folder: Path, *, keep: bool) -> int:
    """Play on three nodes. Raises StoryError where something goes another way than promised."""
    narrator.note("Starting three Docker Engines in network namespaces, a Swarm of them, a registry and a git server.")
    return asyncio.run(_show(narrator, folder, keep=keep))


async def _show(narrator: Narrator, folder: Path, *, keep: bool) -> int:
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(swarm_stage(folder))
        sandbox, address = await start_sandbox(stage.swarm.host_address, folder)
        stack.push_async_callback(sandbox.stop)
        narrator.note("A sandbox runs in Discord's place. Building the bot's image, and starting it as a service.")
        people = await stack.enter_async_context(SandboxClient(address["control_url"], address["control_token"]))
        try:
            await asyncio.to_thread(stage.start_bots, address)
        except BotServiceError as error:
            raise StoryError(f"{error}\n{_last_output(stage)}") from error
        play = asyncio.create_task(SwarmStory(stage, people, narrator).play())
        death = asyncio.create_task(sandbox.child.wait())
        try:
            await asyncio.wait({play, death}, return_when=asyncio.FIRST_COMPLETED)
            sandbox.check()
            await play
        except (StoryError, TimeoutError) as error:
            raise StoryError(f"{error}\n{await asyncio.to_thread(_last_output, stage)}") from error
        finally:
            await end_tasks(play, death)
        if violations := await people.violations():
            raise StoryError(f"the bot sent what Discord would refuse: {violations[:3]}")
        narrator.summary(time.monotonic() - began)
        if keep:
            manager = next(node for node in stage.swarm.nodes if node.pid is not None)
            narrator.console.print(f"\nThe channel: [bold]{address['page_url']}[/bold]", soft_wrap=True)
            narrator.console.print(f"A manager:   [bold]DOCKER_HOST={manager.docker_host}[/bold]", soft_wrap=True)
            narrator.console.print("Ctrl-C ends it and clears everything away.")
            await sandbox.child.wait()
        narrator.note("Clearing away what was made.")
    return 0


def _last_output(stage: SwarmStage, lines: int = 25) -> str:
    """Return the last output of each bot that runs."""
    return "\n".join(f"\nThe bot on {task.node.hostname}:\n{task.log(lines)}" for task in stage.bots.tasks())
