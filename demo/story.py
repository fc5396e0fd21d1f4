"""The story: what people type, what the channel shows, and what Docker runs then."""

import asyncio
import re
import time
from dataclasses import dataclass
from typing import Any

from demo.proof import Expected, NotProvedError, Running, prove
from demo.stage import ENVIRONMENT, Stage
from demo.telling import Teller
from sandbox.client import SandboxClient
from sandbox.views import Interaction, Message

ANSWER_SECONDS = 30.0
OUTCOME_SECONDS = 120.0
CONNECT_SECONDS = 30.0
COMMANDS = ("deploy", "hotfix", "rollback", "status")
DEPLOYMENT_ID = re.compile(r"\b(?:DEPLOY|HOTFIX|ROLLBACK)-[0-9A-Z]+\b")


class StoryError(Exception):
    """The story went another way than promised."""


@dataclass
class Story:
    """Play the story with the people of the sandbox."""

    stage: Stage
    people: SandboxClient
    teller: Teller
    store_id: str = ""

    async def play(self) -> None:
        """Play every chapter; the first that goes wrong ends it with an error."""
        await self.people.wait_for_commands(*COMMANDS, deadline_seconds=CONNECT_SECONDS)
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

    async def _chapter(self, title: str, command: str, expected: Expected, ending: str, **options: Any) -> None:
        self.teller.chapter(title)
        began = time.monotonic()
        interaction = await self.people.slash("dora", command, environment=ENVIRONMENT, **options)
        typed = " ".join([f"/{command}", ENVIRONMENT, *(f"{name}:{value}" for name, value in options.items())])
        self.teller.typed("dora", typed)
        outcome = await self._outcome(await self._confirm(interaction, typed))
        self.teller.posted(outcome.text)
        title_line = outcome.embeds[0].get("title", "")
        if ending not in title_line:
            raise StoryError(f"{typed} should end with “{ending}”, and the channel says: {title_line}")
        self._prove(expected, time.monotonic() - began)

    async def _confirm(self, interaction: Interaction, typed: str) -> str:
        """Read the plan, press its button, and return the id of the deployment that this starts."""
        plan = await self._answer(interaction, typed)
        self.teller.answered(plan.text, "the plan, shown to dora")
        button = next((one for one in plan.buttons if ":confirm:" in (one.custom_id or "")), None)
        if button is None or button.custom_id is None:
            raise StoryError(f"{typed} was answered without a button to say yes: {plan.text}")
        self.teller.typed("dora", f"[{button.label}]", "presses")
        said = (await self._answer(await self.people.click("dora", plan, button.custom_id), button.label)).text
        found = DEPLOYMENT_ID.search(said)
        if found is None:
            raise StoryError(f"{button.label} started nothing: {said}")
        return found.group()

    async def _answer(self, interaction: Interaction, what: str) -> Message:
        answer = await self.people.answer(interaction, deadline_seconds=ANSWER_SECONDS)
        if answer.error or answer.message is None:
            raise StoryError(f"{what} was not answered: {answer.error or 'no message'}")
        return answer.message

    async def _outcome(self, deployment_id: str) -> Message:
        """Wait for the message that tells the end, and follow the live one meanwhile."""

        def is_outcome(message: Message) -> bool:
            return f"{deployment_id} · outcome" in message.text

        follower = asyncio.create_task(self._follow(deployment_id))
        try:
            return await self.people.wait_for_message(is_outcome, deadline_seconds=OUTCOME_SECONDS)
        finally:
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)

    async def _follow(self, deployment_id: str) -> None:
        """Tell each new line of the live message, until cancelled."""
        told = ""

        def has_changed(message: Message) -> bool:
            return message.text.endswith(deployment_id) and message.text != told

        while True:
            message = await self.people.wait_for_message(has_changed, deadline_seconds=OUTCOME_SECONDS)
            told = message.text
            self.teller.live(message.text)

    async def _status(self, expected: Expected) -> None:
        self.teller.chapter("The status, asked by somebody without a role")
        interaction = await self.people.slash("bob", "status", environment=ENVIRONMENT)
        self.teller.typed("bob", f"/status {ENVIRONMENT}")
        status = await self._answer(interaction, "/status")
        self.teller.answered(status.text, "answer to bob")
        missing = [word for word in ("web", "store", expected.version) if word not in status.text]
        if missing:
            raise StoryError(f"/status does not mention {', '.join(missing)}")
        self._prove(expected, None)

    def _prove(self, expected: Expected, seconds: float | None) -> None:
        try:
            web, store = prove(self.stage, expected)
            self._prove_untouched(store)
        except NotProvedError as error:
            raise StoryError(f"Docker shows something else: {error}") from error
        self.teller.proved(expected, web, seconds)

    def _prove_untouched(self, store: Running) -> None:
        """Show that the store, which no version changes, is the very container of the first deployment."""
        self.store_id = self.store_id or store.container_id
        if store.container_id != self.store_id:
            raise NotProvedError("store was recreated, though nothing about it changed")
