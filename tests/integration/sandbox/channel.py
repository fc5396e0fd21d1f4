"""Type commands and read what the channel shows, as the people in it do."""

import re
from typing import Any

from sandbox.client import SandboxClient
from sandbox.views import Message

DEPLOYMENT_ID = re.compile(r"\b(?:RESTART|STOP|START|SCALE|KEEP|DEPLOY|HOTFIX|ROLLBACK)-[0-9A-Z]+\b")
ANSWER_SECONDS = 60.0
OUTCOME_SECONDS = 150.0


async def ask(people: SandboxClient, user: str, command: str, **options: Any) -> str:
    """Type a command and return the text of its answer, which must come."""
    answer = await people.answer(await people.slash(user, command, **options), deadline_seconds=ANSWER_SECONDS)
    assert answer.error is None, f"/{command}: {answer.error}"
    assert answer.acknowledged_after is not None
    assert answer.acknowledged_after < 3.0
    assert answer.message is not None
    return answer.message.text


async def start(people: SandboxClient, user: str, command: str, **options: Any) -> str:
    """Type a command that leads to a deployment, say yes to its plan, and return the deployment's id."""
    answer = await people.answer(await people.slash(user, command, **options), deadline_seconds=ANSWER_SECONDS)
    assert answer.error is None, f"/{command}: {answer.error}"
    assert answer.message is not None
    text = answer.message.text
    if button(answer.message, "confirm") is not None:
        text = await confirm(people, user, answer.message)
    found = DEPLOYMENT_ID.search(text)
    assert found is not None, f"/{command} started nothing: {text}"
    return found.group()


async def confirm(people: SandboxClient, user: str, plan: Message) -> str:
    """Say yes to one's own plan and return what is answered."""
    return await press(people, user, plan, "confirm")


async def press(people: SandboxClient, user: str, message: Message, what: str, **said: str) -> str:
    """Press a button, send the form that it opens, and return what the one who pressed it is told."""
    custom_id = button(message, what)
    assert custom_id is not None, f"no button to {what}: {message.text}"
    clicked = await people.click(user, message, custom_id)
    answer = await people.answer(clicked, deadline_seconds=ANSWER_SECONDS)
    if answer.modal is not None:
        answer = await people.answer(await people.submit(clicked, **said), deadline_seconds=ANSWER_SECONDS)
    assert answer.error is None, f"{what}: {answer.error}"
    assert answer.message is not None
    return answer.message.text


def button(message: Message, what: str) -> str | None:
    """Return the id of a message's button that does something, or None."""
    ids = (one.custom_id or "" for one in message.buttons)
    return next((custom_id for custom_id in ids if f":{what}:" in custom_id), None)


async def approval(people: SandboxClient, environment: str, text: str = "Approval needed") -> Message:
    """Wait for the newest message that asks a second person, or says what became of that."""

    def asks(message: Message) -> bool:
        return text in message.text and environment in message.text

    return await people.wait_for_message(asks, deadline_seconds=ANSWER_SECONDS)


async def outcome(people: SandboxClient, deployment_id: str, *, seconds: float = OUTCOME_SECONDS) -> Message:
    """Wait for the outcome message of a deployment."""

    def is_outcome(message: Message) -> bool:
        return f"{deployment_id} · outcome" in message.text

    return await people.wait_for_message(is_outcome, deadline_seconds=seconds)


async def live(people: SandboxClient, deployment_id: str, text: str, *, seconds: float = 90.0) -> Message:
    """Wait until the live message of a deployment, which may be its outcome by then, shows certain words."""

    def shows(message: Message) -> bool:
        footer = (message.embeds[0].get("footer") or {}).get("text") if message.embeds else ""
        return footer in {deployment_id, f"{deployment_id} · outcome"} and text in message.text

    return await people.wait_for_message(shows, deadline_seconds=seconds)
