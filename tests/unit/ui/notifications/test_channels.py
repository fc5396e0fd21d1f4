"""An environment that has a channel of its own is told of there, and nowhere else."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from roas.alerts.alert_service import AlertService
from roas.events import EventBus
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.deployment import Outcome
from roas.state.manager import StateManager
from roas.ui.notifications.live_messages import LiveMessages
from roas.ui.notifications.notifier import LIVE
from roas.ui.notifications.ops_channel import ChannelClosedError
from roas.ui.notifications.outbox import Outbox, Outboxes
from tests.unit.ui.conftest import QUICK, FakeChannel
from tests.unit.ui.story import Story, until

STORM = 8


class Channels:
    """Hold the ops channel and one of `dev`, and start live messages for both."""

    def __init__(self, state: StateManager, bus: EventBus) -> None:
        self.main, self.dev = FakeChannel(id=1), FakeChannel(id=2)
        self._state, self._bus = state, bus
        self._started: list[LiveMessages] = []

    def start(self, *own: str) -> LiveMessages:
        main = Outbox(self._state, self.main, between_edits=0.1)
        dev = Outbox(self._state, self.dev, between_edits=0.1, setting="ENVIRONMENTS__DEV__OPS_CHANNEL_ID")
        messages = LiveMessages(self._state, self._bus, Outboxes(main, dict.fromkeys(own, dev)), pace=QUICK)
        self._started.append(messages)
        messages.start()
        messages.online()
        return messages

    async def close(self) -> None:
        for messages in self._started:
            await messages.close()


@pytest.fixture
async def channels(state: StateManager, bus: EventBus) -> AsyncIterator[Channels]:
    channels = Channels(state, bus)
    yield channels
    await channels.close()


def trouble(environment: str, number: int = 0, severity: Severity = Severity.WARNING) -> AlertReport:
    title = f"{environment}: web {number} is down"
    return AlertReport(
        f"{environment}{number}", AlertSource.HEALTH, severity, title, environment=environment, service="web"
    )


async def test_each_deployment_is_posted_in_its_channel(state, bus, channels):
    messages = channels.start("dev")
    stories = [await Story.begin(state, bus, environment=name) for name in ("dev", "prod")]
    for story in stories:
        await story.finish(Outcome.SUCCEEDED)
    await until(lambda: len(channels.dev.messages) == len(channels.main.messages) == 2)
    await messages.settled()
    assert all("dev" in title for title in channels.dev.titles())
    assert all("prod" in title for title in channels.main.titles())
    assert await messages.known_link(stories[0].id, "dev") == channels.dev.link(1000)
    assert await messages.known_link(stories[1].id, "prod") == channels.main.link(1000)


async def test_what_happened_while_away_is_posted_in_its_channel(state, bus, channels):
    for name in ("dev", "prod", "dev"):
        await (await Story.begin(state, bus, environment=name)).finish(announced=False)
    await channels.start("dev").settled()
    await until(lambda: len(channels.dev.messages) == 4 and len(channels.main.messages) == 2)


async def test_a_closed_channel_holds_up_no_other(state, bus, channels):
    channels.dev.faults = [ChannelClosedError("Missing Access")] * 10_000
    messages = channels.start("dev")
    for name in ("dev", "prod"):
        await (await Story.begin(state, bus, environment=name)).finish()
    await until(lambda: len(channels.main.messages) == 2)
    await until(lambda: bool(messages.trouble("dev")))
    assert messages.trouble("dev").startswith("<#2>: Nothing can be posted there")
    assert messages.trouble("prod") == messages.trouble("") == ""
    channels.dev.faults.clear()
    await until(lambda: len(channels.dev.messages) == 2)
    await until(lambda: not messages.trouble("dev"))


async def test_trouble_in_the_ops_channel_is_posted_everywhere(state, bus, channels):
    channels.main.faults = [ChannelClosedError("Missing Access")] * 10_000
    messages = channels.start("dev", "staging", "prod")
    await AlertService(state.alerts, bus, str).take([replace(trouble("x"), environment="")])
    await until(lambda: messages.trouble("dev").startswith("<#1>: Nothing can be posted there"))
    assert messages.trouble("") == "Nothing can be posted there: Missing Access"


async def test_what_was_posted_stays_known_when_the_channel_changes(state, bus, channels):
    before = channels.start()
    story = await Story.begin(state, bus, environment="dev")
    await story.finish()
    await until(lambda: len(channels.main.messages) == 2)
    await before.settled()
    await before.close()
    after = channels.start("dev")
    assert await after.known_link(story.id, "dev") == channels.main.link(1000)
    open_one = await Story.begin(state, bus, environment="dev")
    await until(lambda: bool(channels.dev.messages))
    assert (await state.posts.get(open_one.id, LIVE)).channel_id == 2
    assert len(channels.main.messages) == 2, "what is over is not told again"


async def test_each_alert_is_posted_in_its_channel(state, bus, channels):
    channels.start("dev")
    alert_service = AlertService(state.alerts, bus, str)
    await alert_service.take([trouble("dev"), trouble("prod"), replace(trouble("x"), environment="")])
    await until(lambda: len(channels.dev.messages) == 1 and len(channels.main.messages) == 2)
    assert "dev" in channels.dev.titles()[0]
    assert not any("dev" in title for title in channels.main.titles())


async def test_storm_in_one_environment_spares_other_channel(state, bus, channels):
    channels.start("dev")
    alert_service = AlertService(state.alerts, bus, str)
    await alert_service.take([*(trouble("dev", number) for number in range(STORM)), trouble("prod")])
    await until(lambda: bool(channels.dev.messages) and bool(channels.main.messages))

    async def told() -> bool:
        return not await state.alerts.pending_notification()

    await until(told)
    assert len(channels.dev.messages) == 1, "they share a message"
    (alone,) = channels.main.titles()
    assert "prod: web 0 is down" in alone


async def test_alerts_that_share_a_message_stay_together(state, bus, channels):
    before = channels.start()
    alert_service = AlertService(state.alerts, bus, str)
    await alert_service.take([trouble("prod"), *(trouble("dev", number) for number in range(STORM))])
    await until(lambda: len(channels.main.messages) == 1)

    async def told() -> bool:
        return not await state.alerts.pending_notification()

    await until(told)
    await before.close()
    channels.start("dev")
    for alert in await state.alerts.all():
        await alert_service.note(alert.id, "looked at")
    await until(told)
    assert len(channels.main.messages) == 1
    assert channels.dev.messages == {}
