"""Alerts of our own services: raised for what broke, not for what a deployment, a recovery or a person does."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from roas.alerts.alert_service import AlertService
from roas.alerts.service_alerts import ServiceAlerts
from roas.errors import StateError
from roas.events import EventBus
from roas.health.collector import Observation
from roas.health.verdicts import judge_service
from roas.models.alert import AlertState, RecoveryStatus, Severity
from roas.models.deployment import Outcome, ServiceProgress, ServiceStep
from roas.models.environment import Environment
from roas.models.events import AlertTriggered
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, StackHealth, Verdict
from roas.models.rollout import RolloutRecord, RolloutState
from roas.models.stack import ServiceDefinition
from roas.stack.interface import ContainerEvent
from roas.state.manager import StateManager
from tests.unit.state.samples import a_deployment

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
        health = ServiceHealth(service, verdict, "fails its health check", (own,))
        stack = StackHealth("dev", verdict, (health,), datetime.now(UTC))
        await self.alerts.observed(DEV, stack, DEFINITIONS, Observation(self.now if begun is None else begun, owned))

    def triggered(self) -> int:
        return sum(isinstance(event, AlertTriggered) for event in self.bus.history())


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with StateManager(tmp_path / "state") as state:
        scene = Scene(state)
        yield scene
        await scene.bus.close()


async def test_dead_process_alerts_with_service_severity(scene: Scene) -> None:
    await scene.event("die", exitCode="137")
    await scene.event("die", "store", exitCode="1")
    web, store = await scene.state.alerts.open()
    assert (web.severity, web.summary) == (Severity.HIGH, "web has ended with code 137.")
    assert store.severity is Severity.CRITICAL


@pytest.mark.parametrize(
    ("later", "summary"), [(9.0, "has ended because it ran out of memory"), (11.0, "has ended with code 137")]
)
async def test_only_exit_soon_after_oom_is_oom(scene: Scene, later: float, summary: str) -> None:
    await scene.event("oom")  # of a child, perhaps, without which it goes on
    scene.now = later
    await scene.event("die", exitCode="137")
    (alert,) = await scene.state.alerts.open()
    assert alert.summary == f"web {summary}."


@pytest.mark.parametrize(("code", "starved"), [(1, False), (137, True)])
async def test_look_says_what_an_event_says(scene: Scene, code: int, starved: bool) -> None:
    """Whoever sees it first: a sentence has a subject."""
    ended = ContainerSnapshot(
        "c1", "web", "web", ContainerState.EXITED, HealthStatus.NONE, "i", "i", "h", exit_code=code, oom_killed=starved
    )
    health = judge_service(WEB, [ended])
    stack = StackHealth("dev", health.verdict, (health,), datetime.now(UTC))
    await scene.alerts.observed(DEV, stack, DEFINITIONS, Observation(scene.now, frozenset()))
    (looked,) = await scene.state.alerts.open()
    if starved:
        await scene.event("oom")
    await scene.event("die", exitCode=str(code))
    (told,) = await scene.state.alerts.open()
    assert looked.summary == told.summary
    assert told.summary.startswith("web has ended ")


async def test_repeated_bad_samples_raise_one_alert(scene: Scene) -> None:
    for _ in range(5):
        await scene.seen(Verdict.UNHEALTHY)
    (alert,) = await scene.state.alerts.open()
    assert alert.count == 1
    assert scene.triggered() == 1


async def test_healthy_service_resolves_alert(scene: Scene) -> None:
    await scene.seen(Verdict.UNHEALTHY)
    await scene.seen(Verdict.HEALTHY)
    assert await scene.state.alerts.open() == ()


async def test_alert_open_until_recovery_ends(scene: Scene) -> None:
    await scene.seen(Verdict.UNHEALTHY)
    (alert,) = await scene.state.alerts.open()
    await scene.alert_service.note(alert.id, healing=RecoveryStatus.UNDER_WAY)
    await scene.seen(Verdict.HEALTHY)
    assert len(await scene.state.alerts.open()) == 1
    await scene.alert_service.note(alert.id, healing=RecoveryStatus.SUCCEEDED)
    await scene.seen(Verdict.HEALTHY)
    assert await scene.state.alerts.open() == ()


async def test_flapping_alert_resolves_after_calm(scene: Scene) -> None:
    for _ in range(3):
        await scene.event("start")
        await scene.event("die", exitCode="1")
        await scene.seen(Verdict.HEALTHY)
    assert len(await scene.state.alerts.open()) == 1
    scene.now = 29.0
    await scene.seen(Verdict.HEALTHY)
    assert len(await scene.state.alerts.open()) == 1, "half a minute without trouble"
    scene.now = 31.0
    await scene.seen(Verdict.HEALTHY)
    (alert,) = await scene.state.alerts.all()
    assert alert.state is AlertState.RESOLVED


async def test_docker_stop_warns_without_recovery(scene: Scene) -> None:
    for action in ("kill", "die", "stop"):
        await scene.event(action)
    await scene.seen(Verdict.UNHEALTHY, state=ContainerState.EXITED)
    (alert,) = await scene.state.alerts.open()
    assert alert.severity is Severity.WARNING
    assert "stopped manually" in alert.title
    assert scene.alerts.is_manual_stop("dev", "web")


@pytest.mark.parametrize(
    ("actions", "state", "command"),
    [
        (("kill", "die", "stop"), ContainerState.EXITED, "`roas start dev web`"),
        (("pause",), ContainerState.PAUSED, "`roas compose dev -- unpause web`"),
        ((), ContainerState.EXITED, "`roas start dev web`"),
    ],
    ids=["stopped", "paused", "stopped before the bot began"],
)
async def test_what_is_left_stopped_comes_with_how_to_start_it(
    scene: Scene, actions: tuple[str, ...], state: ContainerState, command: str
) -> None:
    for action in actions:
        await scene.event(action)
    await scene.seen(Verdict.UNHEALTHY, state=state)
    (alert,) = await scene.state.alerts.open()
    assert alert.severity is Severity.WARNING
    assert command in alert.summary


async def test_service_of_which_a_part_runs_is_not_called_stopped(scene: Scene) -> None:
    """Somebody's `docker compose up -d` removed a replica that its files do not name."""
    await scene.event("destroy")
    await scene.seen(Verdict.UNHEALTHY, state=ContainerState.RUNNING)
    (alert,) = await scene.state.alerts.open()
    assert alert.title == "dev: a part of web is stopped"
    assert "To bring back the rest: `/start web`" in alert.summary


