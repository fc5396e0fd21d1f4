"""Events reach who wants them; no subscriber hurts another."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from roas.events import Event, EventBus


@pytest.fixture
async def bus() -> AsyncIterator[EventBus]:
    bus = EventBus(history_length=3)
    yield bus
    await bus.close()


def listener(seen: list[str]):
    async def listen(event: Event) -> None:
        seen.append(event.type)

    return listen


@pytest.mark.parametrize(
    ("pattern", "heard"),
    [
        ("deployment.started", ["deployment.started"]),
        ("deployment.*", ["deployment.started", "deployment.phase.changed"]),
        ("*", ["deployment.started", "deployment.phase.changed", "deploymentx"]),
    ],
)
async def test_pattern_matches_named_types(bus, pattern, heard):
    seen: list[str] = []
    bus.subscribe(pattern, listener(seen))
    for event_type in ("deployment.started", "deployment.phase.changed", "deploymentx"):
        bus.publish(Event(event_type, "test"))
    await bus.drain()
    assert seen == heard


async def test_event_id_handled_once(bus):
    seen: list[str] = []
    bus.subscribe("*", listener(seen))
    event = Event("a", "test")
    assert bus.publish(event)
    assert not bus.publish(event)
    await bus.drain()
    assert seen == ["a"]


async def test_failing_subscriber_isolated_and_counted(bus):
    seen: list[str] = []

    async def fail(_: Event) -> None:
        raise RuntimeError("planted")

    broken = bus.subscribe("*", fail, name="broken")
    bus.subscribe("*", listener(seen))
    bus.publish(Event("a", "test"))
    bus.publish(Event("b", "test"))
    await bus.drain()
    assert seen == ["a", "b"]
    assert broken.statistics.failed == 2
    assert "planted" in broken.statistics.last_error


async def test_hung_subscriber_isolated_and_continues(bus):
    """It goes on with the next event."""
    seen: list[str] = []
    hung: list[str] = []

    async def hang(event: Event) -> None:
        if event.type == "a":
            await asyncio.Event().wait()
        hung.append(event.type)

    hanging = bus.subscribe("*", hang, deadline_seconds=0.05)
    bus.subscribe("*", listener(seen))
    bus.publish(Event("a", "test"))
    bus.publish(Event("b", "test"))
    await bus.drain()
    assert seen == ["a", "b"]
    assert hung == ["b"]
    assert hanging.statistics.timed_out == 1


async def test_events_arrive_in_order(bus):
    seen: list[str] = []
    bus.subscribe("*", listener(seen))
    for number in range(100):
        bus.publish(Event(str(number), "test"))
    await bus.drain()
    assert seen == [str(number) for number in range(100)]


async def test_unsubscribed_receives_nothing(bus):
    seen: list[str] = []
    subscription = bus.subscribe("*", listener(seen))
    await bus.unsubscribe(subscription)
    bus.publish(Event("a", "test"))
    await bus.drain()
    assert seen == []


async def test_drain_waits_for_follow_up_events(bus):
    seen: list[str] = []

    async def lead(event: Event) -> None:
        bus.publish(Event("second", "test"))

    bus.subscribe("first", lead)
    bus.subscribe("second", listener(seen))
    bus.publish(Event("first", "test"))
    await bus.drain()
    assert seen == ["second"]


async def test_history_bounded(bus):
    for number in range(5):
        bus.publish(Event(str(number), "test"))
    assert [event.type for event in bus.history()] == ["2", "3", "4"]
