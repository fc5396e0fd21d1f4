"""Watch, warn and heal: what only the active bot does, for as long as it is the active one."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.concurrency import happens
from bot.errors import RoasError
from bot.log import get_logger
from bot.models.alert import AlertReport, AlertSource, Severity
from bot.monitoring.alert_desk import AlertDesk
from bot.monitoring.collector import MonitoringCollector
from bot.monitoring.prometheus_watch import PrometheusWatch
from bot.monitoring.service_alerts import ServiceAlerts
from bot.recovery.coordinator import ErrorCoordinator
from bot.state.manager import StateManager

log = get_logger(__name__)

# How often to look for environments that another process gave their first release, and for silences that are over.
ROUND_SECONDS = 10.0
# Alerts that are over, and attempts to heal, are kept for so long: enough to look back, and bounded.
RESOLVED_KEPT = 2000
ATTEMPTS_KEPT = timedelta(days=7)
# Below this the journal tells people, while it still can.
LEAST_ROOM = 64_000_000
LOW = "the disk of the bot's journal is nearly full"
REFUSED = "the bot's journal could not be written"


class Guard:
    """Look after every environment that is on a release."""

    def __init__(
        self,
        collector: MonitoringCollector,
        alerts: ServiceAlerts,
        desk: AlertDesk,
        recovery: ErrorCoordinator,
        state: StateManager,
        prometheus: PrometheusWatch,
        catch_up: Callable[[], Awaitable[None]],
    ) -> None:
        self._collector = collector
        self._alerts = alerts
        self._desk = desk
        self._recovery = recovery
        self._state = state
        self._prometheus = prometheus
        self._catch_up = catch_up
        self._rounds: asyncio.Task[None] | None = None
        self._room_is_low: bool | None = None  # what a bot before this one said of it is not known

    @property
    def on_duty(self) -> bool:
        """Tell whether this bot is the one that guards."""
        return self._rounds is not None

    async def begin(self) -> None:
        """Begin to guard; what another bot did before is learnt, and what a dead one was healing is taken up."""
        if self._rounds is not None:
            return
        try:
            await self._catch_up()
        except RoasError as error:
            log.error("what another bot did cannot be read", problem=error.message, hint=error.hint)
        self._collector.tell(self._alerts)
        self._rounds = asyncio.create_task(self._walk(), name="guard")

    async def end(self) -> None:
        """Stop guarding and watching; the next bot does so, and goes on from the journal."""
        rounds, self._rounds = self._rounds, None
        if rounds is None:
            return
        rounds.cancel()
        await asyncio.gather(rounds, return_exceptions=True)
        await self._collector.stand_by()
        await self._recovery.close()

    async def _walk(self) -> None:
        self._recovery.start()
        while True:
            try:
                await self._round()
            except RoasError as error:
                log.error("the guard cannot make its round", problem=error.message, hint=error.hint)
            except Exception:  # nobody would guard for good
                log.exception("the guard stumbles")
            await happens(asyncio.Event(), ROUND_SECONDS)

    async def _round(self) -> None:
        await self._tell_of_journal()
        await self._recovery.take_up()
        await self._collector.watch_released()
        await self._desk.end_silences()
        await self._state.alerts.prune(RESOLVED_KEPT)
        await self._state.recoveries.prune(datetime.now(UTC) - ATTEMPTS_KEPT)
        await self._prometheus.look()

    async def _tell_of_journal(self) -> None:
        """Raise an alert when the journal is about to have no room, and tell of a time in which it had none."""
        free = await asyncio.to_thread(free_bytes, self._state.folder)
        low = free is not None and free < LEAST_ROOM
        if low is not self._room_is_low:
            megabytes = (free or 0) // 1_000_000
            await self._desk.take([_journal_report(LOW, f"{megabytes} MB are free below STATE_DIR.", firing=low)])
            self._room_is_low = low
        if (trouble := self._state.take_write_trouble()) is not None:
            words = f"For {trouble.seconds:.0f} s, until now, it refused {trouble.refused} times: {trouble.reason}"
            # It is over, and people should know that it was: raised and ended in one go.
            await self._desk.take([_journal_report(REFUSED, words), _journal_report(REFUSED, words, firing=False)])


def free_bytes(folder: Path) -> int | None:
    """Return how much room there is, or None where that cannot be told."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _journal_report(title: str, summary: str, *, firing: bool = True) -> AlertReport:
    fingerprint = f"journal:{title}"
    return AlertReport(fingerprint, AlertSource.INTEGRATION, Severity.HIGH, title, summary, firing=firing)
