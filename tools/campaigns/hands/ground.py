"""The stack that the hands are laid on: its lane, its images to bring back, and what is to be seen of it."""

import asyncio
import json
import re
import subprocess
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker.errors

from roas.alerts.drift_alerts import alert_title
from sandbox.client import SandboxClient
from sandbox.views import Message
from testbed.daemon import PrivateDaemon
from tools.campaigns.crash.lane import AWAY, ENVIRONMENT, OUTCOME, Lane, opened_lane
from tools.campaigns.hands.images import REDIS_TAG, TAGS, versions, with_redis
from tools.campaigns.hands.judge import View, breaches, docker_breaches
from tools.campaigns.hands.library import prepare_library

# More than validation wants to be free.
STATE_BYTES = 1 << 30
LOOK_SECONDS = 0.5
ROUNDS_READ = 6
NEWEST = ("--limit", "5")
BETWEEN = "\0"
# One program for all of them: its start is most of what a command costs.
TYPE = f"""
import sys
from roas.cli import run_command_line
for typed in sys.argv[1:]:
    if code := run_command_line(typed.split()):
        sys.exit(code)
    print(end={BETWEEN!r}, flush=True)
"""
SAVED = "images.tar"
RESOLVED = "✅"
UNDER_WAY = re.compile(r"` (waiting|pending|pulling|building|creating|starting|removing|restoring)\b")


@dataclass(frozen=True, slots=True)
class Left:
    """Hold what is on the engine and on the disk after a round, however many were before it."""

    image_names: int
    files: int


