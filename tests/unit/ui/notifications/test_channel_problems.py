"""A bot that lost leadership says nothing any more, not even to the end of its sentence; the other one goes on."""

import asyncio
from typing import Any

import pytest

from roas.events import EventBus
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.state.leadership import Leadership
from roas.state.manager import StateManager
from tests.unit.ui.conftest import FakeChannel, Messages
from tests.unit.ui.story import until

SEVERAL_LOOKS_SECONDS = 0.5


async def trouble(state: StateManager, *names: str) -> None:
    """Let another process raise alerts."""
    reports = [
        AlertReport(name, AlertSource.HEALTH, Severity.HIGH, f"dev: {name} is down", environment="dev", service=name)
        for name in names
    ]
    await state.alerts.take(reports)


async def all_told(state: StateManager) -> bool:
    return not await state.alerts.pending_notification()


@pytest.mark.usefixtures("hurried_time")
async def test_only_leader_posts_alerts(state: StateManager, bus: EventBus, channel: FakeChannel) -> None:
    """However often leadership passes."""
    other_channel = FakeChannel()
    other_channel.messages, other_channel.nonces, other_channel.ids = channel.messages, channel.nonces, channel.ids
    first, second = Leadership(), Leadership(is_leader=False)
    bots = [Messages(state, bus, item) for item in (channel, other_channel)]
    for bot, leadership in zip(bots, (first, second), strict=True):
        bot.start(leadership=leadership)
    await trouble(state, "web")
    await until(lambda: all_told(state))
    assert (channel.attempts > 0, other_channel.attempts) == (True, 0)

    for previous_leader, former_channel, next_leader in ((first, channel, second), (second, other_channel, first)):
        previous_leader.lose()
        attempts = former_channel.attempts
        await trouble(state, "web", *(f"{number}" for number in range(9)))  # a storm, which nobody may regroup
        await asyncio.sleep(SEVERAL_LOOKS_SECONDS)
        assert not await all_told(state)
        next_leader.gain()
        await until(lambda: all_told(state))
        assert former_channel.attempts == attempts
    assert len(channel.messages) == len({drawing.key for drawing in channel.messages.values()}) == 2
    for bot in bots:
        await bot.started[0].close()


@pytest.mark.usefixtures("hurried_time")
async def test_pending_post_dropped_and_sent_by_leader(
    state: StateManager, messages: Messages, channel: FakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """discord.py itself repeats a request for long; what it repeats after a handover would be attempts out of turn."""
    under_way, given_up = asyncio.Event(), asyncio.Event()
    send = channel.send

    async def hang(*arguments: Any, **more: Any) -> int:
        under_way.set()
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            given_up.set()

    monkeypatch.setattr(channel, "send", hang)
    leadership = Leadership()
    messages.start(leadership=leadership)
    await trouble(state, "web")
    async with asyncio.timeout(5):
        await under_way.wait()
        leadership.lose()
        await given_up.wait()
    monkeypatch.setattr(channel, "send", send)
    await asyncio.sleep(SEVERAL_LOOKS_SECONDS)
    assert not channel.messages
    leadership.gain()
    await until(lambda: all_told(state))
    assert len(channel.messages) == 1
