"""The channel shows what the journal says, whatever Discord, the bus or the process do meanwhile."""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from roas.events import EventBus
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import DeploymentKind, Outcome, PhaseStatus, Problem, ServiceProgress, ServiceStep
from roas.models.phases import PhaseName
from roas.models.post import Post
from roas.state.leadership import Leadership
from roas.state.manager import StateManager
from roas.ui.embeds.live import draw_live
from roas.ui.embeds.outcome import draw_outcome
from roas.ui.notifications.notifier import DETAILS, LIVE, OUTCOME, Pace
from roas.ui.notifications.ops_channel import ChannelClosedError, DiscordAwayError, MessageRefusedError, PostError
from tests.unit.ui.conftest import FakeChannel, Messages
from tests.unit.ui.story import Story, until

NO_POLL = Pace(poll=60, first_retry=60, longest_retry=60, longest_retry_closed=60)


async def told(state: StateManager, deployment_id: str, kind: str = OUTCOME) -> bool:
    post = await state.posts.get(deployment_id, kind)
    return post is not None and post.finished


async def test_deployment_has_live_message_and_outcome(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    """The outcome is a new message that replies to the live one."""
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


@pytest.mark.parametrize(
    ("kind", "outcome", "seconds", "approved", "count"),
    [
        (DeploymentKind.DEPLOY, Outcome.SUCCEEDED, 3.2, False, 1),
        (DeploymentKind.HOTFIX, Outcome.SUCCEEDED, 3.2, False, 1),
        (DeploymentKind.DEPLOY, Outcome.SUCCEEDED, 61.0, False, 2),
        (DeploymentKind.DEPLOY, Outcome.SUCCEEDED, 3.2, True, 2),
        (DeploymentKind.ROLLBACK, Outcome.SUCCEEDED, 3.2, False, 2),
        (DeploymentKind.DEPLOY, Outcome.ROLLED_BACK, 3.2, False, 2),
        (DeploymentKind.DEPLOY, Outcome.FAILED, 3.2, False, 2),
        (DeploymentKind.DEPLOY, Outcome.CANCELLED, 3.2, False, 2),
    ],
)
async def test_only_what_notifies_leaves_a_second_message(
    state: StateManager,
    bus: EventBus,
    channel: FakeChannel,
    messages: Messages,
    kind: DeploymentKind,
    outcome: Outcome,
    seconds: float,
    approved: bool,
    count: int,
) -> None:
    """And nothing that no phase warned of opens a thread; a bot that starts later posts nothing again."""
    first = messages.start()
    story = await Story.begin(state, bus, kind=kind)
    await phases(story, last=1)
    request = replace(story.deployment.request, approved_by=Actor(ActorKind.DISCORD, "7", "anna") if approved else None)
    story.deployment = replace(story.deployment, request=request)
    await story.finish(outcome, seconds=seconds)
    await until(lambda: told(state, story.id))
    await first.close()
    messages.start()
    await until(lambda: told(state, story.id, LIVE))
    assert len(channel.messages) == count
    assert not channel.threads
    assert f"{story.id} · outcome" == list(channel.messages.values())[-1].embeds[0].footer.text


async def test_backup_on_schedule_is_no_news(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    """Of one that fails an alert tells: nothing is posted of it, neither by events nor by the look at the journal."""
    messages.start()
    saving = await Story.begin(state, bus, deployment_id="SAVE-01KB0000000000000000000000")
    await saving.finish(Outcome.FAILED, Problem("backup", "the disk is full"))
    story = await Story.begin(state, bus)
    await story.finish()
    await until(lambda: told(state, story.id))
    assert channel.titles() == ["✅ Deploy v2 to staging", "✅ Deploy v2 to staging: succeeded"]


async def test_part_of_a_deployment_is_told_with_that(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    """What one of many hosts does has no message of its own, neither by events nor by the look at the journal."""
    messages.start()
    whole = await Story.begin(state, bus)
    part = await Story.begin(state, bus, environment="staging@a", part_of=whole.id)
    await part.phase(PhaseName.VALIDATION, PhaseStatus.SUCCESS)
    await part.finish(Outcome.FAILED, Problem("service_failed", "web failed."))
    await whole.finish()
    await until(lambda: told(state, whole.id))
    assert channel.titles() == ["✅ Deploy v2 to staging", "✅ Deploy v2 to staging: succeeded"]


async def phases(story: Story, *, first: int = 0, last: int = 2) -> None:
    """End two phases, the second one with a warning and a failure; each is told before the next."""
    ends = (
        (PhaseName.VALIDATION, PhaseStatus.SUCCESS, {"summary": "all checks passed"}),
        (
            PhaseName.EXECUTION,
            PhaseStatus.FAILED,
            {"warnings": ("web is slow",), "problem": Problem("service_failed", "web failed.", "Look.", report="boom")},
        ),
    )
    for name, status, more in ends[first:last]:
        await story.phase(name, status, ended_at=datetime.now(UTC), **more)


async def test_phases_are_told_in_a_thread(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    """With warnings and failure output; another process goes on where the first one ended."""
    first = messages.start()
    story = await Story.begin(state, bus)
    await phases(story, first=1)
    await until(lambda: told(state, story.id, f"{DETAILS}-1"))
    await first.close()
    more = {"summary": "cleaned up", "warnings": ("a volume is left",)}
    await story.phase(PhaseName.COMPLETION, PhaseStatus.SUCCESS, ended_at=datetime.now(UTC), **more)
    messages.start()
    await until(lambda: told(state, story.id, f"{DETAILS}-2"))
    await story.finish()
    await until(lambda: told(state, story.id))
    await until(lambda: told(state, story.id, f"{DETAILS}-2"))
    (live, _outcome) = channel.messages
    (thread,) = channel.threads.values()
    assert thread.id == live
    failed, completed = thread.messages.values()
    assert "web is slow" in str(failed.embeds[0].description)
    assert "web failed." in str(failed.embeds[0].description)
    assert [file.text for file in failed.attachments] == ["boom"]
    assert "cleaned up" in str(completed.embeds[0].description)
    assert "web failed." not in str(completed.embeds[0].description)


@pytest.mark.parametrize(
    "fault", [None, ChannelClosedError("Unknown Channel"), MessageRefusedError("Thread is archived")]
)
async def test_channel_has_all_where_there_is_no_thread(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, fault: PostError | None
) -> None:
    """No permission to open one, one that was deleted, or is archived and locked."""
    channel.may_open = fault is not None
    messages.start()
    story = await Story.begin(state, bus)
    await until(lambda: bool(channel.messages))
    if fault is not None:
        channel.threads[1000] = FakeChannel(id=1000, faults=[fault])
    await phases(story)
    await story.finish(Outcome.FAILED, Problem("service_failed", "web failed.", report="boom"))
    await until(lambda: told(state, story.id))
    live, outcome = channel.messages.values()
    assert "validation" in str(live.embeds[0].description)
    assert [file.text for file in outcome.attachments] == ["boom"]


async def test_thread_that_is_away_holds_up_nothing(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start()
    story = await Story.begin(state, bus)
    await until(lambda: bool(channel.messages))
    thread = channel.threads[1000] = FakeChannel(id=1000, faults=[DiscordAwayError("503")] * 3)
    await phases(story)
    await until(lambda: "❌ execution" in channel.text(1000))
    await until(lambda: told(state, story.id, f"{DETAILS}-1"))
    await story.finish(Outcome.FAILED)
    await until(lambda: told(state, story.id))
    assert "web failed." in "".join(str(drawing.embeds[0].description) for drawing in thread.messages.values())


async def test_burst_becomes_few_edits_with_last_state(
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


async def test_phase_change_shown_soon(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start(Pace(poll=60), between_edits=30)
    story = await Story.begin(state, bus)
    await until(lambda: bool(channel.messages))
    await story.service(ServiceProgress("web", ServiceStep.PULLING))
    await story.phase(PhaseName.VALIDATION, PhaseStatus.IN_PROGRESS)
    await until(lambda: "🔄 validation" in channel.text(1000), within_seconds=2)


async def test_phases_that_pass_quickly_share_an_edit(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    """Of a deployment with nothing to do, all phases are over before anybody could read the first."""
    messages.start(Pace(poll=60), between_edits=30)
    story = await Story.begin(state, bus)
    await until(lambda: bool(channel.messages))
    for phase in (PhaseName.INITIALIZATION, PhaseName.VALIDATION, PhaseName.PREPARATION, PhaseName.EXECUTION):
        for status in (PhaseStatus.IN_PROGRESS, PhaseStatus.SUCCESS):
            await story.phase(phase, status)
            await bus.drain()
    await story.finish()
    await until(lambda: told(state, story.id))
    edits = [moment for what, _id, moment in channel.log if what == "edit"]
    assert len(edits) <= 2
    assert "✅ execution" in channel.text(1000)


async def test_unchanged_message_not_edited(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start()
    story = await Story.begin(state, bus)
    await until(lambda: bool(channel.messages))
    for _time in range(5):
        story.tell_phase()
    await bus.drain()
    await until(lambda: channel.attempts >= 1)
    assert [what for what, _id, _time in channel.log] == ["send"]


async def test_discord_never_delays_deployment(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start(online=False)
    story = await Story.begin(state, bus)
    async with asyncio.timeout(2):
        await story.phase(PhaseName.VALIDATION, PhaseStatus.SUCCESS)
        await story.finish()
        await bus.drain()
    assert not channel.messages


async def test_refused_posts_sent_later_in_order_once(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    channel.faults = [DiscordAwayError("503")] * 5
    messages.start()
    story = await Story.begin(state, bus)
    await story.finish()
    await until(lambda: told(state, story.id))
    assert channel.titles() == ["✅ Deploy v2 to staging", "✅ Deploy v2 to staging: succeeded"]


async def test_post_with_lost_answer_not_repeated(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    channel.lose_answers = 1
    messages.start()
    story = await Story.begin(state, bus)
    await story.finish()
    await until(lambda: told(state, story.id))
    assert len(channel.messages) == 2


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_post_with_lost_answer_shows_what_came_since(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, is_deleted: bool
) -> None:
    """Discord posts a message once, however it was to look the second time; here nobody finds what it posted."""
    channel.hides_messages = True
    messages.start(Pace(poll=60, first_retry=0.2, longest_retry=0.2))
    if is_deleted:
        story = await Story.begin(state, bus)
        await until(lambda: told_id(state, story.id))
        channel.messages.clear()
        channel.lose_answers = 1
        await story.phase(PhaseName.VALIDATION, PhaseStatus.IN_PROGRESS)
    else:
        channel.lose_answers = 1
        story = await Story.begin(state, bus)
    await until(lambda: channel.lose_answers == 0)
    await story.phase(PhaseName.VALIDATION, PhaseStatus.SUCCESS)
    await story.finish()
    await until(lambda: told(state, story.id))
    live = await state.posts.get(story.id, LIVE)
    assert live is not None
    assert live.message_id is not None
    assert "✅ validation" in channel.text(live.message_id)
    assert len(channel.messages) == 2


async def test_next_bot_shows_what_came_since_a_lost_answer(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    channel.hides_messages, channel.lose_answers = True, 1
    first = messages.start(NO_POLL)
    story = await Story.begin(state, bus)
    await until(lambda: channel.lose_answers == 0)
    await first.close()
    await story.phase(PhaseName.VALIDATION, PhaseStatus.SUCCESS)
    messages.start()
    await until(lambda: "✅ validation" in channel.text(1000), within_seconds=5)


async def test_reconnect_ends_retry_wait(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    channel.faults = [DiscordAwayError("503")]
    running = messages.start(NO_POLL)
    await Story.begin(state, bus)
    await until(lambda: channel.attempts == 1)
    await asyncio.to_thread(lambda: None)
    running.online()
    await until(lambda: bool(channel.messages), within_seconds=2)


async def test_deleted_live_message_posted_again(
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


async def test_closed_channel_logged_once_and_reused(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, caplog: pytest.LogCaptureFixture
) -> None:
    """It is used again when it opens."""
    channel.faults = [ChannelClosedError("Missing Permissions")] * 6
    messages.start()
    story = await Story.begin(state, bus)
    await story.finish()
    await until(lambda: told(state, story.id))
    assert caplog.text.count("ops channel is not accessible") == 1
    assert len(channel.messages) == 2


async def test_refused_message_does_not_block_outcome(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    channel.faults = [MessageRefusedError("Invalid Form Body")]
    messages.start()
    story = await Story.begin(state, bus)
    await until(lambda: channel.attempts == 1)
    await story.finish()
    await until(lambda: told(state, story.id))
    assert any(title.endswith("succeeded") for title in channel.titles())


async def test_restart_finishes_same_live_message(
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


async def test_unposted_deployment_posted_from_journal(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    """After a restart the journal alone suffices."""
    story = await Story.begin(state, bus)
    await story.finish(Outcome.FAILED, announced=False)
    messages.start()
    await until(lambda: told(state, story.id))
    assert len(channel.messages) == 2


async def test_message_with_lost_id_found(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    """A message whose ID died with its process is not posted twice."""
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


async def test_finished_deployment_not_posted_again(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    first = messages.start()
    story = await Story.begin(state, bus)
    await story.finish()
    await until(lambda: told(state, story.id))
    await first.close()
    attempts = channel.attempts

    second = messages.start()
    story.tell_end()
    await bus.drain()
    await second.settled()
    assert channel.attempts == attempts


async def test_old_deployment_not_posted(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roas.ui.notifications.live_messages.NEWS", timedelta(seconds=-1))
    old = await Story.begin(state, bus)
    await old.finish(announced=False)
    messages.start()
    fresh = await Story.begin(state, bus, environment="dev")
    await until(lambda: told_id(state, fresh.id))
    assert len(channel.messages) == 1


async def test_foreign_deployment_found_without_event(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start()
    story = await Story.begin(state, EventBus())
    await story.finish(announced=False)
    await until(lambda: told(state, story.id))
    assert len(channel.messages) == 2


async def test_standby_posts_nothing_until_leader(
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


async def test_link_falls_back_to_channel(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    """It leads to the live message, or to the channel where that takes too long."""
    running = messages.start(online=False)
    story = await Story.begin(state, bus)
    assert await running.link(story.id, "dev", within_seconds=0.01) == channel.link()
    running.online()
    assert await running.link(story.id, "dev", within_seconds=5) == channel.link(1000)


@pytest.mark.parametrize("seed", range(3))
async def test_last_state_is_shown_whatever_discord_does(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, seed: int
) -> None:
    """It refuses, loses answers, and people delete messages, at any moment."""
    chance = random.Random(seed)
    messages.start(between_edits=0.02)
    story = await Story.begin(state, bus)
    for number in range(60):
        match chance.choice(("phase", "service", "service", "fault", "lose", "delete", "rest", "rest")):
            case "phase":
                await story.phase(chance.choice([*PhaseName][:5]), chance.choice([*PhaseStatus]))
            case "service":
                await story.service(ServiceProgress("web", ServiceStep.PULLING, detail=f"step {number}"))
            case "fault":
                channel.faults.append(DiscordAwayError("429"))
            case "lose":
                channel.lose_answers += 1
            case "delete" if channel.messages:
                channel.messages.pop(chance.choice([*channel.messages]))
            case _:
                await asyncio.sleep(chance.choice((0, 0.01, 0.05)))
    await story.service(ServiceProgress("web", ServiceStep.HEALTHY))
    await story.finish()
    await until(lambda: told(state, story.id))
    live, outcome = (await state.posts.get(story.id, LIVE), await state.posts.get(story.id, OUTCOME))
    deployment = await state.deployments.get(story.id)
    assert channel.messages[live.message_id].embeds[0].description == draw_live(deployment).embeds[0].description
    assert [channel.messages[outcome.message_id]] == [draw_outcome(deployment)]
    assert len(channel.messages) == 2
