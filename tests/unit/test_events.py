"""Events reach who wants them; no subscriber hurts another."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from roas.events import EventBus
from roas.models import events
from roas.models.deployment import PhaseStatus
from roas.models.events import DeploymentEnded, DeploymentEvent, Event, PhaseChanged
from tests.unit.sample_events import Work, ended, phase

NAMES = [
    "candidate.changed",
    "deployment.approval.changed",
    "deployment.cancel.requested",
    "deployment.dependencies.resolved",
    "deployment.initialization.started",
    "deployment.orchestration.completed",
    "deployment.pause.decided",
    "deployment.paused",
    "deployment.phase.changed",
    "deployment.preparation.start",
    "deployment.service.progressed",
    "deployment.service.started",
    "deployment.stood_still",
    "environment.validation.completed",
    "error.auto_handling.start",
    "error.recovery.completed",
    "integration.alert.cleared",
    "integration.alert.triggered",
    "monitoring.alert.changed",
    "monitoring.alert.resolved",
    "monitoring.alert.triggered",
    "monitoring.health.changed",
    "monitoring.health_check.completed",
    "monitoring.health_check.start",
    "monitoring.service.start",
    "monitoring.stack_health.changed",
    "release.created",
]


@pytest.fixture
async def bus() -> AsyncIterator[EventBus]:
    bus = EventBus(history_length=3)
    yield bus
    await bus.close()


def listener(seen: list[int]):
    async def listen(event: Work) -> None:
        seen.append(event.number)

    return listen


@pytest.mark.parametrize(
    ("kind", "heard"),
    [
        (PhaseChanged, [PhaseChanged]),
        (DeploymentEvent, [PhaseChanged, DeploymentEnded]),
        (Event, [PhaseChanged, DeploymentEnded, Work]),
    ],
)
async def test_kind_matches_derived_kinds(bus, kind, heard):
    seen: list[type[Event]] = []

    async def listen(event: Event) -> None:
        seen.append(type(event))

    bus.subscribe(kind, listen)
    for event in (phase(PhaseStatus.SUCCESS), ended(), Work()):
        bus.publish(event)
    await bus.drain()
    assert seen == heard


def test_every_kind_has_its_own_name():
    """Logs, metrics and the journal know a kind by its name; these are the names that they have always known."""
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)]
    named = [kind.type for kind in kinds if "type" in vars(kind) and kind is not events.Event]
    assert sorted(named) == NAMES
    assert not [kind for kind in kinds if "type" not in vars(kind) and not kind.__subclasses__()]


async def test_event_id_handled_once(bus):
    seen: list[int] = []
    bus.subscribe(Work, listener(seen))
    event = Work(number=1)
    assert bus.publish(event)
    assert not bus.publish(event)
    await bus.drain()
    assert seen == [1]


async def test_failing_subscriber_isolated_and_counted(bus):
    seen: list[int] = []

    async def fail(_: Event) -> None:
        raise RuntimeError("planted")

    broken = bus.subscribe(Work, fail, name="broken")
    bus.subscribe(Work, listener(seen))
    bus.publish(Work(number=1))
    bus.publish(Work(number=2))
    await bus.drain()
    assert seen == [1, 2]
    assert broken.statistics.failed == 2
    assert "planted" in broken.statistics.last_error


async def test_hung_subscriber_isolated_and_continues(bus):
    """It goes on with the next event."""
    seen: list[int] = []
    hung: list[int] = []

    async def hang(event: Work) -> None:
        if event.number == 1:
            await asyncio.Event().wait()
        hung.append(event.number)

    hanging = bus.subscribe(Work, hang, deadline_seconds=0.05)
    bus.subscribe(Work, listener(seen))
    bus.publish(Work(number=1))
    bus.publish(Work(number=2))
    await bus.drain()
    assert seen == [1, 2]
    assert hung == [2]
    assert hanging.statistics.timed_out == 1


async def test_events_arrive_in_order(bus):
    seen: list[int] = []
    bus.subscribe(Work, listener(seen))
    for number in range(100):
        bus.publish(Work(number=number))
    await bus.drain()
    assert seen == list(range(100))


async def test_unsubscribed_receives_nothing(bus):
    seen: list[int] = []
    subscription = bus.subscribe(Work, listener(seen))
    await bus.unsubscribe(subscription)
    bus.publish(Work(number=1))
    await bus.drain()
    assert seen == []


async def test_drain_waits_for_follow_up_events(bus):
    seen: list[int] = []

    async def lead(_event: DeploymentEnded) -> None:
        bus.publish(Work(number=2))

    bus.subscribe(DeploymentEnded, lead)
    bus.subscribe(Work, listener(seen))
    bus.publish(ended())
    await bus.drain()
    assert seen == [2]


async def test_history_bounded(bus):
    for number in range(5):
        bus.publish(Work(number=number))
    assert [event.number for event in bus.history()] == [2, 3, 4]


async def test_handlings_since_a_time_newest_first(bus):
    subscription = bus.subscribe(Work, listener([]), name="counter")
    for _ in range(3):
        bus.publish(Work(number=1))
    await bus.drain()
    first, second, third = subscription.recent
    assert [*subscription.handled_since(first.ended)] == [third, second, first]
    assert [*subscription.handled_since(third.ended)] == [third]
    assert [*subscription.handled_since(third.ended + 1)] == []


async def test_old_handlings_dropped(bus, monkeypatch):
    """A bot that works for weeks holds what its figures look at, and no more."""
    subscription = bus.subscribe(Work, listener([]), name="counter")
    for number in range(3):
        bus.publish(Work(number=number))
    await bus.drain()
    last = subscription.recent[-1]
    monkeypatch.setattr("roas.events.REMEMBERED_SECONDS", 0.0)
    bus.publish(Work(number=3))
    await bus.drain()
    assert last not in subscription.recent
    assert len(subscription.recent) == 1


async def test_ids_remembered_are_those_of_the_history(bus):
    """Each id of a bus that is used for weeks would be kept for good otherwise."""
    repeated = [Work(number=number) for number in range(4)]
    assert all(bus.publish(event) for event in repeated)
    assert [bus.publish(event) for event in reversed(repeated)] == [False, False, False, True]
