"""Alerts of our own services: raised for what broke, not for what a deployment, a recovery or a person does."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from bot.engine.interface import ContainerEvent
from bot.errors import StateError
from bot.events import EventBus
from bot.models.alert import AlertState, RecoveryStatus, Severity
from bot.models.environment import Environment
from bot.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, StackHealth, Verdict
from bot.models.stack import ServiceDefinition
from bot.monitoring.alert_service import AlertService
from bot.monitoring.collector import Look
from bot.monitoring.service_alerts import ServiceAlerts
from bot.state.manager import StateManager

DEV = Environment("dev", "shop-dev", Path(), (), critical_services=frozenset({"store"}))
WEB = ServiceDefinition("web", "web:v1", "d")
DEFINITIONS = {"web": WEB, "store": ServiceDefinition("store", "store:v1", "d")}


class Scene:
    """Let alerts see what a test shows them."""

    def __init__(self, state: StateManager) -> None:
        self.state, self.bus = state, EventBus()
        self.alert_service = AlertService(state.alerts, self.bus)
        self.now = 0.0
        self.alerts = ServiceAlerts(self.alert_service, state, clock=lambda: self.now)

    async def event(self, action: str, service: str = "web", **attributes: str) -> None:
        happened = ContainerEvent(action, f"c-{service}", service, "shop-dev", attributes)
        await self.alerts.container_event(DEV, happened, DEFINITIONS)

    async def seen(
        self,
        verdict: Verdict,
        service: str = "web",
        state: ContainerState = ContainerState.RUNNING,
        *,
        owned: frozenset[str] = frozenset(),
        begun: float | None = None,
        exit_code: int = 137,
    ) -> None:
        well = HealthStatus.HEALTHY if verdict is Verdict.HEALTHY else HealthStatus.UNHEALTHY
        own = ContainerSnapshot("c1", service, service, state, well, "i", "i", "h", exit_code=exit_code)
        health = ServiceHealth(service, verdict, "its health check fails", (own,))
        stack = StackHealth("dev", verdict, (health,), datetime.now(UTC))
        await self.alerts.observed(DEV, stack, DEFINITIONS, Look(self.now if begun is None else begun, owned))

    def triggered(self) -> int:
        return sum(event.type == "monitoring.alert.triggered" for event in self.bus.history())


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with StateManager(tmp_path / "state") as state:
        scene = Scene(state)
        yield scene
        await scene.bus.close()


async def test_a_process_that_ends_is_an_alert_at_once_and_its_service_says_how_bad(scene: Scene) -> None:
    await scene.event("die", exitCode="137")
    await scene.event("die", "store", exitCode="1")
    web, store = await scene.state.alerts.open()
    assert (web.severity, web.summary) == (Severity.HIGH, "web has ended with code 137.")
    assert store.severity is Severity.CRITICAL


@pytest.mark.parametrize(("later", "summary"), [(1.0, "for want of memory"), (60.0, "with code 137")])
async def test_only_an_end_soon_after_it_is_for_want_of_memory(scene: Scene, later: float, summary: str) -> None:
    await scene.event("oom")  # of a child, perhaps, without which it goes on
    scene.now = later
    await scene.event("die", exitCode="137")
    (alert,) = await scene.state.alerts.open()
    assert alert.summary == f"web has ended {summary}."


async def test_samples_of_known_trouble_are_no_news(scene: Scene) -> None:
    for _ in range(5):
        await scene.seen(Verdict.UNHEALTHY)
    (alert,) = await scene.state.alerts.open()
    assert alert.count == 1
    assert scene.triggered() == 1


async def test_what_is_well_again_is_resolved(scene: Scene) -> None:
    await scene.seen(Verdict.UNHEALTHY)
    await scene.seen(Verdict.HEALTHY)
    assert await scene.state.alerts.open() == ()


async def test_the_end_of_a_healing_decides_when_it_is_over(scene: Scene) -> None:
    await scene.seen(Verdict.UNHEALTHY)
    (alert,) = await scene.state.alerts.open()
    await scene.alert_service.note(alert.id, healing=RecoveryStatus.UNDER_WAY)
    await scene.seen(Verdict.HEALTHY)
    assert len(await scene.state.alerts.open()) == 1
    await scene.alert_service.note(alert.id, healing=RecoveryStatus.SUCCEEDED)
    await scene.seen(Verdict.HEALTHY)
    assert await scene.state.alerts.open() == ()


async def test_what_flaps_is_over_only_after_a_while_of_calm(scene: Scene) -> None:
    for _ in range(3):
        await scene.event("start")
        await scene.event("die", exitCode="1")
        await scene.seen(Verdict.HEALTHY)
    assert len(await scene.state.alerts.open()) == 1
    scene.now = 31.0
    await scene.seen(Verdict.HEALTHY)
    (alert,) = await scene.state.alerts.all()
    assert alert.state is AlertState.RESOLVED


async def test_docker_stop_is_a_warning_that_starts_nothing(scene: Scene) -> None:
    for action in ("kill", "die", "stop"):
        await scene.event(action)
    await scene.seen(Verdict.UNHEALTHY, state=ContainerState.EXITED)
    (alert,) = await scene.state.alerts.open()
    assert alert.severity is Severity.WARNING
    assert "stopped by hand" in alert.title
    assert scene.alerts.is_manual_stop("dev", "web")


async def recover(scene: Scene) -> None:
    """Let a service break, and its recovery be under way."""
    await scene.event("die", exitCode="1")
    (alert,) = await scene.state.alerts.open()
    await scene.alert_service.note(alert.id, healing=RecoveryStatus.UNDER_WAY)
    await scene.event("start")


async def test_what_a_healing_ends_is_nobodys_wish_but_what_somebody_stops_meanwhile_is(scene: Scene) -> None:
    await recover(scene)
    scene.alerts.expect_end("c-web")
    for action in ("kill", "die", "stop", "start"):
        await scene.event(action)
    assert not scene.alerts.is_manual_stop("dev", "web")
    for action in ("kill", "die", "stop"):
        await scene.event(action)
    assert scene.alerts.is_manual_stop("dev", "web")


async def test_what_ends_again_while_it_is_being_healed_is_no_news(scene: Scene) -> None:
    await recover(scene)
    await scene.event("die", exitCode="1")
    (alert,) = await scene.state.alerts.open()
    assert alert.count == 1
    assert not scene.alerts.is_manual_stop("dev", "web")


async def test_a_one_shot_service_that_is_done_is_no_trouble(scene: Scene) -> None:
    done = ContainerEvent("die", "c1", "job", "shop-dev", {"exitCode": "0"})
    job = {"job": ServiceDefinition("job", "job:v1", "d", one_shot=True)}
    await scene.alerts.container_event(DEV, done, job)
    assert await scene.state.alerts.open() == ()


async def test_healing_that_kept_away_has_its_turn_when_the_environment_is_free(scene: Scene) -> None:
    await scene.seen(Verdict.UNHEALTHY)
    (alert,) = await scene.state.alerts.open()
    await scene.alert_service.note(alert.id, healing=RecoveryStatus.KEPT_AWAY)
    await scene.seen(Verdict.UNHEALTHY)
    assert scene.triggered() == 2


async def test_an_engine_that_is_away_is_one_alert_and_ends_none_of_the_others(scene: Scene) -> None:
    await scene.seen(Verdict.UNHEALTHY)
    for _ in range(3):
        await scene.seen(Verdict.UNKNOWN)
    assert sorted(alert.title for alert in await scene.state.alerts.open()) == [
        "dev: the engine is away",
        "dev: web is down",
    ]
    await scene.seen(Verdict.HEALTHY)
    assert await scene.state.alerts.open() == ()


async def test_what_a_deployment_is_changing_raises_no_alert(scene: Scene) -> None:
    await scene.seen(Verdict.UNHEALTHY, owned=frozenset({"web"}))
    assert await scene.state.alerts.open() == ()
    await scene.seen(Verdict.UNHEALTHY)
    assert len(await scene.state.alerts.open()) == 1


async def test_a_bot_that_comes_later_leaves_alone_what_was_stopped_by_hand(scene: Scene) -> None:
    for action in ("kill", "die", "stop"):
        await scene.event(action)
    await scene.seen(Verdict.UNHEALTHY, state=ContainerState.EXITED, exit_code=1)
    later = ServiceAlerts(scene.alert_service, scene.state)
    scene.alerts = later
    await scene.seen(Verdict.UNHEALTHY, state=ContainerState.EXITED, exit_code=1)
    (alert,) = await scene.state.alerts.open()
    assert alert.severity is Severity.WARNING
    assert later.is_manual_stop("dev", "web")


async def test_what_the_journal_refuses_is_written_when_it_takes_it_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise StateError("no room")

    with monkeypatch.context() as full:
        full.setattr(scene.alert_service, "take", refuse)
        with pytest.raises(StateError):
            await scene.event("die", exitCode="1")
    await scene.seen(Verdict.UNHEALTHY)
    (alert,) = await scene.state.alerts.open()
    assert alert.summary == "web has ended with code 1."


@pytest.mark.parametrize("hours", [0, 1, -1])
async def test_a_healing_that_did_not_last_is_seen_by_the_right_clock(scene: Scene, hours: int) -> None:
    await scene.seen(Verdict.UNHEALTHY)
    (alert,) = await scene.state.alerts.open()
    await scene.alert_service.note(alert.id, healing=RecoveryStatus.SUCCEEDED)
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours), tick=True):
        await scene.seen(Verdict.UNHEALTHY)
        assert scene.triggered() == 1
        scene.now += 61.0
        await scene.seen(Verdict.UNHEALTHY)
    assert scene.triggered() == 2


async def test_a_verdict_that_lags_behind_ends_no_alert(scene: Scene) -> None:
    await scene.event("die", exitCode="137")
    await scene.seen(Verdict.HEALTHY, state=ContainerState.EXITED)
    (alert,) = await scene.state.alerts.open()
    await scene.seen(Verdict.UNHEALTHY, state=ContainerState.EXITED)
    (again,) = await scene.state.alerts.open()
    assert (again.title, again.count) == (alert.title, 1)
    assert not scene.alerts.is_manual_stop("dev", "web")


async def test_a_look_that_began_before_the_end_of_a_process_ends_no_alert_of_it(scene: Scene) -> None:
    scene.now = 10.0
    await scene.event("die", exitCode="137")
    await scene.seen(Verdict.HEALTHY, begun=9.9)
    assert len(await scene.state.alerts.open()) == 1
    await scene.seen(Verdict.HEALTHY, begun=10.1)
    assert await scene.state.alerts.open() == ()
