"""Keep the journal's daily copy: made by the leader, verified when it is made, with an alert while that fails."""

import time

from roas.backoff import BACKUP_RETRY_SECONDS
from roas.concurrency import in_thread
from roas.errors import StateError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.monitoring.alerts.alert_service import AlertService
from roas.state.backups import DamagedCopyError
from roas.state.manager import StateManager

log = get_logger(__name__)

# A copy is made once a day: whether one is due need not be asked in each round.
LOOK_SECONDS = 60.0
FAILED = said("no copy of the bot's journal can be made")


class JournalBackup:
    """Make a copy when one is due."""

    def __init__(self, state: StateManager, alert_service: AlertService) -> None:
        self._state = state
        self._alert_service = alert_service
        self._not_before = 0.0
        self._is_failing: bool | None = None  # what a bot before this one said of it is not known

    async def look(self) -> None:
        """Make a copy where one is due. Raises JournalLostError where the journal turns out to be damaged."""
        if time.monotonic() < self._not_before:
            return
        self._not_before = time.monotonic() + LOOK_SECONDS
        backups = self._state.backups
        try:
            if not await in_thread(backups.is_due):
                return
            made = await in_thread(backups.make)
        except DamagedCopyError as error:
            await self._state.check_whole()
            await self._fail(error.message)
        except StateError as error:
            await self._fail(error.message)
        else:
            log.info("made a copy of the journal", path=str(made.path))
            await self._report(failing=False)

    async def _fail(self, text: str) -> None:
        self._not_before = time.monotonic() + BACKUP_RETRY_SECONDS
        log.error("no copy of the journal could be made", error=text)
        await self._report(text, failing=True)

    async def _report(self, text: str = "", *, failing: bool) -> None:
        if failing == self._is_failing:
            return
        report = AlertReport(f"journal:{FAILED}", AlertSource.INTEGRATION, Severity.HIGH, FAILED, text, firing=failing)
        await self._alert_service.take([report])
        self._is_failing = failing
