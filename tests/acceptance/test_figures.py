"""Each figure of the integration is raised by what really goes wrong, becomes an alert, and clears with its cause."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from roas.events import Event
from roas.integration import Application, open_application
from roas.models.alert import Alert, AlertSource
from roas.models.change import ChangeType, StateChange
from roas.monitoring.integration_figures import IntegrationFigures, IntegrationMeasurements, Windows
from roas.monitoring.integration_monitor import IntegrationMonitor
from testbed.redis_server import RedisServer
from tests.acceptance.conftest import settings_for
from tests.acceptance.people import People
from tests.acceptance.stack import REPOSITORY, Stack, service

SLOW_SECONDS = 1.5
ALERT_SECONDS = 15.0
# As in life, but for how long it is looked back: a test cannot wait for minutes to pass.
WINDOWS = Windows(error_seconds=3.0, sync_lag_seconds=1.0, last_deployments=2, fewest_deployments=2)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    (tmp_path / "redis").mkdir()
    with RedisServer(tmp_path / "redis") as running:
        yield running


@pytest.fixture
async def application(stack: Stack, tmp_path: Path, redis_server: RedisServer) -> AsyncIterator[Application]:
    settings = settings_for(stack, tmp_path / "state", redis_url=redis_server.url)
    async with open_application(settings) as application:
        assert application.sync is not None
        application.sync.start()
        yield application


@pytest.fixture
async def monitor(application: Application) -> AsyncIterator[IntegrationMonitor]:
    """Watch the application as its own monitor does, which rests meanwhile."""
    measurements = IntegrationMeasurements(application.bus, application.sync, WINDOWS)
    monitor = IntegrationMonitor(application.bus, measurements)
    monitor.listen()
    monitor.start()
    yield monitor
    await monitor.close()


async def alert(application: Application, figure: str, *, is_open: bool) -> Alert:
    """Wait until the one alert about a figure is open, or over."""
    async with asyncio.timeout(ALERT_SECONDS):
        while True:
            found = [one for one in await application.state.alerts.all() if one.source is AlertSource.INTEGRATION]
            about = [one for one in found if one.fingerprint == f"integration:{figure}"]
            if about and about[-1].is_open is is_open:
                return about[-1]
            await asyncio.sleep(0.05)


async def until(monitor: IntegrationMonitor, holds: Callable[[IntegrationFigures], bool]) -> None:
    async with asyncio.timeout(ALERT_SECONDS):
        while not holds(monitor.figures()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_slow_subscriber_raises_event_latency(application, monitor):
    """The alert of the event latency ends when the slow subscriber is removed."""

    async def slow(_: Event) -> None:
        await asyncio.sleep(1.2)

    subscription = application.bus.subscribe("work", slow, name="slow one")
    application.bus.publish(Event("work", "test"))
    raised = await alert(application, "event_latency", is_open=True)
    assert raised.title == "Event latency is high"
    assert "slow one" in raised.summary
    await until(monitor, lambda figures: figures.event_latency_seconds >= 1.2)
    await application.bus.unsubscribe(subscription)
    assert (await alert(application, "event_latency", is_open=False)).id == raised.id
    assert monitor.figures().event_latency_seconds < 1.0


async def test_slow_redis_raises_sync_lag(application, monitor, redis_server):
    """The alert of the Redis sync lag ends when Redis is quick again."""
    await application.state.record(StateChange(ChangeType.AUDIT, "test"))
    await until(monitor, lambda figures: figures.state_sync_lag_seconds is not None)
    redis_server.command("CLIENT", "PAUSE", "800", "ALL")
    await application.state.record(StateChange(ChangeType.AUDIT, "test"))
    raised = await alert(application, "state_sync_lag", is_open=True)
    assert (await alert(application, "state_sync_lag", is_open=False)).id == raised.id
    assert (monitor.figures().state_sync_lag_seconds or 0) < 0.5


async def test_slow_dependency_raises_resolution_time(application, monitor, stack, sample_image):
    """The alert of the dependency resolution time ends when the dependency has more time."""
    sample_image(f"{REPOSITORY}:slow", version="slow", behaviour="slow", delay_seconds=SLOW_SECONDS)

    def write(timeout: str) -> None:
        needs = {"kind": "required", "condition": "service_healthy", "timeout": timeout}
        web = service(image=f"{REPOSITORY}:v1", **{"x-deploy": {"depends_on": {"store": needs}}})
        stack.write({"store": service(), "web": web | {"labels": {"timeout": timeout}}})

    write("1900ms")  # where a busy machine needs even more, the wait is in vain, and that counts no less
    await People(application).deploy("slow")
    raised = await alert(application, "dependency_resolution", is_open=True)
    assert "dev/web" in raised.summary
    assert (monitor.figures().dependency_resolution_seconds or 0) >= SLOW_SECONDS
    write("60s")
    await People(application).succeed("v1")
    assert (await alert(application, "dependency_resolution", is_open=False)).id == raised.id


async def test_journal_refusals_raise_error_rate(application, monitor, stack):
    """The alert of the integration error rate ends when the journal takes writes again."""
    stack.write({"web": service()})
    with refusing(application.state.folder / "journal.sqlite3", source="integration"):
        await People(application).succeed("v1")
        raised = await alert(application, "integration_error_rate", is_open=True)
    assert "The worst is integration: " in raised.summary
    assert (await alert(application, "integration_error_rate", is_open=False)).id == raised.id


async def test_failed_deployments_lower_success_rate(application, monitor, stack):
    """The alert of the deployment success rate ends when deployments succeed again."""
    stack.write({"web": service()})
    people = People(application)
    await people.deploy("exits")
    await people.succeed("v1")
    raised = await alert(application, "coordination_success_rate", is_open=True)
    assert monitor.figures().success_ratio == 0.5
    await people.succeed("v2")
    assert (await alert(application, "coordination_success_rate", is_open=False)).id == raised.id
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
