"""Whatever is posted goes out once, in order, not too often, and as far as the permissions go."""

import asyncio
import itertools
import re

import discord
import pytest

from roas.events import EventBus
from roas.models.deployment import Outcome, PhaseStatus, Problem
from roas.models.phases import PhaseName
from roas.state.manager import StateManager
from roas.ui.drawing import Drawing, MissingPermission
from roas.ui.notifications.live_messages import LiveMessages
from roas.ui.notifications.ops_channel import DiscordAwayError
from roas.ui.translation import using_locale
from tests.unit.ui.conftest import FakeChannel, Messages
from tests.unit.ui.notifications.test_alert_notifier import a_report, open_alert_service
from tests.unit.ui.notifications.test_live_messages import told
from tests.unit.ui.story import Story, until

FAILED = Problem("unhealthy", "web is unhealthy", "Mend it.", "web", "connection refused")


def needs_a_file(drawing: Drawing, _reply_to: int | None) -> bool:
    return bool(drawing.attachments)


def needs_embeds(drawing: Drawing, _reply_to: int | None) -> bool:
    return bool(drawing.embeds)


async def failed(state: StateManager, bus: EventBus, environment: str = "staging") -> Story:
    story = await Story.begin(state, bus, environment=environment)
    await story.finish(Outcome.FAILED, FAILED)
    await until(lambda: told(state, story.id))
    return story


@pytest.mark.parametrize(
    "missing",
    [
        {MissingPermission.FILES},
        {MissingPermission.HISTORY},
        {MissingPermission.EMBEDS},
        {MissingPermission.FILES, MissingPermission.HISTORY},
        set(MissingPermission) - {MissingPermission.SEND},
    ],
)
async def test_outcome_omits_only_unpermitted_parts(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, missing: set[MissingPermission]
) -> None:
    """The missing permission is named."""

    def forbids(drawing: Drawing, reply_to: int | None) -> bool:
        return bool(missing & (drawing.needs | (set() if reply_to is None else {MissingPermission.HISTORY})))

    channel.forbids = forbids
    running = messages.start()
    await failed(state, bus)
    live, outcome = channel.messages
    posted = channel.messages[outcome]
    assert bool(posted.embeds) is (MissingPermission.EMBEDS not in missing)
    assert bool(posted.attachments) is (MissingPermission.FILES not in missing)
    assert channel.replies[outcome] == (None if MissingPermission.HISTORY in missing else live)
    named = {
        missing_permission
        for missing_permission in MissingPermission
        if missing_permission.value in running.trouble("")
    }
    assert named == missing & {MissingPermission.FILES, MissingPermission.EMBEDS, MissingPermission.HISTORY}


async def test_known_missing_permission_tried_once(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    """It costs no more than one try a message."""
    channel.forbids = lambda drawing, reply_to: bool(drawing.embeds or drawing.attachments) or reply_to is not None
    messages.start()
    await failed(state, bus, "dev")
    attempts = channel.attempts
    await failed(state, bus, "staging")
    assert channel.attempts <= attempts + 2 * len(("live", "outcome", "the live one's end"))


async def test_unpostable_channel_lacks_send_permission(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    channel.forbids = lambda _drawing, _reply_to: True
    running = messages.start()
    await Story.begin(state, bus)
    await until(lambda: running.trouble("") == "Nothing can be posted there: the bot lacks Send Messages.")
    with using_locale("zh-TW"):
        assert running.trouble("") == "無法在該頻道發布訊息：機器人缺少「傳送訊息」權限。"


async def test_missing_embed_permission_falls_back_to_text(
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


async def test_missing_permission_reported_until_granted(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, caplog: pytest.LogCaptureFixture
) -> None:
    channel.forbids = needs_a_file
    running = messages.start()
    for environment in ("dev", "staging", "prod"):
        await failed(state, bus, environment)
    assert caplog.text.count("permission missing in the ops channel") == 1
    assert running.trouble("") == "The bot lacks Attach Files there: messages are posted without what needs it."
    with using_locale("zh-TW"):
        assert running.trouble("") == "機器人在該頻道缺少「附加檔案」權限：訊息會略過需要該權限的部分發布。"
    channel.forbids = lambda _drawing, _reply_to: False
    await failed(state, bus, "dev")
    assert running.trouble("") == ""
    assert list(channel.messages.values())[-1].attachments


async def test_deleted_message_logged_once_and_in_status(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages, caplog: pytest.LogCaptureFixture
) -> None:
    running = messages.start()
    story = await Story.begin(state, bus)
    await until(lambda: bool(channel.messages))
    channel.messages.clear()
    calls = itertools.count(1)

    def is_away(_drawing: Drawing, _reply_to: int | None) -> bool:
        if (call := next(calls)) <= 6 and call % 2 == 0:  # an edit finds nothing, then the new message does not go out
            raise DiscordAwayError("503")
        return False

    channel.forbids = is_away
    await story.phase(PhaseName.VALIDATION, PhaseStatus.SUCCESS)
    await until(lambda: bool(channel.messages))
    await until(lambda: "posted again: 1" in running.trouble(""))
    assert caplog.text.count("a message was deleted and is posted again") == 1


async def test_deployments_and_alerts_posted_in_order(
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
    await open_alert_service(state, bus).take([a_report()])
    attempts = channel.attempts
    await until(lambda: channel.attempts > attempts + 40)
    assert not channel.messages, "the alert overtook the deployment"
    channel.forbids = lambda _drawing, _reply_to: False
    await until(lambda: len(channel.messages) == 2)
    assert channel.titles() == ["🚀 Deploy v2 to staging", "🟡 dev: web is down"]
    await story.finish()


async def test_order_kept_after_restart(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    channel.faults = [DiscordAwayError("503")] * 10_000
    killed = messages.start()
    alert_service = open_alert_service(state, bus)
    for number in range(3):
        await alert_service.take([a_report(2 * number, title=f"news {2 * number}")])
        story = await Story.begin(state, bus, environment=f"e{number}", version=f"news {2 * number + 1}")
        await story.finish(announced=False)
    await killed.close()
    channel.faults = []

    messages.start()
    await until(lambda: len(channel.messages) == 9)
    news = [re.search(r"news \d", title) for title in channel.titles() if "succeeded" not in title]
    assert [found[0] for found in news if found] == [f"news {number}" for number in range(6)]


async def test_alert_does_not_block_deployment(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    messages.start()
    await open_alert_service(state, bus).take([a_report()])
    await until(lambda: bool(channel.messages))
    await failed(state, bus)
    assert len(channel.messages) == 3


async def test_next_bot_posts_outcome_of_killed_one(
    state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages
) -> None:
    """It is posted once, where only the intent was written."""
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


async def test_two_bots_post_once(state: StateManager, bus: EventBus, channel: FakeChannel, messages: Messages) -> None:
    messages.start()
    messages.start()
    await asyncio.gather(*(failed(state, bus, environment) for environment in ("dev", "staging")))
    assert len(channel.messages) == 4


def test_text_fallback_never_too_long() -> None:
    embed = discord.Embed(title="t" * 250, description="d" * 4000).set_footer(text="DEPLOY-1")
    text = Drawing("DEPLOY-1", (embed,)).without({MissingPermission.EMBEDS})
    assert len(text.content) <= 2000
    assert text.content.endswith("\nDEPLOY-1")
    assert text.embeds == ()