@dataclass(slots=True)
class Ground:
    """Hold the lane, and what images mean."""

    lane: Lane
    folder: Path
    versions: dict[str, str] = field(default_factory=dict)
    # How deployments ended, by what the command line last said.
    outcomes: dict[str, str] = field(default_factory=dict)
    # How many rounds this stack has been through.
    rounds: int = 0
    # The newest message when each of the latest rounds began: what is older is not read again.
    marks: deque[int] = field(default_factory=lambda: deque(maxlen=ROUNDS_READ))
    begun: int = 0
    # In which round each deployment was first seen to have ended.
    seen: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.versions = self._versions()

    def save_images(self) -> None:
        """Keep every image in a file: a prune takes all that nothing uses."""
        self.docker("save", "--output", str(self.folder / SAVED), *TAGS, REDIS_TAG)

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

    def roas(self, *commands: Sequence[str]) -> list[Any] | None:
        """Type commands of ours in the newest bot's container; returns the JSON of each, or None where none answers."""
        for bot in self.lane.home.bots():
            try:
                code, output = bot.exec_run(["python", "-c", TYPE, *map(" ".join, commands)], demux=True)
            except docker.errors.APIError:  # it ends at this moment
                continue
            if code == 0:
                return [json.loads(part) for part in (output[0] or b"").decode().split(BETWEEN) if part]
        return None

    def people(self) -> SandboxClient:
        """Connect to the channel."""
        discord = self.lane.discord
        return SandboxClient(discord["control_url"], discord["control_token"])

    async def begin(self) -> None:
        """Remember where the channel is before a round."""
        self.begun += 1
        self.marks.append(
            max((message.id for message in await self._messages()), default=self.marks[-1] if self.marks else 0)
        )

    async def told(self) -> Counter[str]:
        """Return how often the channel has the outcome of each deployment."""
        return Counter(found[1] for message in await self._messages() if (found := OUTCOME.search(message.text)))

    def left(self) -> Left:
        """Count what rounds leave behind: names of images, and files in the state folder."""
        images = self.lane.home.client.images.list()
        files = sum(path.is_file() for path in self.lane.state_dir.rglob("*"))
        return Left(sum(len(image.tags) for image in images), files)

    async def settle(
        self, seconds: float, asked: str = "", *, by_hand: bool = False, may_fail: bool = False
    ) -> tuple[float, tuple[str, ...]]:
        """Wait until nothing is wrong any more, twice; returns how long that took, and what is still wrong.

        A fault may not have shown at the first look. `asked` is a deployment that must have ended, and needs no
        operator unless it `may_fail`.
        """
        begun, well_after = time.monotonic(), None
        while True:
            looked = time.monotonic()
            wrong = await self._look(asked, by_hand=by_hand)
            if not wrong and self.outcomes.get(asked) == "failed" and not may_fail:
                wrong = (f"channel: {asked} has failed, and needs an operator",)
            took = time.monotonic() - begun
            if wrong and took > seconds:
                return took, wrong
            if not wrong and well_after is not None:
                return well_after, ()
            well_after = None if wrong else took
            # Who is looked at needs the machine, too, and a look by the command line takes a core for seconds.
            await asyncio.sleep(max(LOOK_SECONDS, time.monotonic() - looked))

    async def _look(self, asked: str, *, by_hand: bool) -> tuple[str, ...]:
        try:
            containers = await asyncio.to_thread(self.lane.finder.containers)
            view = View(containers, self.versions, by_hand=by_hand)
            if wrong := docker_breaches(view):
                return wrong
            # The command line takes a second of a processor: it is asked once the rest is well.
            if asked and not (await self.told())[asked]:
                return (f"channel: the outcome of {asked} is not there",)
            status, ended = await asyncio.to_thread(self._ask)
            told, messages = await self.told(), await self._messages(everything=by_hand)
            alerted = any(
                alert_title(ENVIRONMENT) in message.text and RESOLVED not in message.text for message in messages
            )
            unfinished = tuple(item for item in ended if not _is_finished(item, messages))
            return breaches(View(containers, self.versions, status, ended, told, asked, by_hand, alerted, unfinished))
        except (*AWAY, ValueError) as error:
            return (f"the stack cannot be looked at: {error}",)

    def _ask(self) -> tuple[Any, tuple[str, ...]]:
        said = self.roas(("status", ENVIRONMENT, "--json"), ("history", ENVIRONMENT, *NEWEST, "--json"))
        if said is None:
            return None, ()
        status, listed = said
        ended = {
            deployment["id"]: deployment["outcome"]
            for deployment in listed["deployments"]
            if deployment["outcome"] is not None
        }
        self.outcomes |= ended
        for item in ended:
            self.seen.setdefault(item, self.begun)
        recent = tuple(entry for entry in ended if self.seen[entry] > self.begun - ROUNDS_READ)
        return status["environments"][0], recent

    async def _messages(self, *, everything: bool = False) -> list[Message]:
        after = None if everything or len(self.marks) < ROUNDS_READ else self.marks[0]
        async with self.people() as people:
            return await people.messages(after=after)

    def _versions(self) -> dict[str, str]:
        images, found = self.lane.home.client.images, {}
        for tag in TAGS:
            found[str(images.get(tag).id)] = tag.rsplit(":", 1)[1]
        return found


def _is_finished(deployment_id: str, messages: Sequence[Message]) -> bool:
    """Return whether the live message of a deployment says how long it took, and nothing of what is under way."""
    for message in messages:
        ends = {deployment_id, f"{deployment_id} · outcome"}  # as long as it runs, or as the outcome that it became
        if any((embed.get("footer") or {}).get("text") in ends for embed in message.embeds):
            return "took" in message.text and UNDER_WAY.search(message.text) is None
    return False


@contextmanager
def opened_ground(
    folder: Path, *, plant: str = "", name: str = "hands", on: PrivateDaemon | None = None
) -> Iterator[Ground]:
    """Lay the stack out, its state folder on a small disk of its own; nothing runs yet. `on`: see `opened_lane`."""
    with opened_lane(name, folder, plant=plant, commands=versions(plant), beside=with_redis, on=on) as lane:
        disk = ["-t", "tmpfs", "-o", f"size={STATE_BYTES},mode=0700", "roas-hands", str(lane.state_dir)]
        subprocess.run(["mount", *disk], check=True, timeout=30)
        try:
            with (lane.home.folder / ".env").open("a") as settings:
                settings.write(prepare_library(lane.home.folder) + "\n")
            yield Ground(lane, folder)
        finally:
            subprocess.run(["umount", "--lazy", str(lane.state_dir)], check=False, timeout=30)
