"""Whatever is posted goes out once, in order, not too often, and as far as the permissions go."""

import asyncio

import discord
import pytest

from bot.events import EventBus
from bot.models.coordination import PhaseName
from bot.models.deployment import Outcome, PhaseStatus, Problem
from bot.state.manager import StateManager
from bot.ui.drawing import Drawing
from bot.ui.live_messages import LiveMessages
from bot.ui.ops_channel import DiscordAwayError
from tests.ui.conftest import FakeChannel, Messages
from tests.ui.story import Story, until
from tests.ui.test_alert_telling import a_report, open_desk
from tests.ui.test_live_messages import told

FAILED = Problem("unhealthy", "web is unhealthy", "Mend it.", "web", "connection refused")


def needs_a_file(drawing: Drawing, _reply_to: int | None) -> bool:
    return bool(drawing.attachments)


def needs_embeds(drawing: Drawing, _reply_to: int | None) -> bool:
    return bool(drawing.embeds)


def answers(_drawing: Drawing, reply_to: int | None) -> bool:
    return reply_to is not None


async def failed(state: StateManager, bus: EventBus, environment: str = "staging") -> Story:
    story = await Story.begin(state, bus, environment=environment)
    await story.finish(Outcome.FAILED, FAILED)
    await until(lambda: told(state, story.id))
    return story


@pytest.mark.parametrize("forbids", [needs_a_file, answers])
async def test_without_the_permission_for_its_file_or_its_reply_an_outcome_is_posted_all_the_same(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, forbids: object
) -> None:
    channel.forbids = forbids  # type: ignore[assignment]
    messages.start()
    await failed(state, bus)
    live, outcome = channel.messages
    assert channel.messages[outcome].embeds
    assert channel.messages[outcome].attachments == ()
    assert channel.replies == {live: None, outcome: None}


async def test_without_the_permission_for_embeds_a_message_says_the_same_as_text(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    channel.forbids = needs_embeds
    messages.start()
    story = await Story.begin(state, bus)
    await until(lambda: bool(channel.messages))
    await story.phase(PhaseName.VALIDATION, PhaseStatus.SUCCESS)
    await until(lambda: "✅ validation" in channel.messages[1000].content)
    assert channel.messages[1000].content.endswith(story.id), "by this it is found again"
    assert [button.label for button in channel.messages[1000].buttons] == ["Cancel"]


async def test_a_missing_permission_is_told_once_and_taken_back_when_it_is_there_again(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, capsys: pytest.CaptureFixture[str]
) -> None:
    channel.forbids = needs_a_file
    running = messages.start()
    for environment in ("dev", "staging", "prod"):
        await failed(state, bus, environment)
    assert capsys.readouterr().out.count("a permission is missing in the ops channel") == 1
    assert "A permission is missing" in running.trouble
    channel.forbids = lambda _drawing, _reply_to: False
    await failed(state, bus, "dev")
    assert running.trouble == ""
    assert list(channel.messages.values())[-1].attachments


async def test_a_deleted_message_is_told_once_in_the_log_and_on_status(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, capsys: pytest.CaptureFixture[str]
) -> None:
    running = messages.start()
    story = await Story.begin(state, bus)
    await until(lambda: bool(channel.messages))
    channel.messages.clear()
    await story.phase(PhaseName.VALIDATION, PhaseStatus.SUCCESS)
    await until(lambda: bool(channel.messages))
    await until(lambda: "posted again: 1" in running.trouble)
    assert capsys.readouterr().out.count("a message was deleted and is posted again") == 1


async def test_deployments_and_alerts_come_in_the_order_in_which_they_happened(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start()

    def is_away(drawing: Drawing, _reply_to: int | None) -> bool:
        if drawing.key.startswith("DEPLOY"):
            raise DiscordAwayError("503")
        return False

    channel.forbids = is_away
    story = await Story.begin(state, bus)
    await until(lambda: channel.attempts > 1)
    await open_desk(state, bus).take([a_report()])
    attempts = channel.attempts
    await until(lambda: channel.attempts > attempts + 40)
    assert not channel.messages, "the alert overtook the deployment"
    channel.forbids = lambda _drawing, _reply_to: False
    await until(lambda: len(channel.messages) == 2)
    assert channel.titles() == ["🚀 Deploy v2 to staging", "🟡 dev: web is down"]
    await story.finish()


async def test_an_alert_does_not_keep_a_deployment_from_being_told(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start()
    await open_desk(state, bus).take([a_report()])
    await until(lambda: bool(channel.messages))
    await failed(state, bus)
    assert len(channel.messages) == 3


async def test_the_outcome_of_a_killed_bot_is_posted_once_by_the_next_where_only_the_intent_was_written(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    first = messages.start()
    story = await Story.begin(state, bus)
    await until(lambda: bool(channel.messages))
    channel.faults = [DiscordAwayError("503")] * 10_000
    await story.finish()
    attempts = channel.attempts
    await until(lambda: channel.attempts > attempts)
    await first.close()
    channel.faults = []

    for _bot in range(3):
        again: LiveMessages = messages.start()
        await until(lambda: told(state, story.id))
        await again.settled()
        await again.close()
    assert channel.titles() == ["✅ Deploy v2 to staging", "✅ Deploy v2 to staging: succeeded"]


async def test_two_bots_that_tell_of_the_same_post_it_once(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start()
    messages.start()
    await asyncio.gather(*(failed(state, bus, environment) for environment in ("dev", "staging")))
    assert len(channel.messages) == 4


def test_a_text_in_place_of_embeds_is_never_too_long() -> None:
    embed = discord.Embed(title="t" * 250, description="d" * 4000).set_footer(text="DEPLOY-1")
    *_rest, text = Drawing("DEPLOY-1", (embed,)).plainer()
    assert len(text.content) <= 2000
    assert text.content.endswith("\nDEPLOY-1")
    assert text.embeds == ()
