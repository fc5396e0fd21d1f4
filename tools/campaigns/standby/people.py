"""What people do in the rounds: they deploy, approve, freeze; and what the channel shows them."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.client import SandboxClient
from sandbox.errors import ControlError
from sandbox.views import Answer, Interaction, Message
from tools.campaigns.standby.ground import ENVIRONMENT

ANSWER_SECONDS = 15.0
AGAIN_SECONDS = 1.0
OUTCOME_SECONDS = 240.0
DEPLOYMENT_ID = re.compile(r"\b(?:DEPLOY|HOTFIX|ROLLBACK)-[0-9A-Z]+\b")
OUTCOME = " · outcome"
ENDS = {"succeeded": "succeeded", "rolled back": "rolled_back", "cancelled": "cancelled", "failed": "failed"}


@dataclass(frozen=True)
class People:
    """Act in the channel after a message that was the last before the round."""

    client: SandboxClient
    after: int

    async def deploy(self, version: str) -> str:
        """Plan, and confirm; returns what the plan or the refusal says. No answer to the button is none."""
        plan = await self.ask("deploy", version=version)
        button = _button(plan, "confirm")
        if button is not None:
            await self._answer(await self.client.click("dora", plan, button))
        return plan.text

    async def ask(self, command: str, **options: Any) -> Message:
        """Type a command until a bot answers it. Raises TimeoutError."""
        deadline = time.monotonic() + OUTCOME_SECONDS
        while time.monotonic() < deadline:
            answer = await self._answer(await self.client.slash("dora", command, environment=ENVIRONMENT, **options))
            if answer is not None and answer.message is not None and not answer.error:
                return answer.message
            await asyncio.sleep(AGAIN_SECONDS)  # as a person who tries again
        raise TimeoutError(f"nobody answers /{command}")

    async def status(self) -> str:
        """Return what the status shows, without Discord's markup."""
        return (await self.ask("status")).text.replace("**", "").replace("`", "")

    async def approval(self) -> Message:
        """Wait for the message that asks a second person."""
        return await self.client.wait_for_message(
            lambda message: _button(message, "approve") is not None,
            deadline_seconds=OUTCOME_SECONDS,
            after=self.after,
        )

    async def approve(self) -> None:
        """Press the button until the message has it no more. Raises TimeoutError."""
        asked = await self.approval()
        deadline = time.monotonic() + OUTCOME_SECONDS
        while time.monotonic() < deadline:
            button = _button(asked, "approve")
            if button is None:
                return
            clicked = await self.client.click("anna", asked, button)
            answer = await self._answer(clicked)
            if answer is not None and answer.modal is not None:
                await self._answer(await self.client.submit(clicked))
            await asyncio.sleep(AGAIN_SECONDS)
            asked = next(message for message in await self.messages() if message.id == asked.id)
        raise TimeoutError("the approval is not taken")

    async def outcome(self) -> Message:
        """Wait for the message with the outcome of the round's deployment."""
        return await self.client.wait_for_message(
            lambda message: OUTCOME in message.text, deadline_seconds=OUTCOME_SECONDS, after=self.after
        )

    async def messages(self) -> list[Message]:
        """Return what was posted since the round began."""
        return await self.client.messages(after=self.after)

    async def _answer(self, interaction: Interaction) -> Answer | None:
        """Return an answer; None where the bot died before it gave one."""
        try:
            return await self.client.answer(interaction, deadline_seconds=ANSWER_SECONDS)
        except (TimeoutError, ControlError):
            return None


def told_wrong(messages: Sequence[Message], *, deployments: int) -> Iterator[str]:
    """Name what was posted more than once, or not at all, of the deployments of a round."""
    outcomes = Counter(_id(message.text) for message in messages if OUTCOME in message.text)
    live = Counter(_id(message.text) for message in messages if _is_live(message))
    if len(outcomes) != deployments:
        yield f"the channel has outcomes of {len(outcomes)} deployments instead of {deployments}"
    for name, found in (("outcome", outcomes), ("live message", live)):
        yield from (f"the {name} of {item} was posted {times} times" for item, times in found.items() if times > 1)


def end_of(message: Message) -> str:
    """Return how a deployment ended, as the title of its outcome says."""
    title = str(message.embeds[0].get("title", ""))
    return next((outcome for words, outcome in ENDS.items() if words in title), title)


def _is_live(message: Message) -> bool:
    return OUTCOME not in message.text and DEPLOYMENT_ID.fullmatch(message.text.rpartition("\n")[2]) is not None


def _id(text: str) -> str:
    found = DEPLOYMENT_ID.findall(text)
    return found[-1] if found else ""


def _button(message: Message, what: str) -> str | None:
    ids = (button.custom_id or "" for button in message.buttons if not button.disabled)
    return next((custom_id for custom_id in ids if f":{what}:" in custom_id), None)
