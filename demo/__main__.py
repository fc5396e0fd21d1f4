"""`python -m demo`: show the main job on a sample stack, prove it from Docker, and remove everything."""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any, get_args

from docker.errors import DockerException

from demo.home import failure_output, start_bot
from demo.narrator import Narrator
from demo.processes import Process, ProcessError, start_sandbox
from demo.scene import StoryError
from demo.stage import Plant, Stage
from demo.story import Story
from demo.swarm.show import show_swarm
from roas.concurrency import end_tasks
from sandbox.client import SandboxClient
from sandbox.errors import ControlError
from testbed.engine import Engine, NoEngineError, find_or_start_engine
from testbed.git_server import git_server
from testbed.images import ImageError
from testbed.interruption import end_as_by_ctrl_c
from testbed.network import NoSlotError
from testbed.slot_holder import DaemonError

FAILED = 1
NO_ENGINE = 69  # EX_UNAVAILABLE
INTERRUPTED = 130


def main() -> int:
    """Read the command line, play, and return the exit code."""
    parser = argparse.ArgumentParser(prog="script/demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="stay up afterwards, to look around, until Ctrl-C")
    parser.add_argument("--swarm", action="store_true", help="on three managers, of which that with the bot dies")
    parser.add_argument(
        "--plant",
        choices=get_args(Plant),
        help="break a promise on purpose, to see that the demo notices and fails",
    )
    arguments = parser.parse_args()
    narrator = Narrator()
    end_as_by_ctrl_c()
    try:
        with tempfile.TemporaryDirectory(prefix="roas-demo-") as folder, ExitStack() as stack:
            if arguments.swarm:
                return show_swarm(narrator, Path(folder), keep=arguments.keep)
            engine = stack.enter_context(_engine(narrator, Path(folder)))
            return asyncio.run(_show(narrator, Stage(engine, Path(folder)), arguments.plant, keep=arguments.keep))
    except KeyboardInterrupt:
        narrator.note("Interrupted. Everything was cleared away.")
        return INTERRUPTED
    except (NoEngineError, DaemonError, NoSlotError) as error:
        narrator.failed(str(error))
        return NO_ENGINE
    except (StoryError, ProcessError, ControlError, ImageError, DockerException, TimeoutError) as error:
        narrator.failed(str(error))
        return FAILED


@contextmanager
def _engine(narrator: Narrator, folder: Path) -> Iterator[Engine]:
    # With the machine's own name servers: the bot's image is built here, which may want packages.
    with find_or_start_engine(folder / "engine", settings={"dns": []}) as engine:
        whose = (
            "a private Docker Engine, started for this demo"
            if engine.private
            else f"the engine at {engine.docker_host}"
        )
        narrator.note(f"Using {whose}.")
        yield engine


async def _show(narrator: Narrator, stage: Stage, plant: Plant | None, *, keep: bool) -> int:
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_clear, narrator, stage)
        narrator.note(
            f"Making the sample stack {stage.project}: images v1 and v2, and v3, which never becomes healthy."
        )
        narrator.note("Building the bot's own image, which takes a minute the first time.")
        await asyncio.to_thread(stage.build, plant)
        sandbox, address = await start_sandbox(stage.engine.host_address(), stage.folder)
        stack.push_async_callback(sandbox.stop)
        host = stage.engine.host_address()
        stage.follow(await stack.enter_async_context(git_server(stage.folder / "git", host)))
        await asyncio.to_thread(start_bot, stage, address)
        narrator.note(f"A sandbox runs in Discord's place, and the bot in a container, as project {stage.name}.")
        people = await stack.enter_async_context(SandboxClient(address["control_url"], address["control_token"]))
        # Where the new bot is at fault, only the chapters of the bot can show it.
        story = Story(stage, people, narrator, only_bot=plant == "bot-v2-deaf")
        await _play(story, sandbox)
        await _check_violations(people)
        narrator.summary(time.monotonic() - began, story.seen)
        if keep:
            await _keep_running(narrator, stage, address, sandbox)
    return 0


async def _play(story: Story, sandbox: Process) -> None:
    """Play the story; a sandbox that dies meanwhile ends it at once, with its failure output."""
    play = asyncio.create_task(story.play())
    death = asyncio.create_task(sandbox.child.wait())
    try:
        await asyncio.wait({play, death}, return_when=asyncio.FIRST_COMPLETED)
        sandbox.check()
        await play
    except (StoryError, TimeoutError) as error:
        text = await asyncio.to_thread(failure_output, story.stage)
        raise StoryError(f"{error}\n\nThe bot's last output:\n{text}") from error
    finally:
        await end_tasks(play, death)


async def _check_violations(people: SandboxClient) -> None:
    if violations := await people.violations():
        raise StoryError(f"the bot sent what Discord would refuse: {violations[:3]}")


async def _keep_running(narrator: Narrator, stage: Stage, address: dict[str, Any], sandbox: Process) -> None:
    """Stay until Ctrl-C, which is the ordinary end of this and no interruption."""
    narrator.console.print(f"\nThe channel: [bold]{address['page_url']}[/bold]", soft_wrap=True)
    narrator.console.print(f"The stack:   [bold]{stage.stack}[/bold] (project {stage.project})", soft_wrap=True)
    narrator.console.print(f"The bot:     [bold]{stage.home}[/bold] (project {stage.name})", soft_wrap=True)
    narrator.console.print(f"The engine:  [bold]DOCKER_HOST={stage.engine.docker_host}[/bold]", soft_wrap=True)
    narrator.console.print("Ctrl-C ends it and clears everything away.")
    try:
        await sandbox.child.wait()
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        return
    sandbox.check()


async def _clear(narrator: Narrator, stage: Stage) -> None:
    narrator.note("Clearing away what was made.")
    await asyncio.to_thread(stage.clear)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
