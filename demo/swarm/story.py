"""The story on three managers; each time Docker is asked on each node that lives what runs then."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from demo.narrator import Narrator
from demo.scene import DEPLOYMENT_ID, Scene, StoryError
from demo.swarm.loss import Loss, lose_leader
from demo.swarm.stage import ENVIRONMENT, SwarmStage
from sandbox.client import SandboxClient
from testbed.bot_service import BotTask
from testbed.waiting import wait_until

CONNECT_SECONDS = 60.0
COMMANDS = ("deploy", "rollback", "status")
# It is under way when the leader dies, and over before another one leads.
MIGRATION_SECONDS = 10
SETTLED_SECONDS = 60.0
LEADS_WITHIN_SECONDS = 60.0
REPLICAS = 2


@dataclass(frozen=True)
class SwarmStory:
    """Play the story with the people of the sandbox."""

    stage: SwarmStage
    people: SandboxClient
    narrator: Narrator

    async def play(self) -> None:
        """Play every chapter; the first that goes wrong ends it with an error."""
        await self._two_bots()
        first, second = "Hello from v1.", "Greetings from v2!"
        await self._chapter("v1, the first deployment ever", "deploy", "v1", first, version="v1")
        await self._commit("v3 was here.")
        await self._chapter(
            "v3 ends at once: Swarm rolls it back, and the bot says so and rolls back the rest",
            *("deploy", "v1", first, "was rolled back"),
            version="v3",
        )
        await self._commit(second, migration_seconds=MIGRATION_SECONDS)
        await self._chapter_without_leader(second)
        await self._chapter(
            "Back to v1 by hand, by the bot that leads now", "rollback", "v1", first, to="1", reason="enough"
        )
        await self._status()

    async def _two_bots(self) -> None:
        """Say where the bots are; the lease that says who leads is a config of the Swarm."""
        self.narrator.chapter("The bot is a service of the Swarm: a leader, and a standby on another manager")
        await self.people.wait_for_commands(*COMMANDS, deadline_seconds=CONNECT_SECONDS)
        leader, standby = await asyncio.to_thread(self.stage.bots.wait_for_both, CONNECT_SECONDS)
        self.narrator.proved(
            "the bot", (f"leads on {leader.node.hostname}", f"stands by on {standby.node.hostname}"), None
        )

    async def _commit(self, greeting: str, *, migration_seconds: int = 0) -> None:
        await asyncio.to_thread(self.stage.commit, greeting, migration_seconds=migration_seconds)

    async def _chapter(
        self, title: str, command: str, runs: str, greeting: str, ending: str = "succeeded", **options: Any
    ) -> None:
        self.narrator.chapter(title)
        began = time.monotonic()
        await Scene(self.people, self.narrator).run(command, ENVIRONMENT, ending, **options)
        await self._prove(runs, greeting, time.monotonic() - began)

    async def _chapter_without_leader(self, greeting: str) -> None:
        """Kill all of the leader's node while v2's migration runs: its web is next."""
        view = self.stage.view
        self.narrator.chapter("v2, while the leader's node dies in the middle")
        began, runs = time.monotonic(), await asyncio.to_thread(view.runs_of_job, "migrate")

        def is_migrating() -> bool:
            return view.runs_of_job("migrate") > runs

        def announce(leader: BotTask) -> None:
            self.narrator.note(f"{leader.node.hostname} is dead: its engine, all its containers, and the bot that led.")

        losing = asyncio.create_task(asyncio.to_thread(lose_leader, self.stage, is_migrating, announce))
        loss = await self._outcome_and(losing)
        ended = time.monotonic()
        self._judge(loss, ended)
        await self._check_each_outcome_posted_once()
        await self._prove("v2", greeting, ended - began)

    async def _outcome_and(self, losing: Awaitable[Loss | None]) -> Loss:
        try:
            await Scene(self.people, self.narrator).run("deploy", ENVIRONMENT, "succeeded", version="v2")
        finally:
            loss = await losing
        if loss is None:
            raise StoryError("the leader's node was not lost: no bot led, or the migration never ran")
        return loss

    def _judge(self, loss: Loss, ended: float) -> None:
        """Print the times. Raises StoryError where something of the node is left, or nobody leads in time."""
        if loss.left:
            raise StoryError(f"{loss.left} processes of {loss.lost.node.hostname} are left")
        if loss.noticed is None or loss.led is None or loss.successor is None:
            raise StoryError("Swarm did not notice that the node is lost, or no other bot leads")
        noticed, led = loss.noticed - loss.died, loss.led - loss.died
        if led - noticed > LEADS_WITHIN_SECONDS:
            raise StoryError(f"another bot leads {led - noticed:.0f} s after Swarm had noticed")
        self.narrator.note(
            f"After the death of {loss.lost.node.hostname}: Swarm noticed in {noticed:.1f} s, the bot on "
            f"{loss.successor.node.hostname} led in {led:.1f} s, and the deployment ended in {ended - loss.died:.1f} s."
        )

    async def _check_each_outcome_posted_once(self) -> None:
        """Ask the channel how often each outcome was posted. Raises StoryError."""
        texts = [message.text for message in await self.people.messages() if "· outcome" in message.text]
        outcomes = [found.group() for text in texts if (found := DEPLOYMENT_ID.search(text.splitlines()[-1]))]
        if len(outcomes) != len(set(outcomes)) or len(outcomes) != len(self.narrator.chapters) - 1:
            raise StoryError(f"these outcomes are in the channel: {outcomes}")

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
