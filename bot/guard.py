"""Watch, warn and heal: what only the active bot does, for as long as it is the active one."""

import asyncio

import structlog

from bot.concurrency import happens
from bot.errors import RoasError
from bot.monitoring.alert_desk import AlertDesk
from bot.monitoring.collector import MonitoringCollector
from bot.monitoring.service_alerts import ServiceAlerts
from bot.recovery.coordinator import ErrorCoordinator

log = structlog.get_logger(__name__)

# How often to look for environments that another process gave their first release, and for silences that are over.
ROUND_SECONDS = 10.0


class Guard:
    """Look after every environment that is on a release."""

    def __init__(
        self, collector: MonitoringCollector, alerts: ServiceAlerts, desk: AlertDesk, recovery: ErrorCoordinator
    ) -> None:
        self._collector = collector
        self._alerts = alerts
        self._desk = desk
        self._recovery = recovery
        self._rounds: asyncio.Task[None] | None = None

    @property
    def on_duty(self) -> bool:
        """Tell whether this bot is the one that guards."""
        return self._rounds is not None

    async def begin(self) -> None:
        """Begin to guard; what a dead bot was healing is taken up."""
        if self._rounds is not None:
            return
        self._collector.tell(self._alerts)
        self._rounds = asyncio.create_task(self._walk(), name="guard")

    async def end(self) -> None:
        """Stop guarding; the next bot goes on from the journal."""
        rounds, self._rounds = self._rounds, None
        if rounds is None:
            return
        self._collector.tell(None)
        rounds.cancel()
        await asyncio.gather(rounds, return_exceptions=True)
        await self._recovery.close()

    async def _walk(self) -> None:
        healing = False
        while True:
            try:
                if not healing:
                    await self._recovery.start()
                    healing = True
                await self._collector.watch_released()
                await self._desk.end_silences()
            except RoasError as error:
                log.error("the guard cannot make its round", problem=error.message, hint=error.hint)
            await happens(asyncio.Event(), ROUND_SECONDS)
