"""The HealthCoordinator announces changes, not samples, and is not fooled by what flaps."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from roas.errors import StateError
from roas.events import EventBus
from roas.health.coordinator import HealthCoordinator
from roas.health.verdicts import HysteresisRules
from roas.models.events import ServiceHealthChanged, StackHealthChanged
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, StackHealth, Verdict
from roas.models.state_change import ChangeType, StateChange

HEALTHY, DEGRADED, UNHEALTHY, UNKNOWN = Verdict.HEALTHY, Verdict.DEGRADED, Verdict.UNHEALTHY, Verdict.UNKNOWN


class Clock:
    """Stand still until told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class MemoryJournal:
    """Keep changes in a list, or refuse to."""

    def __init__(self) -> None:
        self.changes: list[StateChange] = []
        self.broken = False

    async def record(self, change: StateChange) -> None:
        if self.broken:
            raise StateError("The disk is full.")
        self.changes.append(change)


class Scene:
    """Feed a coordinator with verdicts on one service, and hear what it says."""

    def __init__(self, bus: EventBus) -> None:
        self.bus, self.clock, self.journal, self.heard = bus, Clock(), MemoryJournal(), list[ServiceHealthChanged]()
        bus.subscribe(ServiceHealthChanged, self._hear)
        self.health = HealthCoordinator(bus, self.journal, rules=HysteresisRules(), clock=self.clock)

    async def _hear(self, event: ServiceHealthChanged) -> None:
        self.heard.append(event)

    async def see(
        self, verdict: Verdict | None, after: float = 0.0, containers: tuple[ContainerSnapshot, ...] = ()
    ) -> list[tuple[str, str]]:
        """Let time pass, show a verdict (None: the service is gone), and return what was announced by now."""
        self.clock.now += after
        services = () if verdict is None else (ServiceHealth("web", verdict, "because", containers),)
        await self.health.observe(StackHealth("dev", verdict or UNKNOWN, services, datetime.now(UTC)), "because")
        await self.bus.drain()
        return [(event.old, event.new) for event in self.heard]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    bus = EventBus()
    yield Scene(bus)
    await bus.close()


async def test_first_verdict_announced_once(scene: Scene) -> None:
    """It is announced at once, and the same verdict never again."""
    assert await scene.see(HEALTHY) == [("unknown", "healthy")]
    assert await scene.see(HEALTHY, after=60) == [("unknown", "healthy")]


async def test_who_begins_to_look_waits_before_it_calls_anything_unhealthy(scene: Scene) -> None:
    """A new leader may see the middle of somebody's `docker compose up`."""
    assert await scene.see(UNHEALTHY) == []
    assert scene.health.due_in("dev") == pytest.approx(2.0)
    assert await scene.see(HEALTHY, after=1) == [("unknown", "healthy")]


async def test_what_was_created_has_time_to_be_started(scene: Scene) -> None:
    """Compose starts what it has created once what that depends on is well."""
    made = ContainerSnapshot("c", "web-1", "web", ContainerState.CREATED, HealthStatus.NONE, "i", "web", "h")
    assert await scene.see(UNHEALTHY, containers=(made,)) == []
    assert await scene.see(UNHEALTHY, after=29, containers=(made,)) == []
    assert await scene.see(UNHEALTHY, after=1, containers=(made,)) == [("unknown", "unhealthy")]


async def test_announcement_complete_and_journalled_first(scene: Scene) -> None:
    """It says where, what and why, and is in the journal before it is published."""
    await scene.see(UNHEALTHY)
    await scene.see(UNHEALTHY, after=2)
    (heard,) = scene.heard
    assert (heard.environment, heard.service, heard.old, heard.new) == ("dev", "web", Verdict.UNKNOWN, UNHEALTHY)
    assert heard.reason == "because"
    change = scene.journal.changes[0]
    assert (change.type, change.subject, change.new) == (ChangeType.SERVICE_HEALTH_CHANGED, "web", "unhealthy")


async def test_short_dip_not_announced(scene: Scene) -> None:
    await scene.see(HEALTHY)
    await scene.see(UNHEALTHY, after=10)
    assert await scene.see(HEALTHY, after=1) == [("unknown", "healthy")]


async def test_worse_verdict_announced_once_held(scene: Scene) -> None:
    await scene.see(HEALTHY)
    await scene.see(DEGRADED, after=10)
    assert scene.health.due_in("dev") == pytest.approx(2.0)
    assert (await scene.see(UNHEALTHY, after=2))[1:] == [("healthy", "unhealthy")]
    assert scene.health.due_in("dev") is None


async def test_first_recovery_announced_at_once(scene: Scene) -> None:
    await scene.see(UNHEALTHY)
    await scene.see(UNHEALTHY, after=2)
    assert (await scene.see(HEALTHY, after=1))[-1] == ("unhealthy", "healthy")


async def test_flapping_service_stays_unhealthy_until_calm(scene: Scene) -> None:
    await scene.see(HEALTHY)
    for _ in range(10):
        await scene.see(UNHEALTHY, after=5)
        await scene.see(UNHEALTHY, after=3)
        announced = await scene.see(HEALTHY, after=1)
    assert len(announced) == 4  # up, down, up, down: from then on it is held
    assert announced[-1][1] == "unhealthy"
    assert scene.health.due_in("dev") == pytest.approx(30.0)
    assert (await scene.see(HEALTHY, after=30))[-1] == ("unhealthy", "healthy")


async def test_held_verdict_shown_before_latest(scene: Scene) -> None:
    await scene.see(HEALTHY)
    await scene.see(UNHEALTHY, after=1)
    stack = scene.health.stack("dev")
    assert stack is not None
    assert (stack.verdict, stack.services[0].verdict) == (HEALTHY, HEALTHY)
    assert scene.health.verdict("dev", "web") is HEALTHY


async def test_removed_service_is_unknown_and_forgotten(scene: Scene) -> None:
    await scene.see(HEALTHY)
    assert (await scene.see(None))[-1] == ("healthy", "unknown")
    assert len(await scene.see(None)) == 2


async def test_stack_verdict_announced(scene: Scene) -> None:
    await scene.see(UNHEALTHY)
    await scene.see(UNHEALTHY, after=2)
    told = [event for event in scene.bus.history() if isinstance(event, StackHealthChanged)]
    assert [(event.old, event.new) for event in told] == [("unknown", "unhealthy")]


async def test_journal_failure_keeps_announcements(scene: Scene) -> None:
    scene.journal.broken = True
    await scene.see(UNHEALTHY)
    assert await scene.see(UNHEALTHY, after=2) == [("unknown", "unhealthy")]


async def test_engine_away_makes_unseen_services_unknown(scene: Scene) -> None:
    """A service that no release describes has not left its stack because nobody can see it."""
    seen = tuple(ServiceHealth(name, HEALTHY, "") for name in ("extra", "web"))
    await scene.health.observe(StackHealth("dev", HEALTHY, seen, datetime.now(UTC)))
    away = StackHealth("dev", UNKNOWN, (ServiceHealth("web", UNKNOWN, "away"),), datetime.now(UTC), "away")
    await scene.health.observe(away, "away")
    scene.clock.now += 10
    await scene.health.observe(away, "away")
    stack = scene.health.stack("dev")
    assert stack is not None
    assert {service.service: service.verdict for service in stack.services} == {"extra": UNKNOWN, "web": UNKNOWN}
    assert {change.metadata["reason"] for change in scene.journal.changes if change.new == "unknown"} == {"away"}
