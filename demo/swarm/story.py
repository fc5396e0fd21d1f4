"""The story on three nodes; each time Docker is asked on each of them what runs then."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from demo.narrator import Narrator
from demo.scene import Scene, StoryError
from demo.swarm.stage import ENVIRONMENT, SwarmStage
from sandbox.client import SandboxClient
from testbed.waiting import wait_until

CONNECT_SECONDS = 60.0
COMMANDS = ("deploy", "rollback", "status")
MOMENT_SECONDS = 60.0
# Longer than the managers of this Swarm take to notice that a node is lost.
MIGRATION_SECONDS = 8
SETTLED_SECONDS = 30.0
REPLICAS = 2


@dataclass(frozen=True)
class SwarmStory:
    """Play the story with the people of the sandbox."""

    stage: SwarmStage
    people: SandboxClient
    narrator: Narrator

    async def play(self) -> None:
        """Play every chapter; the first that goes wrong ends it with an error."""
        await self.people.wait_for_commands(*COMMANDS, deadline_seconds=CONNECT_SECONDS)
        first, second, fourth = "Hello from v1.", "Greetings from v2!", "v4 lost a node."
        await self._chapter("v1, the first deployment ever", "deploy", "v1", first, version="v1")
        self.stage.write_greeting(second)
        await self._chapter("v2: a new image, a changed configuration file", "deploy", "v2", second, version="v2")
        self.stage.write_greeting("v3 was here.")
        await self._chapter(
            "v3 ends at once: Swarm rolls it back, and the bot says so and rolls back the rest",
            *("deploy", "v2", second, "was rolled back"),
            version="v3",
        )
        self.stage.write_greeting(fourth)
        await self._chapter_with_lost_node(fourth)
        await self._chapter("Back to v1 by hand, with one node less", "rollback", "v1", first, to="1", reason="enough")
        await self._status()

    async def _chapter(
        self, title: str, command: str, runs: str, greeting: str, ending: str = "succeeded", **options: Any
    ) -> None:
        self.narrator.chapter(title)
        began = time.monotonic()
        await Scene(self.people, self.narrator).run(command, ENVIRONMENT, ending, **options)
        await self._prove(runs, greeting, time.monotonic() - began)

    async def _chapter_with_lost_node(self, greeting: str) -> None:
        """Kill a node's engine, with all its containers, while v4's migration runs: its web is next."""
        self.stage.write_settings(migration_seconds=MIGRATION_SECONDS)
        node, view = self.stage.lost_node, self.stage.view
        self.narrator.chapter(f"v4, while {node.hostname} dies in the middle")
        began, runs = time.monotonic(), view.runs_of_job("migrate")

        def lose() -> None:
            if wait_until(lambda: view.runs_of_job("migrate") > runs, MOMENT_SECONDS, poll=0.05):
                node.stop(kill=True)
                self.narrator.note(f"{node.hostname} is dead: its engine and all its containers.")

        dying = asyncio.create_task(asyncio.to_thread(lose))
        try:
            await Scene(self.people, self.narrator).run("deploy", ENVIRONMENT, "succeeded", version="v4")
        finally:
            await dying
        self.stage.write_settings()
        await self._prove("v4", greeting, time.monotonic() - began)

    async def _prove(self, version: str, greeting: str, seconds: float) -> None:
        """Ask the nodes that live, until Swarm has moved what was on another one."""
        view = self.stage.view
        seen: list[object] = []

        def is_so() -> bool:
            seen[:] = [view.versions("web"), view.inside("web", "/config/greeting"), view.versions("store")]
            return seen == [{version: REPLICAS}, {greeting}, {"v1": 1}]

        if not await asyncio.to_thread(wait_until, is_so, SETTLED_SECONDS):
            raise StoryError(f"Docker shows something else: web {seen[0]} with {seen[1]}, store {seen[2]}")
        nodes = ", ".join(await asyncio.to_thread(view.nodes_of, "web"))
        self.narrator.proved("web runs", (version, f"on {nodes}", f"“{greeting}”"), seconds)

    async def _status(self) -> None:
        self.narrator.chapter("The status, asked by somebody without a role")
        interaction = await self.people.slash("bob", "status", environment=ENVIRONMENT)
        self.narrator.typed("bob", f"/status {ENVIRONMENT}")
        status = await Scene(self.people, self.narrator).answer(interaction, "/status")
        self.narrator.answered(status.text, "answer to bob")
        if missing := [word for word in ("web", "store", "v1") if word not in status.text]:
            raise StoryError(f"/status does not mention {', '.join(missing)}")
