"""Notice that another bot uses the same token: somebody else answered an interaction while this bot led."""

import time
from collections import deque
from collections.abc import Awaitable, Callable

from roas.errors import RoasError
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.monitoring.alerts.alert_service import AlertService

log = get_logger(__name__)

# A retry of the library's may meet its own first attempt: once is no proof.
LEAST_MEETINGS = 2
WINDOW_SECONDS = 900.0
# Whoever has just become the leader tries what the one before it may have answered.
SETTLED_SECONDS = 10.0
TITLE = said("another bot uses this bot's token")
HINT = said(
    "Each command is answered by only one of them, by chance. Stop the other bot, or "
    "give it a token of its own; if nobody knows of one, reset the token in "
    "Discord's developer portal."
)

# Find where the token is used, in words for people.
FindHolders = Callable[[], Awaitable[tuple[str, ...]]]


class TokenTwin:
    """Count interactions that somebody else answered while this bot led, and raise an alert."""

    def __init__(self, alert_service: AlertService, find_holders: FindHolders) -> None:
        self._alert_service = alert_service
        self._find_holders = find_holders
        self._met: deque[tuple[float, int]] = deque(maxlen=100)
        self._is_reported: bool | None = None  # what a bot before this one said of it is not known

    def met(self, interaction_id: int, leading_seconds: float) -> None:
        """Record that an interaction was answered by somebody else."""
        if leading_seconds >= SETTLED_SECONDS and all(known != interaction_id for _, known in self._met):
            self._met.append((time.monotonic(), interaction_id))

    async def look(self) -> None:
        """Raise the alert, or end it where nothing was met for a while. Raises StateError."""
        since = time.monotonic() - WINDOW_SECONDS
        while self._met and self._met[0][0] < since:
            self._met.popleft()
        exists = len(self._met) >= LEAST_MEETINGS
        if exists == self._is_reported:
            return
        summary = await self._describe() if exists else ""
        await self._alert_service.take(
            [AlertReport("token:twin", AlertSource.INTEGRATION, Severity.HIGH, TITLE, summary, firing=exists)]
        )
        self._is_reported = exists

    async def _describe(self) -> str:
        try:
            holders = await self._find_holders()
        except RoasError as error:
            log.warning("holders of the token are not known", error=error.message)
            holders = ()
        found = said("On this machine it is used by {holders}.", holders=", ".join(holders)) if holders else ""
        text = said("{met} interactions were answered by another process while this bot led.", met=len(self._met))
        log.error(TITLE, holders=list(holders), interactions=len(self._met))
        return joined(" ", (part for part in (text, found, HINT) if part))
