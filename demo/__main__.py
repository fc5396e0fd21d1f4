"""`python -m demo`: show the main job on a sample stack, prove it from Docker, and clear everything away."""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

from docker.errors import DockerException

from demo.processes import Process, ProcessError, start_bot, start_sandbox
from demo.stage import Plant, Stage
from demo.story import Story, StoryError
from demo.telling import Teller
from sandbox.client import SandboxClient
from sandbox.errors import ControlError
from testbed.daemon import DaemonError
from testbed.engine import Engine, NoEngineError, find_or_start_engine
from testbed.images import ImageError
from testbed.network import NoSlotError

FAILED = 1
NO_ENGINE = 69  # EX_UNAVAILABLE
INTERRUPTED = 130


def main() -> int:
    """Read the command line, play, and return the exit code."""
    parser = argparse.ArgumentParser(prog="script/demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="stay up afterwards, to look around, until Ctrl-C")
    parser.add_argument(
        "--plant",
        choices=["v3-healthy", "v2-broken"],
        help="break a promise on purpose, to see that the demo notices and fails",
    )
    arguments = parser.parse_args()
    teller = Teller()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="roas-demo-") as folder, _engine(teller, Path(folder)) as engine:
            return asyncio.run(_show(teller, Stage(engine, Path(folder)), arguments.plant, keep=arguments.keep))
    except KeyboardInterrupt:
        teller.note("Interrupted. Everything was cleared away.")
        return INTERRUPTED
    except (NoEngineError, DaemonError, NoSlotError) as error:
        teller.failed(str(error))
        return NO_ENGINE
    except (StoryError, ProcessError, ControlError, ImageError, DockerException, TimeoutError) as error:
        teller.failed(str(error))
        return FAILED


def _interrupt(*_: Any) -> None:
    """Treat SIGTERM as Ctrl-C, which asyncio turns into an orderly end."""
    signal.raise_signal(signal.SIGINT)


@contextmanager
def _engine(teller: Teller, folder: Path) -> Iterator[Engine]:
    with find_or_start_engine(folder / "engine") as engine:
        whose = (
            "a private Docker Engine, started for this demo"
            if engine.private
            else f"the engine at {engine.docker_host}"
        )
        teller.note(f"Using {whose}.")
        yield engine


async def _show(teller: Teller, stage: Stage, plant: Plant | None, *, keep: bool) -> int:
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_clear, teller, stage)
        teller.note(f"Making the sample stack {stage.project}: images v1 and v2, and v3, which never becomes healthy.")
        await asyncio.to_thread(stage.build, plant)
        sandbox, address = await start_sandbox(stage)
        stack.push_async_callback(sandbox.stop)
        bot = await start_bot(stage, address)
        stack.push_async_callback(bot.stop)
        teller.note(
            f"A sandbox in Discord's place and the bot run as processes {sandbox.child.pid} and {bot.child.pid}."
        )
        people = await stack.enter_async_context(SandboxClient(address["control_url"], address["control_token"]))
        await _play(Story(stage, people, teller), bot, sandbox)
        await _nothing_broke_discords_rules(people)
        teller.summary(time.monotonic() - began)
        if keep:
            await _stay(teller, stage, address, bot)
    return 0


async def _play(story: Story, *processes: Process) -> None:
    """Play the story; a process that dies meanwhile ends it at once, with its last words."""
    play = asyncio.create_task(story.play())
    deaths = {asyncio.create_task(process.child.wait()): process for process in processes}
    try:
        await asyncio.wait({play, *deaths}, return_when=asyncio.FIRST_COMPLETED)
        for process in processes:
            process.check()
        await play
    except (StoryError, TimeoutError) as error:
        raise StoryError(f"{error}\n\nThe bot's last words:\n{processes[0].tail()}") from error
    finally:
        for task in (play, *deaths):
            task.cancel()
        await asyncio.gather(play, *deaths, return_exceptions=True)


async def _nothing_broke_discords_rules(people: SandboxClient) -> None:
    if violations := await people.violations():
        raise StoryError(f"the bot sent what Discord would refuse: {violations[:3]}")


async def _stay(teller: Teller, stage: Stage, address: dict[str, Any], bot: Process) -> None:
    teller.console.print(f"\nThe channel: [bold]{address['page_url']}[/bold]", soft_wrap=True)
    teller.console.print(f"The stack:   [bold]{stage.stack}[/bold] (project {stage.project})", soft_wrap=True)
    teller.console.print(f"The engine:  [bold]DOCKER_HOST={stage.engine.docker_host}[/bold]", soft_wrap=True)
    teller.console.print("Ctrl-C ends it and clears everything away.")
    await bot.child.wait()
    bot.check()


async def _clear(teller: Teller, stage: Stage) -> None:
    teller.note("Clearing away what was made.")
    await asyncio.to_thread(stage.clear)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
