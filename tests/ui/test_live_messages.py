"""The channel shows what the journal says, whatever Discord, the bus or the process do meanwhile."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from bot.events import EventBus
from bot.leadership.leadership import Leadership
from bot.models.coordination import PhaseName
from bot.models.deployment import Outcome, PhaseStatus, ServiceProgress, ServiceStep
from bot.models.post import Post
from bot.state.manager import StateManager
from bot.ui.notifier import LIVE, OUTCOME, Pace
from bot.ui.ops_channel import ChannelClosedError, DiscordAwayError, MessageRefusedError
from tests.ui.conftest import FakeChannel, Messages
from tests.ui.story import Story, until

NO_POLL = Pace(poll=60, first_retry=60, longest_retry=60, longest_retry_closed=60)


async def told(state: StateManager, deployment_id: str, kind: str = OUTCOME) -> bool:
    post = await state.posts.get(deployment_id, kind)
    return post is not None and post.finished


async def test_a_deployment_is_one_live_message_and_then_an_outcome_that_answers_it(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start()
    story = await Story.begin(state, bus)
    await story.phase(PhaseName.VALIDATION, PhaseStatus.SUCCESS)
    await story.finish()
    await until(lambda: told(state, story.id))

    assert channel.titles() == ["✅ Deploy v2 to staging", "✅ Deploy v2 to staging: succeeded"]
    live, outcome = channel.messages
    assert channel.replies == {live: None, outcome: live}
    assert "✅ validation" in channel.text(live)
    assert not channel.messages[live].buttons


async def test_a_burst_of_progress_becomes_few_edits_and_the_last_state_is_always_shown(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start(NO_POLL, between_edits=0.3)
    story = await Story.begin(state, bus)
    await until(lambda: bool(channel.messages))
    for percent in range(40):
        await story.service(ServiceProgress("web", ServiceStep.PULLING, fraction=percent / 100))
    await story.service(ServiceProgress("web", ServiceStep.HEALTHY))
    await until(lambda: "healthy" in channel.text(1000))

    assert len(channel.log) <= 4
    times = [moment for _what, _id, moment in channel.log]
    assert all(later - earlier >= 0.25 for earlier, later in pairwise(times))


async def test_a_change_of_phase_is_shown_at_once_and_not_held_back_for_the_pace(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start(Pace(poll=60), between_edits=30)
    story = await Story.begin(state, bus)
    await until(lambda: bool(channel.messages))
    await story.service(ServiceProgress("web", ServiceStep.PULLING))
    await story.phase(PhaseName.VALIDATION, PhaseStatus.IN_PROGRESS)
    await until(lambda: "🔄 validation" in channel.text(1000), within_seconds=2)


async def test_nothing_is_edited_where_nothing_changed(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start()
    story = await Story.begin(state, bus)
    await until(lambda: bool(channel.messages))
    for _time in range(5):
        story.tell("deployment.phase.changed")
    await bus.drain()
    await until(lambda: channel.attempts >= 1)
    assert [what for what, _id, _time in channel.log] == ["send"]


async def test_a_deployment_is_never_held_up_by_discord(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start(online=False)
    story = await Story.begin(state, bus)
    async with asyncio.timeout(2):
        await story.phase(PhaseName.VALIDATION, PhaseStatus.SUCCESS)
        await story.finish()
        await bus.drain()
    assert not channel.messages


async def test_what_discord_refused_for_a_while_is_posted_later_in_order_and_once(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    channel.faults = [DiscordAwayError("503")] * 5
    messages.start()
    story = await Story.begin(state, bus)
    await story.finish()
    await until(lambda: told(state, story.id))
    assert channel.titles() == ["✅ Deploy v2 to staging", "✅ Deploy v2 to staging: succeeded"]


async def test_a_post_whose_answer_got_lost_is_not_posted_twice(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    channel.lose_answers = 1
    messages.start()
    story = await Story.begin(state, bus)
    await story.finish()
    await until(lambda: told(state, story.id))
    assert len(channel.messages) == 2


async def test_being_online_again_ends_the_wait_for_a_retry(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    channel.faults = [DiscordAwayError("503")]
    running = messages.start(NO_POLL)
    await Story.begin(state, bus)
    await until(lambda: channel.attempts == 1)
    await asyncio.to_thread(lambda: None)
    running.online()
    await until(lambda: bool(channel.messages), within_seconds=2)


async def test_a_deleted_live_message_is_posted_again(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start()
    story = await Story.begin(state, bus)
    await until(lambda: told_id(state, story.id))
    channel.messages.clear()
    await story.phase(PhaseName.VALIDATION, PhaseStatus.SUCCESS)
    await until(lambda: bool(channel.messages))
    assert "✅ validation" in channel.text(1001)


async def told_id(state: StateManager, deployment_id: str) -> bool:
    post = await state.posts.get(deployment_id, LIVE)
    return post is not None and post.message_id is not None


async def test_a_closed_channel_is_logged_once_and_used_again_when_it_opens(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, caplog: pytest.LogCaptureFixture
) -> None:
    channel.faults = [ChannelClosedError("Missing Permissions")] * 6
    messages.start()
    story = await Story.begin(state, bus)
    await story.finish()
    await until(lambda: told(state, story.id))
    assert caplog.text.count("the ops channel is closed to the bot") == 1
    assert len(channel.messages) == 2


async def test_a_message_that_discord_refuses_does_not_keep_the_outcome_from_being_told(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    channel.faults = [MessageRefusedError("Invalid Form Body")]
    messages.start()
    story = await Story.begin(state, bus)
    await until(lambda: channel.attempts == 1)
    await story.finish()
    await until(lambda: told(state, story.id))
    assert any(title.endswith("succeeded") for title in channel.titles())


async def test_after_a_restart_the_same_live_message_is_finished(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    first = messages.start()
    story = await Story.begin(state, bus)
    await until(lambda: told_id(state, story.id))
    await first.close()
    await story.finish(announced=False)

    messages.start()
    await until(lambda: told(state, story.id))
    assert channel.titles() == ["✅ Deploy v2 to staging", "✅ Deploy v2 to staging: succeeded"]


async def test_after_a_restart_a_deployment_that_was_never_posted_is_told_from_the_journal_alone(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    story = await Story.begin(state, bus)
    await story.finish(Outcome.FAILED, announced=False)
    messages.start()
    await until(lambda: told(state, story.id))
    assert len(channel.messages) == 2


async def test_a_message_whose_id_died_with_its_process_is_found_and_not_posted_twice(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    first = messages.start()
    story = await Story.begin(state, bus)
    await until(lambda: told_id(state, story.id))
    await first.close()
    await state.posts.save(Post(story.id, LIVE, channel.id))  # as if killed between the post and the note of it
    channel.nonces.clear()  # and Discord has forgotten the nonce

    messages.start()
    await story.finish()
    await until(lambda: told(state, story.id))
    assert len(channel.messages) == 2


async def test_a_finished_deployment_is_not_told_again_by_the_next_bot(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    first = messages.start()
    story = await Story.begin(state, bus)
    await story.finish()
    await until(lambda: told(state, story.id))
    await first.close()
    attempts = channel.attempts

    second = messages.start()
    story.tell("deployment.orchestration.completed")
    await bus.drain()
    await second.settled()
    assert channel.attempts == attempts


async def test_old_news_is_not_told(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.ui.live_messages.NEWS", timedelta(seconds=-1))
    old = await Story.begin(state, bus)
    await old.finish(announced=False)
    messages.start()
    fresh = await Story.begin(state, bus, environment="dev")
    await until(lambda: told_id(state, fresh.id))
    assert len(channel.messages) == 1


async def test_a_deployment_that_another_process_carries_is_found_without_any_event(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start()
    story = await Story.begin(state, EventBus())
    await story.finish(announced=False)
    await until(lambda: told(state, story.id))
    assert len(channel.messages) == 2


async def test_a_silent_bot_posts_nothing_until_it_is_given_the_voice(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    leadership = Leadership(is_leader=False)
    messages.start(leadership=leadership)
    story = await Story.begin(state, bus)
    await story.finish()
    await bus.drain()
    assert not channel.messages
    leadership.gain()
    await until(lambda: told(state, story.id))


async def test_the_link_leads_to_the_live_message_or_to_the_channel_where_that_takes_too_long(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    running = messages.start(online=False)
    story = await Story.begin(state, bus)
    assert await running.link(story.id, "dev", within_seconds=0.01) == channel.link()
    running.online()
    assert await running.link(story.id, "dev", within_seconds=5) == channel.link(1000)
