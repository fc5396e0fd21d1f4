"""Raise alerts about the bot itself: its token, its state folder, its journal's backups, and its Prometheus."""

import time
from collections import deque
from collections.abc import Awaitable, Callable

from roas.alerts.alert_service import AlertService
from roas.backoff import BACKUP_RETRY_SECONDS
from roas.concurrency import in_thread
from roas.errors import RoasError, StateError
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.metrics.prometheus import PrometheusClient, PrometheusError
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.state.backups import DamagedCopyError
from roas.state.manager import StateManager

log = get_logger(__name__)

# A copy is made once a day: whether one is due need not be asked in each round.
LOOK_SECONDS = 60.0
NO_COPY = said("no copy of the bot's journal can be made")


class JournalBackup:
    """Make a copy when one is due."""

    def __init__(self, state: StateManager, alert_service: AlertService) -> None:
        self._state = state
        self._alert_service = alert_service
        self._not_before = 0.0
        self._is_failing: bool | None = None  # what a bot before this one said of it is not known

    async def check(self) -> None:
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
        report = AlertReport(
            f"journal:{NO_COPY}", AlertSource.INTEGRATION, Severity.HIGH, NO_COPY, text, firing=failing
        )
        await self._alert_service.take([report])
        self._is_failing = failing


# One question may be lost on the way.
FAILURES_OF_TROUBLE = 2
PROMETHEUS_AWAY = said("Prometheus does not answer")


class PrometheusWatch:
    """Check whether one Prometheus is reachable, each time it is called; without an address it never is."""

    def __init__(self, url: str | None, alert_service: AlertService) -> None:
        self._url = url
        self._alert_service = alert_service
        self._failures = 0
        self._reported_healthy = False

    async def check(self) -> None:
        """Raise an alert after failures in a row, and end it with the first answer. Raises StateError."""
        if self._url is None:
            return
        problem = await self._problem(self._url)
        self._failures = self._failures + 1 if problem else 0
        if not problem and not self._reported_healthy:  # a bot before this one may have raised it
            await self._alert_service.take([_report("", firing=False)])
            self._reported_healthy = True
        if self._failures >= FAILURES_OF_TROUBLE and (self._reported_healthy or self._failures == FAILURES_OF_TROUBLE):
            await self._alert_service.take([_report(problem)])
            self._reported_healthy = False

    async def _problem(self, url: str) -> str:
        try:
            async with PrometheusClient(url) as prometheus:
                await prometheus.query("vector(1)")
        except PrometheusError as error:
            return error.whole
        return ""


def _report(summary: str, *, firing: bool = True) -> AlertReport:
    return AlertReport("prometheus", AlertSource.INTEGRATION, Severity.WARNING, PROMETHEUS_AWAY, summary, firing=firing)


SHARED_FOLDER = said("two stacks use one state folder")


class SharedStateFolder:
    """Compare the projects of the bots that live for this journal."""

    def __init__(self, state: StateManager, alert_service: AlertService) -> None:
        self._state = state
        self._alert_service = alert_service
        self._reported: tuple[str, ...] | None = None  # what a bot before this one said of it is not known

    async def check(self) -> None:
        """Raise the alert, or end it. Raises StateError."""
        others = await self._state.ownership.other_projects()
        if others == self._reported:
            return
        summary = said(
            "Bots of {others} use {folder} too; they are on standby and answer nothing. Give "
            "each stack a STATE_DIR of its own, and start its bot again.",
            others=", ".join(others),
            folder=self._state.folder,
        )
        if others:
            log.error(SHARED_FOLDER, projects=list(others))
        await self._alert_service.take(
            [
                AlertReport(
                    "journal:shared",
                    AlertSource.INTEGRATION,
                    Severity.HIGH,
                    SHARED_FOLDER,
                    summary if others else "",
                    firing=bool(others),
                )
            ]
        )
        self._reported = others


# A retry of the library's may meet its own first attempt: once is no proof.
LEAST_FOREIGN_ANSWERS = 2
WINDOW_SECONDS = 900.0
# Whoever has just become the leader tries what the one before it may have answered.
SETTLED_SECONDS = 10.0
DUPLICATE_TOKEN = said("another bot uses this bot's token")
DUPLICATE_TOKEN_HINT = said(
    "Each command is answered by only one of them, by chance. Stop the other bot, or "
    "give it a token of its own; if nobody knows of one, reset the token in "
    "Discord's developer portal."
)

# Find where the token is used, in words for people.
FindHolders = Callable[[], Awaitable[tuple[str, ...]]]


class DuplicateToken:
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

    async def check(self) -> None:
        """Raise the alert, or end it where nothing was met for a while. Raises StateError."""
        since = time.monotonic() - WINDOW_SECONDS
        while self._met and self._met[0][0] < since:
            self._met.popleft()
        exists = len(self._met) >= LEAST_FOREIGN_ANSWERS
        if exists == self._is_reported:
            return
        summary = await self._describe() if exists else ""
        await self._alert_service.take(
            [AlertReport("token:twin", AlertSource.INTEGRATION, Severity.HIGH, DUPLICATE_TOKEN, summary, firing=exists)]
        )
        self._is_reported = exists

    async def _describe(self) -> str:
        try:
            holders = await self._find_holders()
        except RoasError as error:
            log.warning("holders of the token are not known", error=error.message)
            holders = ()
        found = said("On this machine it is used by {holders}.", holders=", ".join(holders)) if holders else ""
        text = said(
            "{met} {met|interaction was|interactions were} answered by another process while this bot led.",
            met=len(self._met),
        )
        log.error(DUPLICATE_TOKEN, holders=list(holders), interactions=len(self._met))
        return joined(" ", (part for part in (text, found, DUPLICATE_TOKEN_HINT) if part))
