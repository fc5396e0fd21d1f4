"""What somebody locks or unlocks at a terminal is told in the channel, once: nobody saw them type it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from roas.deploy.schedule import FREEZE_OVER
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import Freeze
from roas.models.stored import new_id
from roas.state.manager import StateManager
from roas.ui.drawing import CAREFUL, GOOD
from roas.ui.notifications.ops_channel import DiscordAwayError
from tests.unit.ui.conftest import FakeChannel, Messages
from tests.unit.ui.story import until

ROOT = Actor(ActorKind.SYSTEM, "0", "root")
DORA = Actor(ActorKind.DISCORD, "1", "dora")
UNTIL = datetime.now(UTC) + timedelta(hours=2)
FREEZE = Freeze("staging", ROOT, "the fair", datetime.now(UTC), UNTIL)


def texts(channel: FakeChannel) -> list[str]:
    return [channel.text(message_id) for message_id in channel.messages]


async def test_what_is_typed_is_told_once(state: StateManager, channel: FakeChannel, messages: Messages) -> None:
    """In what order it was typed, also what was typed while no bot ran, and while Discord was away."""
    await state.freezes.put(FREEZE)
    channel.faults.append(DiscordAwayError("503"))
    first = messages.start()
    await until(lambda: len(channel.messages) == 1)
    await state.freezes.lift("staging", ROOT)
    await until(lambda: len(channel.messages) == 2)
    locked, unlocked = texts(channel)
    assert locked == f"🧊 **staging** is locked by root: the fair\n⏳ until <t:{int(UNTIL.timestamp())}:f>"
    assert unlocked == "**staging** is unlocked by root."
    await first.close()
    await state.freezes.put(replace(FREEZE, reason="another", until=None))
    messages.start()
    await until(lambda: len(channel.messages) == 3)
    assert texts(channel)[2] == "🧊 **staging** is locked by root: another"
    assert [what for what, _id, _at in channel.log] == ["send"] * 3


async def test_unlocking_what_the_channel_locked_is_told(
    state: StateManager, channel: FakeChannel, messages: Messages
) -> None:
    messages.start()
    await state.freezes.put(replace(FREEZE, frozen_by=DORA))
    await state.freezes.lift("staging", ROOT)
    await until(lambda: len(channel.messages) == 1)
    assert texts(channel) == ["**staging** is unlocked by root."]


@pytest.mark.parametrize(("locks", "unlocks"), [(DORA, DORA), (DORA, FREEZE_OVER)])
async def test_what_the_channel_has_seen_is_not_told(
    state: StateManager, channel: FakeChannel, messages: Messages, locks: Actor, unlocks: Actor
) -> None:
    """The answer to the command stands there, and the end of its time was told before."""
    await state.freezes.put(replace(FREEZE, frozen_by=locks))
    await state.freezes.lift("staging", unlocks)
    messages.start()
    await state.freezes.put(FREEZE)
    await until(lambda: bool(channel.messages))
    assert [text.partition(" is ")[0] for text in texts(channel)] == ["🧊 **staging**"]


async def test_what_is_long_ago_is_news_to_nobody(
    state: StateManager, channel: FakeChannel, messages: Messages
) -> None:
    await state.freezes.put(FREEZE)
    (change,) = await state.changes("staging")
    await state.record(replace(change, id=new_id("CHG"), time=change.time - timedelta(hours=25)))
    messages.start()
    await until(lambda: bool(channel.messages))
    await state.freezes.lift("staging", ROOT)
    await until(lambda: len(channel.messages) == 2)
    assert [message.embeds[0].colour for message in channel.messages.values()] == [CAREFUL, GOOD]
