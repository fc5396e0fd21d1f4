"""The story: a sample stack is deployed, then the bot deploys itself; each time Docker is asked what runs then."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from demo.narrator import Narrator
from demo.proof import Expected, NotProvedError, Running, inspect_project, prove, prove_bot
from demo.scene import Scene, StoryError
from demo.stage import ENVIRONMENT, HOME, PREVIEW, Stage
from sandbox.client import SandboxClient
from sandbox.poller import PollResults, polling
from sandbox.views import Message

CONNECT_SECONDS = 60.0
COMMANDS = ("deploy", "hotfix", "rollback", "status")
# What is asked all the while that the bot is replaced. A status would take 50 ms of a core each time.
ASKED = "history"
EVERY_SECONDS = 0.2
PROPOSAL_SECONDS = 30.0
SHORT_SHA = 7
SHORT_ID = 19  # sha256: and twelve digits


@dataclass
class Story:
    """Play the story with the people of the sandbox."""

    stage: Stage
    people: SandboxClient
    narrator: Narrator
    only_bot: bool = False
    store_id: str = ""
    # How those were answered who asked while the bot was replaced.
    seen: PollResults = field(default_factory=lambda: PollResults(()))

    async def play(self) -> None:
        """Play every chapter; the first that goes wrong ends it with an error."""
        await self.people.wait_for_commands(*COMMANDS, deadline_seconds=CONNECT_SECONDS)
        if not self.only_bot:
            await self._sample_stack()
        await self._bot_itself()
        if not self.only_bot:
            await self._push()

    async def _sample_stack(self) -> None:
        first = Expected("v1", self.stage.image_ids["v1"], "Hello from v1.")
        second = Expected("v2", self.stage.image_ids["v2"], "Greetings from v2!")

        await self._chapter("v1, the first deployment ever", "deploy", first, "succeeded", version="v1")

        self.stage.write_greeting(second.greeting)
        await self._chapter(
            "v2: a new image, a changed configuration file", "deploy", second, "succeeded", version="v2"
        )

        self.stage.write_greeting("v3 was here.")
        await self._chapter(
            "v3 turns out unhealthy: rolled back by itself",
            "deploy",
            second,
            "was rolled back",
            version="v3",
        )

        await self._chapter(
            "Back to v1 by hand: its image and its configuration",
            "rollback",
            first,
            "succeeded",
            reason="v1 was nicer",
        )
        await self._status(first)

    async def _bot_itself(self) -> None:
        await self._replace_bot("The bot replaces itself by a new version", "v2", "succeeded", left="v2")
        await self._replace_bot("Its v3 does not even start: the old bot stays", "v3", "was rolled back", left="v2")

    async def _push(self) -> None:
        """Push a commit, tell the bot as a forge does, and see it proposed in the channel; nothing is deployed."""
        self.narrator.chapter("A push becomes a proposal")
        greeting = "Greet from git"
        commit = await asyncio.to_thread(self.stage.push, greeting)
        began = time.monotonic()
        answered = await asyncio.to_thread(self.stage.announce, commit)
        self.narrator.note(f"Ada pushes {commit[:SHORT_SHA]}, and the forge's webhook is answered: {answered}")

        def is_proposal(message: Message) -> bool:
            can_deploy = any(":take:" in (button.custom_id or "") for button in message.buttons)
            return can_deploy and f"New version for {PREVIEW}" in message.text and greeting in message.text

        shown = await self.people.wait_for_message(is_proposal, deadline_seconds=PROPOSAL_SECONDS)
        self.narrator.posted(shown.text)
        if await asyncio.to_thread(inspect_project, self.stage, f"{self.stage.name}-{PREVIEW}"):
            raise StoryError(f"{PREVIEW} was deployed, and nobody has said yes")
        shown_by_docker = f"nothing of {PREVIEW}: somebody has to press Deploy"
        self.narrator.proved("", (shown_by_docker,), time.monotonic() - began)

    async def _chapter(self, title: str, command: str, expected: Expected, ending: str, **options: Any) -> None:
        self.narrator.chapter(title)
        began = time.monotonic()
        await Scene(self.people, self.narrator).run(command, ENVIRONMENT, ending, **options)
        self._prove(expected, time.monotonic() - began)

    async def _status(self, expected: Expected) -> None:
        self.narrator.chapter("The status, asked by somebody without a role")
        interaction = await self.people.slash("bob", "status", environment=ENVIRONMENT)
        self.narrator.typed("bob", f"/status {ENVIRONMENT}")
        status = await Scene(self.people, self.narrator).answer(interaction, "/status")
        self.narrator.answered(status.text, "answer to bob")
        missing = [word for word in ("web", "store", expected.version) if word not in status.text]
        if missing:
            raise StoryError(f"/status does not mention {', '.join(missing)}")
        self._prove(expected, None)

    async def _replace_bot(self, title: str, version: str, ending: str, *, left: str) -> None:
        """Let the bot deploy itself while a person sends commands five times a second."""
        self.narrator.chapter(title)
        began = time.monotonic()
        async with polling(self.people, ASKED, EVERY_SECONDS) as ruth:
            await Scene(self.people, self.narrator).run("deploy", HOME, ending, version=version)
        seconds = time.monotonic() - began
        self.narrator.received("ruth", f"/{ASKED}", ruth.results)
        self._check_answers(ruth.results)
        self.seen = PollResults((*self.seen.asked, *ruth.results.asked))
        try:
            bot = prove_bot(self.stage, left)
        except NotProvedError as error:
            raise StoryError(f"Docker shows something else: {error}") from error
        self.narrator.proved("one bot runs", (left, f"image {bot.image_id[:SHORT_ID]}", bot.health), seconds)

    @staticmethod
    def _check_answers(seen: PollResults) -> None:
        """Check that every command was acknowledged within three seconds; after that Discord shows a failure."""
        if seen.never or seen.twice:
            raise StoryError(
                f"of {len(seen.asked)} commands {seen.never} were never answered and {seen.twice} twice; "
                f"nobody was listening for {seen.unresponsive:.1f} s"
            )

    def _prove(self, expected: Expected, seconds: float | None) -> None:
        try:
            web, store = prove(self.stage, expected)
            self._prove_untouched(store)
        except NotProvedError as error:
            raise StoryError(f"Docker shows something else: {error}") from error
        shown = (expected.version, f"image {web.image_id[:SHORT_ID]}", web.health, f"“{web.greeting}”")
        self.narrator.proved("web runs", shown, seconds)

    def _prove_untouched(self, store: Running) -> None:
        """Show that the store, which no version changes, is the very container of the first deployment."""
        self.store_id = self.store_id or store.container_id
        if store.container_id != self.store_id:
            raise NotProvedError("store was recreated, though nothing about it changed")