async def recover(scene: Scene) -> None:
    """Let a service break, and its recovery be under way."""
    await scene.event("die", exitCode="1")
    (alert,) = await scene.state.alerts.open()
    await scene.alert_service.note(alert.id, healing=RecoveryStatus.UNDER_WAY)
    await scene.event("start")


async def test_recovery_stop_is_no_manual_stop(scene: Scene) -> None:
    """A stop by somebody during the recovery is a manual stop all the same."""
    await recover(scene)
    scene.alerts.expect_end("c-web")
    for action in ("kill", "die", "stop", "start"):
        await scene.event(action)
    assert not scene.alerts.is_manual_stop("dev", "web")
    for action in ("kill", "die", "stop"):
        await scene.event(action)
    assert scene.alerts.is_manual_stop("dev", "web")


async def test_exit_during_recovery_raises_no_alert(scene: Scene) -> None:
    await recover(scene)
    await scene.event("die", exitCode="1")
    (alert,) = await scene.state.alerts.open()
    assert alert.count == 1
    assert not scene.alerts.is_manual_stop("dev", "web")


async def test_finished_one_shot_raises_no_alert(scene: Scene) -> None:
    done = ContainerEvent("die", "c1", "job", "shop-dev", {"exitCode": "0"})
    job = {"job": ServiceDefinition("job", "job:v1", "d", one_shot=True)}
    await scene.alerts.container_event(DEV, done, job)
    assert await scene.state.alerts.open() == ()


async def test_postponed_recovery_triggered_again(scene: Scene) -> None:
    """A recovery that kept away begins when the environment is free."""
    await scene.seen(Verdict.UNHEALTHY)
    (alert,) = await scene.state.alerts.open()
    await scene.alert_service.note(alert.id, healing=RecoveryStatus.DEFERRED)
    await scene.seen(Verdict.UNHEALTHY)
    assert scene.triggered() == 2


