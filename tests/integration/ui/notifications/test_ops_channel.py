"""The ops channel over the wire: a lost message is found, and what is missing is known by its name."""

import asyncio
from datetime import UTC, datetime, timedelta

import discord
import pytest

from roas.events import EventBus
from roas.models.deployment import Outcome, PhaseStatus, Problem
from roas.models.phases import PhaseName
from roas.state.manager import StateManager
from roas.ui.drawing import Drawing, MissingPermission
from roas.ui.notifications.live_messages import LiveMessages
from roas.ui.notifications.ops_channel import ChannelClosedError, MessageGoneError, OpsChannel, PermissionMissingError
from roas.ui.notifications.outbox import Outbox, Outboxes
from sandbox.client import SandboxClient
from tests.integration.sandbox.conftest import bot, openapi, people, sandbox
from tests.integration.sandbox.small_bot import SmallBot
from tests.unit.conftest import bus, state
from tests.unit.ui.story import Story

__all__ = ["bot", "bus", "openapi", "people", "sandbox", "state"]
pytestmark = pytest.mark.wire

WANTED = Drawing("DEPLOY-1", (discord.Embed(title="Deploy").set_footer(text="DEPLOY-1"),))


@pytest.fixture
def channel(bot: SmallBot) -> OpsChannel:
    return OpsChannel(bot, bot.sandbox.guild_id, bot.sandbox.ops_channel_id)


async def test_lost_message_found_in_long_history(channel: OpsChannel, people: SandboxClient) -> None:
    began = datetime.now(UTC)
    for number in range(210):
        await people.say("bob", f"is it done yet? {number}")
    posted = await channel.send(WANTED, nonce="1")
    assert await channel.find("DEPLOY-1", after=began) == posted
    assert await channel.find("DEPLOY-2", after=began) is None

    before = len(await looks(people))
    assert await channel.find("DEPLOY-1", after=datetime.now(UTC) + timedelta(hours=1)) is None
    assert len(await looks(people)) == before + 1, "it read on where nothing can be"


async def looks(people: SandboxClient) -> list[object]:
    return [
        request
        for request in await people.requests()
        if request["method"] == "GET" and request["path"].endswith("/messages")
    ]


async def test_missing_permission_or_target_typed(bot: SmallBot, channel: OpsChannel, people: SandboxClient) -> None:
    message_id = await channel.send(WANTED, nonce="1")
    await people.deny_bot("embed_links")
    with pytest.raises(PermissionMissingError):
        await channel.send(WANTED, nonce="2")
    await people.deny_bot("view_channel")
    with pytest.raises(ChannelClosedError) as closed:
        await channel.send(WANTED, nonce="2")
    assert closed.value.missing_permission is MissingPermission.VIEW
    await people.deny_bot()
    await people.delete_message(message_id)
    with pytest.raises(MessageGoneError):
        await channel.edit(message_id, WANTED)
    await people.delete_channel()
    for attempt in (channel.send(WANTED, nonce="2"), channel.edit(message_id, WANTED)):
        with pytest.raises(ChannelClosedError) as closed:
            await attempt
        assert closed.value.missing_permission is MissingPermission.CHANNEL


async def test_thread_is_opened_once_and_seen_below_its_message_alone(
    channel: OpsChannel, people: SandboxClient
) -> None:
    live = await channel.send(WANTED, nonce="1")
    thread = await channel.below(live, "dev v2")
    assert (await channel.below(live, "dev v2")).id == thread.id, "a second process finds the one that is there"
    await thread.send(WANTED, nonce="2")
    await channel.edit(live, WANTED)
    assert [message.id for message in await people.messages()] == [live]
    another = await channel.send(WANTED, nonce="3")
    await people.deny_bot("create_public_threads")
    with pytest.raises(ChannelClosedError):
        await channel.below(another, "dev v2")


@pytest.mark.parametrize(
    ("thread", "statuses"),
    [
        ("open", [200, 200]),
        ("deleted", [200, 404]),
        ("archived and locked", [200, 400]),
        ("without permission", []),
        ("none in this channel", []),
    ],
)
async def test_deployment_has_two_messages_and_a_thread(
    channel: OpsChannel, people: SandboxClient, state: StateManager, bus: EventBus, thread: str, statuses: list[int]
) -> None:
    """The channel keeps the live message and the outcome; what phases warn of meanwhile is below the first.

    Where somebody deletes the thread, or archives and locks it, or where there can be none, the channel has all of it.
    """
    if thread == "without permission":
        await people.deny_bot("create_public_threads")
    if thread == "none in this channel":
        await people.add_fault(method="POST", path="*/threads", status=400, times=9)
    messages = LiveMessages(state, bus, Outboxes(Outbox(state, channel)))
    messages.start()
    messages.online()
    try:
        story = await Story.begin(state, bus)
        warned = {"ended_at": datetime.now(UTC), "warnings": ("web has no health check",)}
        await story.phase(PhaseName.VALIDATION, PhaseStatus.SUCCESS, **warned)
        first = await people.wait_for_message(lambda message: story.id in message.text)
        await people.wait_for_request(lambda request: request["path"].endswith("/threads"))
        if statuses:
            await people.wait_for_request(lambda request: request["path"].endswith(f"{first.id}/messages"))
            if thread == "deleted":
                await people.delete_channel(first.id)
            elif thread != "open":
                await people.add_fault(method="POST", path=f"*/{first.id}/messages", status=400)
        problem = Problem("service_failed", "web failed.", "Look.", report="boom")
        ended = {"ended_at": datetime.now(UTC), "warnings": ("web is slow",), "problem": problem}
        await story.phase(PhaseName.EXECUTION, PhaseStatus.FAILED, **ended)
        await story.finish(Outcome.FAILED, problem)
        async with asyncio.timeout(20):
            await messages.settled()
    finally:
        await messages.close()
    live, outcome = await people.messages()
    assert f"{story.id} · outcome" in outcome.text
    assert [name for name in outcome.attachments if "service_failed" in str(name)]
    assert "execution" in live.text
    assert "web failed." in outcome.text
    below = [request for request in await people.requests() if request["path"].endswith(f"{live.id}/messages")]
    assert [request["status"] for request in below] == statuses
    opened = [request for request in await people.requests() if request["path"].endswith("/threads")]
    assert len(opened) == 1, "it is tried once"
