"""What a maintenance round does: it reports on the journal and on Prometheus, and prunes the journal."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from roas.alerts import bot_alerts
from roas.alerts.alert_service import AlertService
from roas.alerts.bot_alerts import PrometheusWatch
from roas.app import maintenance
from roas.app.application import Application, open_application
from roas.app.maintenance import EnvironmentCheck, Maintenance, MaintenanceParts
from roas.configuration.settings import Settings
from roas.errors import EngineUnavailableError, JournalUnusableError
from roas.events import EventBus
from roas.metrics.bot_metrics import Metrics
from roas.models.alert import AlertReport, AlertSource, AlertState, Severity
from roas.models.deployment import Outcome
from roas.models.environment import Environment
from roas.models.leader_lease import Heartbeat
from roas.models.recovery import RecoveryAction, RecoveryStep
from roas.models.state_change import ChangeType, StateChange
from roas.recovery.coordinator import ErrorCoordinator
from roas.state.deployments.pruning import HistoryBounds
from roas.state.living_processes import boot_id, boot_seconds
from roas.state.manager import StateManager
from tests.unit.log_lines import captured_logs
from tests.unit.ui.story import Story

MEGABYTE = 1_000_000


class Scene:
    """Let a guard make rounds, over no environment."""

    def __init__(self, state: StateManager) -> None:
        self.state = state
        self.bus = EventBus()
        self.alert_service = AlertService(state.alerts, self.bus)
        self.free: int | None = 900 * MEGABYTE
        self.bounds = HistoryBounds(90, 100_000)
        self.collector: Any = self
        self.maintenance = self.another_guard()

    def another_guard(self) -> Maintenance:
        recovery = ErrorCoordinator(self, self.state, self.alert_service, self.bus, {})
        alerts: Any = None
        parts = MaintenanceParts(
            self.collector, alerts, self.alert_service, recovery, self.state, self.catch_up, self.bounds
        )
        return Maintenance(parts)

    async def catch_up(self) -> None:
        return

    async def watch_released(self) -> None:
        return

    async def handle(self, fault: object, environment: Environment) -> Any:
        return

    async def round(self) -> list[tuple[str, AlertState]]:
        """Make a round and return what alerts there are."""
        await self.maintenance._run_round()
        return [(alert.title, alert.state) for alert in await self.state.alerts.all()]


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    async with StateManager(tmp_path / "state") as state:
        scene = Scene(state)
        monkeypatch.setattr(bot_alerts, "free_bytes", lambda _: scene.free)
        yield scene
        await scene.bus.close()


async def test_nearly_full_disk_alerts_in_time(scene: Scene) -> None:
    assert await scene.round() == []
    scene.free = 40 * MEGABYTE
    for _ in range(2):
        assert await scene.round() == [(bot_alerts.LOW, AlertState.FIRING)]
    (alert,) = await scene.state.alerts.open()
    assert (alert.summary, alert.severity, alert.count) == ("40 MB are free in STATE_DIR.", Severity.HIGH, 1)
    scene.free = 900 * MEGABYTE
    scene.maintenance = scene.another_guard()
    assert await scene.round() == [(bot_alerts.LOW, AlertState.RESOLVED)]


async def test_past_journal_refusals_reported_once(scene: Scene) -> None:
    scene.state._journal._refusals.note(JournalUnusableError("The journal cannot be used: disk is full"))
    with pytest.raises(JournalUnusableError):
        await scene.state.check_usable()
    await scene.round()
    await scene.state.check_usable()
    for _ in range(2):
        assert await scene.round() == [(bot_alerts.REFUSED, AlertState.RESOLVED)]
    (alert,) = await scene.state.alerts.all()
    assert "1 write failed: The journal cannot be used: disk is full" in alert.summary


async def test_resolved_alerts_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "RESOLVED_KEPT", 3)
    for number in range(9):
        report = AlertReport(f"f{number}", AlertSource.GRAFANA, Severity.INFO, f"t{number}")
        await scene.alert_service.take([report])
        if number != 4:
            await scene.alert_service.take(
                [AlertReport(f"f{number}", AlertSource.GRAFANA, Severity.INFO, "", firing=False)]
            )
    await scene.state.alerts.mark_notified(await scene.state.alerts.all())
    assert [title for title, _ in await scene.round()] == ["t4", "t6", "t7", "t8"]


async def test_lost_prometheus_is_one_alert(scene: Scene) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": []}})

    def server(port: int | None = None) -> TestServer:
        application = web.Application()
        application.add_routes([web.get("/api/v1/query", answer)])
        return TestServer(application, port=port)

    there = server()
    await there.start_server()
    port = there.port
    address = str(there.make_url("")).rstrip("/")
    watch = PrometheusWatch(address, scene.alert_service)
    await watch.check()
    await there.close()
    await watch.check()
    assert await scene.state.alerts.open() == (), "one question may be lost on the way"
    for _ in range(3):
        await watch.check()
    (alert,) = await scene.state.alerts.open()
    assert (alert.severity, alert.count) == (Severity.WARNING, 1)
    assert f"Prometheus at {address} does not answer. Look at the prometheus service" in alert.summary
    back = server(port)
    await back.start_server()
    await PrometheusWatch(address, scene.alert_service).check()  # by another bot, too
    await back.close()
    assert await scene.state.alerts.open() == ()


async def test_new_leader_knows_earlier_figures(tmp_path: Path) -> None:
    """A bot that becomes leader knows what another did before."""

    def open_alerts(application: Application) -> float | None:
        return application.metrics.registry.get_sample_value("roas_alerts_open", {"severity": "high"})

    settings = Settings(_env_file=None, stack_dir=tmp_path, state_dir=tmp_path / "state")
    figure = "integration:coordination_success_rate"
    counted = open_application(settings, metrics=Metrics("test"))
    async with counted as standby, StateManager(tmp_path / "state") as active:
        bus = EventBus()
        for outcome in [Outcome.SUCCEEDED] * 4 + [Outcome.CANCELLED, Outcome.FAILED]:
            await (await Story.begin(active, bus)).finish(outcome)
        often = AlertReport(figure, AlertSource.INTEGRATION, Severity.HIGH, "Deployment success rate")
        disk = AlertReport("disk", AlertSource.GRAFANA, Severity.HIGH, "The disk is full")
        # As the release before wrote it: nobody would end it.
        binds = AlertReport("binds:dev", AlertSource.INTEGRATION, Severity.HIGH, "dev: a bound path leads elsewhere")
        await active.alerts.take([often, disk, binds])
        await bus.close()
        assert open_alerts(standby) == 0
        await standby.maintenance.start()
        await standby.integration_monitor.start()
        await standby.bus.drain()
        assert open_alerts(standby) == 2
        assert standby.integration_monitor.figures().success_ratio == 0.8
        assert [alert.fingerprint for alert in await active.alerts.open()] == [figure, "disk"]


async def test_attempts_that_grow_old_are_dropped(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    state = scene.state
    await state.recoveries.save(RecoveryStep("STEP-1", "A-1", "dev", "web", RecoveryAction.RESTART, datetime.now(UTC)))
    await state.ownership.beat_and_renew(Heartbeat(state.instance_id, boot_id(), boot_seconds()))

    async def attempts() -> int:
        await scene.round()
        return len(await state.recoveries.of("dev", "web", RecoveryAction.RESTART))

    assert [await attempts() for _ in range(2)] == [1, 1]
    monkeypatch.setattr(maintenance, "ATTEMPTS_KEPT", timedelta(0))
    scene.maintenance._next_prune = 0.0
    assert await attempts() == 0


async def test_round_prunes_history(scene: Scene) -> None:
    """What a bot does in its rounds holds the bounds of its settings."""
    change = StateChange(ChangeType.AUDIT, "test", "dev", "s")
    for number in range(1003):
        await scene.state.record(replace(change, id=f"C-{number}"))
    scene.bounds = HistoryBounds(90, 1000)
    scene.maintenance = scene.another_guard()
    await scene.round()
    assert len(await scene.state.changes(limit=5000)) == 1000


async def test_checks_of_environments_by_their_table(scene: Scene, tmp_path: Path) -> None:
    """One that fails keeps none from the others; who waits for its time, or for a deployment, is left out."""
    known = {name: Environment(name, name, tmp_path, ()) for name in ("free", "held", "never deployed")}
    looked: list[str] = []

    def check(name: str, **how: Any) -> EnvironmentCheck:
        async def look(environment: Environment) -> None:
            looked.append(f"{name} {environment.name}")
            if name == "fails":
                raise EngineUnavailableError("It is away.")

        return EnvironmentCheck(name, look, **how)

    async def released() -> frozenset[str]:
        return frozenset({"free", "held", "gone from the settings"})

    async def lock(name: str) -> object:
        return name if name == "held" else None

    state: Any = SimpleNamespace(
        releases=SimpleNamespace(released=released), locks=SimpleNamespace(get=lock), folder=tmp_path
    )
    nobody: Any = None
    checks = [check("fails"), check("seldom", every_seconds=600.0), check("careful", only_free=True)]
    parts = MaintenanceParts(nobody, nobody, nobody, nobody, state, scene.catch_up, scene.bounds, (), checks, known)
    maintenance = Maintenance(parts)
    with captured_logs() as logged:
        await maintenance._check_environments()
    always = ["careful free", "fails free", "fails held"]
    assert sorted(looked) == [*always, "seldom free", "seldom held"]
    assert [(line["check"], line["environment"]) for line in logged] == [("fails", "free"), ("fails", "held")]
    looked.clear()
    await maintenance._check_environments()
    assert sorted(looked) == always