async def test_lost_engine_is_one_alert_and_keeps_others(scene: Scene) -> None:
    await scene.seen(Verdict.UNHEALTHY)
    for _ in range(3):
        await scene.seen(Verdict.UNKNOWN)
    assert sorted(alert.title for alert in await scene.state.alerts.open()) == [
        "dev: the Docker engine cannot be reached",
        "dev: web is down",
    ]
    await scene.seen(Verdict.HEALTHY)
    assert await scene.state.alerts.open() == ()


async def test_service_under_deployment_raises_no_alert(scene: Scene) -> None:
    await scene.seen(Verdict.UNHEALTHY, owned=frozenset({"web"}))
    assert await scene.state.alerts.open() == ()
    await scene.seen(Verdict.UNHEALTHY)
    assert len(await scene.state.alerts.open()) == 1


async def deploying(scene: Scene, *, paused: bool) -> None:
    """Hold the environment by a deployment that is at web, and has brought store up and taken mail away."""
    rollout = RolloutRecord(RolloutState.PAUSED, slots=2, failed=("failed",))
    progress = (
        ServiceProgress("web", ServiceStep.PAUSED, changed=True, rollout=rollout),
        ServiceProgress("store", ServiceStep.HEALTHY, changed=True),
        ServiceProgress("mail", ServiceStep.REMOVED, changed=True),
    )
    deployment = replace(a_deployment(), request=replace(a_deployment().request, environment="dev"))
    fence = await scene.state.deployments.create(deployment, "deploy v2")
    await scene.state.deployments.save_services(deployment, progress, fence)
    if paused:
        await scene.state.deployments.set_partial(deployment, fence, partial=True)


@pytest.mark.parametrize("paused", [False, True])
async def test_deployment_that_waits_for_a_person_owns_only_what_it_took_away(scene: Scene, paused: bool) -> None:
    """It may wait all night: what dies meanwhile is told, also of the service that it asks about."""
    await deploying(scene, paused=paused)
    assert await scene.alerts.owned(DEV) == ({"mail"} if paused else {"web", "store", "mail"})
    for name in ("web", "store", "mail"):
        await scene.event("die", name, exitCode="1")
    assert [alert.service for alert in await scene.state.alerts.open()] == (["web", "store"] if paused else [])


@pytest.mark.parametrize(
    ("healths", "alerts"),
    [
        ({"old": HealthStatus.HEALTHY, "failed": HealthStatus.UNHEALTHY}, 0),  # which was asked about
        ({"old": HealthStatus.UNHEALTHY, "failed": HealthStatus.UNHEALTHY}, 1),
        ({"failed": HealthStatus.UNHEALTHY}, 1),  # nobody is served
    ],
)
async def test_paused_service_alerts_for_what_was_not_asked_about(
    scene: Scene, healths: dict[str, HealthStatus], alerts: int
) -> None:
    await deploying(scene, paused=True)
    there = [
        ContainerSnapshot(name, name, "web", ContainerState.RUNNING, health, "i", "i", "h")
        for name, health in healths.items()
    ]
    definitions = {"web": replace(WEB, replicas=2)}
    stack = StackHealth("dev", Verdict.UNHEALTHY, (judge_service(definitions["web"], there),), datetime.now(UTC))
    await scene.alerts.observed(DEV, stack, definitions, Observation(1.0, await scene.alerts.owned(DEV)))
    assert len(await scene.state.alerts.open()) == alerts


async def test_dead_process_of_a_failed_replica_is_no_news(scene: Scene) -> None:
    await deploying(scene, paused=True)
    died = ContainerEvent("die", "failed", "web", "shop-dev", {"exitCode": "1"})
    await scene.alerts.container_event(DEV, died, DEFINITIONS)
    assert await scene.state.alerts.open() == ()


async def test_later_bot_respects_manual_stop(scene: Scene) -> None:
    for action in ("kill", "die", "stop"):
        await scene.event(action)
    await scene.seen(Verdict.UNHEALTHY, state=ContainerState.EXITED, exit_code=1)
    later = ServiceAlerts(scene.alert_service, scene.state)
    scene.alerts = later
    await scene.seen(Verdict.UNHEALTHY, state=ContainerState.EXITED, exit_code=1)
    (alert,) = await scene.state.alerts.open()
    assert alert.severity is Severity.WARNING
    assert later.is_manual_stop("dev", "web")


