"""How people use the bot: they type, confirm a plan, and read in the channel how it went on and ended."""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from demo.narrator import Narrator
from roas.concurrency import end_tasks
from sandbox.client import SandboxClient
from sandbox.views import Interaction, Message

ANSWER_SECONDS = 30.0
OUTCOME_SECONDS = 120.0
DEPLOYMENT_ID = re.compile(r"\b(?:DEPLOY|HOTFIX|ROLLBACK)-[0-9A-Z]+\b")


class StoryError(Exception):
    """The story went another way than promised."""


@dataclass(frozen=True)
class Scene:
    """Play the people in the channel, and print what they do and see."""

    people: SandboxClient
    narrator: Narrator

    async def run(self, command: str, environment: str, ending: str, **options: Any) -> None:
        """Let dora send a command, confirm it, and wait for its outcome. Raises StoryError where it is another one."""
        interaction = await self.people.slash("dora", command, environment=environment, **options)
        typed = " ".join([f"/{command}", environment, *(f"{name}:{value}" for name, value in options.items())])
        self.narrator.typed("dora", typed)
        outcome = await self._outcome(await self._confirm(interaction, typed))
        self.narrator.posted(outcome.text)
        title_line = outcome.embeds[0].get("title", "")
        if ending not in title_line:
            raise StoryError(f"{typed} should end with “{ending}”, and the channel says: {title_line}")

    async def answer(self, interaction: Interaction, what: str) -> Message:
        """Wait for the answer. Raises StoryError where there is none."""
        answer = await self.people.answer(interaction, deadline_seconds=ANSWER_SECONDS)
        if answer.error or answer.message is None:
            raise StoryError(f"{what} was not answered: {answer.error or 'no message'}")
        return answer.message

    async def _confirm(self, interaction: Interaction, typed: str) -> str:
        """Read the plan, press its button, and return the id of the deployment that this starts."""
        plan = await self.answer(interaction, typed)
        self.narrator.answered(plan.text, "the plan, shown to dora")
        button = next((item for item in plan.buttons if ":confirm:" in (item.custom_id or "")), None)
        if button is None or button.custom_id is None:
            raise StoryError(f"{typed} was answered without a button to confirm it: {plan.text}")
        self.narrator.typed("dora", f"[{button.label}]", "presses")
        answer_text = (await self.answer(await self.people.click("dora", plan, button.custom_id), button.label)).text
        found = DEPLOYMENT_ID.search(answer_text)
        if found is None:
            raise StoryError(f"{button.label} started nothing: {answer_text}")
        return found.group()

    async def _outcome(self, deployment_id: str) -> Message:
        """Wait for the message with the outcome, and follow the live one meanwhile."""

        def is_outcome(message: Message) -> bool:
            return f"{deployment_id} · outcome" in message.text

        follower = asyncio.create_task(self._follow(deployment_id))
        try:
            return await self.people.wait_for_message(is_outcome, deadline_seconds=OUTCOME_SECONDS)
        finally:
            await end_tasks(follower)

    async def _follow(self, deployment_id: str) -> None:
        """Print each new line of the live message, until cancelled."""
        shown = ""

        def has_changed(message: Message) -> bool:
            return message.text.endswith(deployment_id) and message.text != shown

        while True:
            message = await self.people.wait_for_message(has_changed, deadline_seconds=OUTCOME_SECONDS)
            shown = message.text
            self.narrator.live(message.text)
