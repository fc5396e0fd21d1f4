"""The stack that the hands are laid on: its lane, its images to bring back, and what is to be seen of it."""

import asyncio
import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from campaigns.crash.images import COMMANDS, STORE
from campaigns.crash.lane import AWAY, ENVIRONMENT, OUTCOME, Lane, opened_lane
from campaigns.hands.clock import prepare_clock
from campaigns.hands.judge import View, breaches, docker_breaches
from sandbox.client import SandboxClient
from testbed.home_stack import IMAGE

# More than validation wants to be free.
STATE_BYTES = 1 << 30
LOOK_SECONDS = 0.5
SAVED = "images.tar"


@dataclass(slots=True)
class Ground:
    """Hold the lane, and what images mean."""

    lane: Lane
    folder: Path
    versions: dict[str, str] = field(default_factory=dict)
    # The deployments that the command line last said have ended.
    ended: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.versions = self._versions()

    def save_images(self) -> None:
        """Keep every image in a file: a prune takes all that nothing uses."""
        tags = [f"{name}:{version}" for version in COMMANDS for name in (IMAGE, STORE)]
        self.docker("save", "--output", str(self.folder / SAVED), *tags)

    def load_images(self) -> None:
        """Bring back what a prune took."""
        self.docker("load", "--quiet", "--input", str(self.folder / SAVED))

    def docker(self, *arguments: str, check: bool = True) -> str:
        """Type a Docker command."""
        command = ["docker", "--host", self.lane.home.engine.docker_host, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if check and done.returncode != 0:
            raise RuntimeError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def roas(self, *arguments: str) -> str | None:
        """Type a command of ours in the newest bot's container; None where none answers."""
        for bot in self.lane.home.bots():
            code, output = bot.exec_run(["roas", *arguments], demux=True)
            if code == 0:
                return str((output[0] or b"").decode())
        return None

    async def settle(self, seconds: float) -> tuple[float, tuple[str, ...]]:
        """Wait until nothing is wrong any more; returns how long that took, and what is still wrong."""
        begun = time.monotonic()
        while True:
            wrong = await self._look()
            took = time.monotonic() - begun
            if not wrong or took > seconds:
                return took, wrong
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> tuple[str, ...]:
        try:
            containers = await asyncio.to_thread(self.lane.finder.containers)
            view = View(containers, self.versions)
            if wrong := docker_breaches(view):
                return wrong
            status, ended = await asyncio.to_thread(self._ask)
            self.ended |= frozenset(ended)
            return breaches(View(containers, self.versions, status, ended, await self._told()))
        except (*AWAY, ValueError) as error:
            return (f"the stack cannot be looked at: {error}",)

    def _ask(self) -> tuple[Any, tuple[str, ...]]:
        said = self.roas("status", ENVIRONMENT, "--json")
        listed = self.roas("history", ENVIRONMENT, "--limit", "20", "--json")
        if said is None or listed is None:
            return None, ()
        ended = (one["id"] for one in json.loads(listed)["deployments"] if one["outcome"] is not None)
        return json.loads(said)["environments"][0], tuple(ended)

    async def _told(self) -> Counter[str]:
        discord = self.lane.discord
        async with SandboxClient(discord["control_url"], discord["control_token"]) as people:
            return Counter(found[1] for one in await people.messages() if (found := OUTCOME.search(one.text)))

    def _versions(self) -> dict[str, str]:
        images = self.lane.home.client.images
        return {str(images.get(f"{name}:{one}").id): one for one in COMMANDS for name in (IMAGE, STORE)}


@contextmanager
def opened_ground(folder: Path, *, plant: str = "") -> Iterator[Ground]:
    """Lay the stack out, its state folder on a small disk of its own; nothing runs yet."""
    with opened_lane("hands", folder, plant=plant) as lane:
        disk = ["-t", "tmpfs", "-o", f"size={STATE_BYTES},mode=0700", "roas-hands", str(lane.state_dir)]
        subprocess.run(["mount", *disk], check=True, timeout=30)
        try:
            with (lane.home.folder / ".env").open("a") as settings:
                settings.write(prepare_clock(lane.home.folder) + "\n")
            ground = Ground(lane, folder)
            ground.save_images()
            yield ground
        finally:
            subprocess.run(["umount", "--lazy", str(lane.state_dir)], check=False, timeout=30)