async def test_refused_alert_written_later(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the journal refuses is written when it takes writes again."""

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
async def test_relapse_measured_by_monotonic_clock(scene: Scene, hours: int) -> None:
    await scene.seen(Verdict.UNHEALTHY)
    (alert,) = await scene.state.alerts.open()
    await scene.alert_service.note(alert.id, healing=RecoveryStatus.SUCCEEDED)
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours), tick=True):
        await scene.seen(Verdict.UNHEALTHY)
        scene.now += 59.0
        await scene.seen(Verdict.UNHEALTHY)
        assert scene.triggered() == 1
        scene.now += 2.0
        await scene.seen(Verdict.UNHEALTHY)
    assert scene.triggered() == 2


async def test_late_verdict_ends_no_alert(scene: Scene) -> None:
    await scene.event("die", exitCode="137")
    await scene.seen(Verdict.HEALTHY, state=ContainerState.EXITED)
    (alert,) = await scene.state.alerts.open()
    await scene.seen(Verdict.UNHEALTHY, state=ContainerState.EXITED)
    (again,) = await scene.state.alerts.open()
    assert (again.title, again.count) == (alert.title, 1)
    assert not scene.alerts.is_manual_stop("dev", "web")


async def test_older_sample_ends_no_alert(scene: Scene) -> None:
    """A sample that began before a process ended resolves no alert of that end."""
    scene.now = 10.0
    await scene.event("die", exitCode="137")
    await scene.seen(Verdict.HEALTHY, begun=9.9)
    assert len(await scene.state.alerts.open()) == 1
    await scene.seen(Verdict.HEALTHY, begun=10.1)
    assert await scene.state.alerts.open() == ()


async def test_start_asks_the_journal_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment starts containers by the dozen; who stopped one is asked at its end."""

    async def asked(*_: object) -> tuple[()]:
        raise AssertionError("asked")

    monkeypatch.setattr(scene.state.deployments, "progress_under_way", asked)
    for action in ("create", "start", "kill", "unpause"):
        await scene.event(action)
    for action in ("die", "stop", "pause", "destroy"):
        with pytest.raises(AssertionError, match="asked"):
            await scene.event(action)


@pytest.mark.parametrize(
    ("outcome", "severity"), [(Outcome.FAILED, Severity.HIGH), (Outcome.SUCCEEDED, Severity.WARNING)]
)
async def test_what_a_failed_deployment_left_stopped_is_no_manual_stop(
    scene: Scene, outcome: Outcome, severity: Severity
) -> None:
    """Also for a bot that did not see it stop."""
    deployment = replace(a_deployment("dev"), services=())
    fence = await scene.state.deployments.create(deployment, "deploy")
    touched = ServiceProgress("web", ServiceStep.RESTORING, changed=True)
    await scene.state.deployments.save_services(replace(deployment, services=(touched,)), (touched,), fence)
    await scene.state.deployments.finish(replace(deployment, outcome=outcome, services=(touched,)), fence)
    await scene.seen(Verdict.UNHEALTHY, state=ContainerState.EXITED)
    (alert,) = await scene.state.alerts.open()
    assert alert.severity is severity
    assert ("intentional" in alert.summary) == (outcome is Outcome.SUCCEEDED)


@pytest.mark.parametrize(("late", "known"), [(False, True), (True, False)], ids=["after it", "while it ran"])
async def test_late_event_of_a_deployments_stop_is_no_manual_stop(scene: Scene, late: bool, known: bool) -> None:
    """The engine tells of it when the deployment has ended; when it happened says whose it was."""
    now = datetime.now(UTC)
    deployment = replace(a_deployment("dev"), created_at=now - timedelta(minutes=1), services=())
    fence = await scene.state.deployments.create(deployment, "deploy")
    touched = ServiceProgress("web", ServiceStep.RESTORED, changed=True)
    await scene.state.deployments.save_services(replace(deployment, services=(touched,)), (touched,), fence)
    ended = replace(deployment, outcome=Outcome.FAILED, ended_at=now, services=(touched,))
    await scene.state.deployments.finish(ended, fence)
    at = now - timedelta(seconds=1) if late else now + timedelta(seconds=1)
    happened = ContainerEvent("stop", "c-web", "web", "shop-dev", {}, int(at.timestamp() * 1e9))
    await scene.alerts.container_event(DEV, happened, DEFINITIONS)
    assert scene.alerts.is_manual_stop("dev", "web") is known
