"""Each figure of the integration is raised by what really goes wrong, becomes an alert, and clears with its cause."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from roas.app.application import Application, open_application
from roas.metrics.bot_metrics import Metrics
from roas.metrics.integration_monitor import (
    DeploymentFigures,
    FigureWindows,
    IntegrationFigures,
    IntegrationMeasurements,
    IntegrationMonitor,
)
from roas.models.alert import Alert, AlertSource
from roas.models.events import Event
from roas.models.state_change import ChangeType, StateChange
from testbed.redis_server import RedisServer
from tests.e2e.acceptance.conftest import settings_for
from tests.e2e.acceptance.people import People
from tests.e2e.acceptance.stack import REPOSITORY, Stack, alone
from tests.unit.sample_events import Work

SLOW_SECONDS = 1.5
ALERT_SECONDS = 60.0
# The first moments count, too: each test begins something at once.
WINDOWS = FigureWindows(settling_seconds=0.0)


@dataclass
class Clock:
    """A monotonic clock that can jump: a test cannot wait until minutes have passed."""

    stopped_at: float | None = None

    def __call__(self) -> float:
        return time.monotonic() if self.stopped_at is None else self.stopped_at

    def forget(self, window_seconds: float) -> None:
        """Stop where a window of this length begins now: what was before is seen no more."""
        self.stopped_at = time.monotonic() + window_seconds


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    (tmp_path / "redis").mkdir()
    with RedisServer(tmp_path / "redis") as running:
        yield running


@pytest.fixture
async def application(stack: Stack, tmp_path: Path, redis_server: RedisServer) -> AsyncIterator[Application]:
    settings = settings_for(stack, tmp_path / "state", redis_url=redis_server.url)
    async with open_application(settings, metrics=Metrics("test")) as application:
        assert application.sync is not None
        await application.sync.start()
        yield application


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def monitor(application: Application, clock: Clock) -> AsyncIterator[IntegrationMonitor]:
    """Watch the application as its own monitor does, which rests meanwhile."""
    figures = DeploymentFigures(application.state, last=2, fewest=2)
    measurements = IntegrationMeasurements(application.bus, application.sync, WINDOWS, clock, figures)
    monitor = IntegrationMonitor(application.bus, measurements)
    monitor.listen()
    await monitor.start()
    yield monitor
    await monitor.close()


async def raised(application: Application, figure: str) -> Alert:
    """Wait until an alert about a figure is open."""
    return await _alert(application, lambda one: one.fingerprint == f"integration:{figure}" and one.is_open)


async def is_over(application: Application, alert: Alert) -> None:
    """Wait until this very alert is over."""
    await _alert(application, lambda one: one.id == alert.id and not one.is_open)


async def _alert(application: Application, holds: Callable[[Alert], bool]) -> Alert:
    async with asyncio.timeout(ALERT_SECONDS):
        while True:
            found = [alert for alert in await application.state.alerts.all() if alert.source is AlertSource.INTEGRATION]
            if about := next(filter(holds, found), None):
                return about
            await asyncio.sleep(0.05)


async def until(monitor: IntegrationMonitor, holds: Callable[[IntegrationFigures], bool]) -> None:
    async with asyncio.timeout(ALERT_SECONDS):
        while not holds(monitor.figures()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_slow_subscriber_raises_event_latency(application, monitor):
    """The alert of the event latency ends when the slow subscriber is removed."""

    async def slow(_: Event) -> None:
        await asyncio.sleep(1.2)

    subscription = application.bus.subscribe(Work, slow, name="slow one")
    application.bus.publish(Work())
    alert = await raised(application, "event_latency")
    assert alert.title == "Event latency"
    assert "slow one" in alert.summary
    await until(monitor, lambda figures: (figures.event_latency_seconds or 0) >= 1.2)
    await application.bus.unsubscribe(subscription)
    await is_over(application, alert)
    await until(monitor, lambda figures: (figures.event_latency_seconds or 0) < 1.0)


async def test_slow_redis_raises_sync_lag(application, monitor, clock, redis_server):
    """The alert of the Redis sync lag ends when Redis is quick again."""
    await application.state.record(StateChange(ChangeType.AUDIT, "test"))
    await until(monitor, lambda figures: figures.state_sync_lag_seconds is not None)
    redis_server.command("CLIENT", "PAUSE", "800", "ALL")
    await application.state.record(StateChange(ChangeType.AUDIT, "test"))
    alert = await raised(application, "state_sync_lag")
    await until(monitor, lambda _: application.sync.lag_seconds == 0)
    clock.forget(WINDOWS.sync_lag_seconds)
    await is_over(application, alert)


@pytest.mark.long
async def test_deployments_raise_what_is_wrong_with_them(application, monitor, clock, stack, sample_image):
    """A dependency that is slow, a journal that refuses writes and a failed deployment: three alerts, each of its own.

    They end when the dependency has more time, the journal takes writes, and deployments succeed again.
    """
    sample_image(f"{REPOSITORY}:slow", version="slow", behaviour="slow", delay_seconds=SLOW_SECONDS)
    people = People(application)

    def write(timeout: str) -> None:
        needs = {"kind": "required", "condition": "service_healthy", "timeout": timeout}
        web = alone(image=f"{REPOSITORY}:v1", healthcheck=None, **{"x-deploy": {"depends_on": {"store": needs}}})
        stack.write({"store": alone(), "web": web | {"labels": {"timeout": timeout}}})

    write("1900ms")  # where a busy machine needs even more, the wait is in vain, and that counts no less
    await people.deploy("slow")
    slow = await raised(application, "dependency_resolution")
    assert "dev/web" in slow.summary
    assert (monitor.figures().dependency_resolution_seconds or 0) >= SLOW_SECONDS
    write("60s")
    with refusing(application.state.folder / "journal.sqlite3", source="integration"):
        await people.succeed("v1")
        refused = await raised(application, "integration_error_rate")
        await application.bus.drain()  # what hears of the alert fails as well, and is to be forgotten, too
    assert "The worst is integration: " in refused.summary
    clock.forget(WINDOWS.error_seconds)
    await people.deploy("exits")
    failed = await raised(application, "coordination_success_rate")
    assert monitor.figures().success_ratio == 0.5
    for version in ("v2", "v3"):
        await people.succeed(version)
    await until(monitor, lambda figures: figures.error_ratio == 0)
    for alert in (slow, refused, failed):
        await is_over(application, alert)
    assert monitor.figures().success_ratio == 1.0


@contextmanager
def refusing(journal: Path, source: str) -> Iterator[None]:
    """Let the database itself refuse the changes of one source."""
    trigger = f"CREATE TRIGGER refuses BEFORE INSERT ON changes WHEN NEW.source = '{source}' BEGIN "
    with sqlite3.connect(journal, timeout=10) as connection:
        connection.execute(trigger + "SELECT RAISE(ABORT, 'refused'); END")
    yield
    with sqlite3.connect(journal, timeout=10) as connection:
        connection.execute("DROP TRIGGER refuses")
