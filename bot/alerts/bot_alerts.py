"""Raise alerts about the bot itself: its token, its state folder, its journal's disk and backups, its Prometheus."""

import shutil
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from roas.alerts.alert_service import AlertService
from roas.concurrency import in_thread, run_concurrently
from roas.errors import RoasError, StateError
from roas.limits import BACKUP_RETRY_SECONDS
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.metrics.prometheus import PrometheusClient, PrometheusError
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.deployment import Freeze
from roas.models.environment import Environment
from roas.stack.stacks import Stacks
from roas.state.journal.copies import DamagedCopyError
from roas.state.manager import StateManager

log = get_logger(__name__)


class OwnAlert:
    """Raise one alert of the bot itself while something is wrong, and end it; only what changes is written.

    What a bot before this one said of it is not known: the first report is always written.
    """

    def __init__(self, alert_service: AlertService, fingerprint: str, severity: Severity, title: str) -> None:
        self._alert_service = alert_service
        self._fingerprint, self._severity, self._title = fingerprint, severity, title
        self._reported: str | None = None

    @property
    def is_firing(self) -> bool | None:
        """Return whether it fires; None where that is not known yet."""
        return None if self._reported is None else bool(self._reported)

    async def report(self, problem: str) -> None:
        """Raise it for a problem, or end it where there is none. Raises StateError."""
        if problem == self._reported:
            return
        firing = bool(problem)
        report = AlertReport(
            self._fingerprint, AlertSource.INTEGRATION, self._severity, self._title, problem, firing=firing
        )
        await self._alert_service.take([report])
        self._reported = problem


class OwnAlerts:
    """Raise the bot's alerts of one kind, whose fingerprints begin alike, and end those that are not found any more.

    Only what changes is written. What a bot before this one raised is read from the journal; what of it is found still
    is written again.
    """

    def __init__(self, alert_service: AlertService, prefix: str) -> None:
        self._alert_service = alert_service
        self._prefix = prefix
        self._known: Mapping[str, AlertReport] | None = None

    async def report(self, found: Iterable[AlertReport], endings: Mapping[str, str] = MappingProxyType({})) -> None:
        """Raise what is found, and end the rest; `endings` say by fingerprint how. Raises StateError."""
        reports = {report.fingerprint: report for report in found}
        known = self._known if self._known is not None else await self._left_open()
        news = [report for fingerprint, report in reports.items() if known.get(fingerprint) != report]
        over = [known[name] for name in known if name not in reports]
        news += [
            replace(report, summary=endings[report.fingerprint]) for report in over if report.fingerprint in endings
        ]
        news += [replace(report, summary="", firing=False) for report in over]
        if news:
            await self._alert_service.take(news)
        self._known = reports

    async def _left_open(self) -> dict[str, AlertReport]:
        opened = await self._alert_service.open(self._prefix)
        return {
            alert.fingerprint: AlertReport(
                alert.fingerprint, alert.source, alert.severity, alert.title, environment=alert.environment
            )
            for alert in opened
        }


# Below this, people are warned while the journal can still be written.
MINIMUM_FREE_BYTES = 64_000_000
LOW = said("the disk of the bot's journal is nearly full")
REFUSED = said("the bot's journal could not be written")


class JournalDisk:
    """Check the room on the journal's disk, and whether the journal could be written."""

    def __init__(self, state: StateManager, alert_service: AlertService) -> None:
        self._state = state
        self._low = OwnAlert(alert_service, f"journal:{LOW}", Severity.HIGH, LOW)
        self._refused = OwnAlert(alert_service, f"journal:{REFUSED}", Severity.HIGH, REFUSED)

    async def check(self) -> None:
        """Raise an alert while the disk is nearly full, and report a time in which nothing was written."""
        free = await in_thread(free_bytes, self._state.folder)
        low = free is not None and free < MINIMUM_FREE_BYTES
        if low != self._low.is_firing:
            text = said("{megabytes} MB are free in STATE_DIR.", megabytes=(free or 0) // 1_000_000)
            await self._low.report(text if low else "")
        if (trouble := self._state.take_write_trouble()) is not None:
            text = said(
                "For {seconds} s, until now, {refused} {refused|write|writes} failed: {reason}",
                seconds=f"{trouble.seconds:.0f}",
                refused=trouble.refused,
                reason=trouble.reason,
            )
            # It is over, and people should know that it was: raised and ended in one go.
            for problem in (text, ""):
                await self._refused.report(problem)


def free_bytes(folder: Path) -> int | None:
    """Return the free space, or None where it is not known."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


# A copy is made once a day: whether one is due need not be asked in each round.
LOOK_SECONDS = 60.0
NO_COPY = said("no copy of the bot's journal can be made")


class JournalBackup:
    """Make a copy when one is due."""

    def __init__(self, state: StateManager, alert_service: AlertService) -> None:
        self._state = state
        self._alert = OwnAlert(alert_service, f"journal:{NO_COPY}", Severity.HIGH, NO_COPY)
        self._not_before = 0.0

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
            await self._alert.report("")

    async def _fail(self, text: str) -> None:
        self._not_before = time.monotonic() + BACKUP_RETRY_SECONDS
        log.error("no copy of the journal could be made", error=text)
        await self._alert.report(text)


# One question may be lost on the way.
FAILURES_OF_TROUBLE = 2
PROMETHEUS_AWAY = said("Prometheus does not answer")


class PrometheusWatch:
    """Check whether one Prometheus is reachable, each time it is called; without an address it never is."""

    def __init__(self, url: str | None, alert_service: AlertService) -> None:
        self._url = url
        self._alert = OwnAlert(alert_service, "prometheus", Severity.WARNING, PROMETHEUS_AWAY)
        self._failures = 0

    async def check(self) -> None:
        """Raise an alert after failures in a row, and end it with the first answer. Raises StateError."""
        if self._url is None:
            return
        problem = await self._problem(self._url)
        self._failures = self._failures + 1 if problem else 0
        if not problem or self._failures >= FAILURES_OF_TROUBLE:
            await self._alert.report(problem)

    async def _problem(self, url: str) -> str:
        try:
            async with PrometheusClient(url) as prometheus:
                await prometheus.query("vector(1)")
        except PrometheusError as error:
            return error.whole
        return ""


# So long before a freeze is over by itself, people are told.
FREEZE_REMINDER = timedelta(minutes=15)
ENDING_FREEZES = "freeze:"
FREEZE_ENDS = said("deployments are allowed again soon")


class FreezeReminder:
    """Tell, once for each, that a freeze is over soon."""

    def __init__(self, state: StateManager, alert_service: AlertService) -> None:
        self._state = state
        self._alerts = OwnAlerts(alert_service, ENDING_FREEZES)

    async def check(self) -> None:
        """Raise an alert for each freeze that ends soon, and end it with the freeze. Raises StateError."""
        limit = datetime.now(UTC) + FREEZE_REMINDER
        freezes = await self._state.freezes.all()
        await self._alerts.report(
            _ending_freeze(freeze, freeze.until)
            for freeze in freezes
            if freeze.until is not None and freeze.until <= limit
        )


def _ending_freeze(freeze: Freeze, until: datetime) -> AlertReport:
    summary = said(
        "{environment} is locked by {frozen_by} until {until} UTC: {reason}",
        environment=freeze.environment,
        frozen_by=freeze.frozen_by.name,
        until=f"{until:%Y-%m-%d %H:%M}",
        reason=freeze.reason,
    )
    return AlertReport(
        f"{ENDING_FREEZES}{freeze.environment}",
        AlertSource.INTEGRATION,
        Severity.INFO,
        FREEZE_ENDS,
        summary,
        environment=freeze.environment,
    )


SHARED_FOLDER = said("two stacks use one state folder")


class SharedStateFolder:
    """Compare the projects of the bots that live for this journal."""

    def __init__(self, state: StateManager, alert_service: AlertService) -> None:
        self._state = state
        self._alert = OwnAlert(alert_service, "journal:shared", Severity.HIGH, SHARED_FOLDER)

    async def check(self) -> None:
        """Raise the alert, or end it. Raises StateError."""
        others = await self._state.ownership.other_projects()
        summary = said(
            "Bots of {others} use {folder} too; they are on standby and answer nothing. Give "
            "each stack a STATE_DIR of its own, and start its bot again.",
            others=", ".join(others),
            folder=self._state.folder,
        )
        if others and not self._alert.is_firing:
            log.error(SHARED_FOLDER, projects=list(others))
        await self._alert.report(summary if others else "")


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
        self._alert = OwnAlert(alert_service, "token:twin", Severity.HIGH, DUPLICATE_TOKEN)
        self._find_holders = find_holders
        self._met: deque[tuple[float, int]] = deque(maxlen=100)

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
        if exists != self._alert.is_firing:
            await self._alert.report(await self._describe() if exists else "")

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


async def token_holders(stacks: Stacks, environments: Iterable[Environment], token: str | None) -> tuple[str, ...]:
    """Describe the containers with this bot's token, but for its own, on all engines that answer."""
    if token is None:
        return ()

    async def find(environment: Environment) -> dict[str, str]:
        try:
            probe = stacks.of(environment).probe()
            own = await probe.own_container() if probe.in_container() else None
            holders = await probe.holders_of(token)
        except RoasError as error:
            log.warning("holders of the token are not known", environment=environment.name, error=error.message)
            return {}
        return {container_id: text for container_id, text in holders if own is None or container_id != own.id}

    found: dict[str, str] = {}
    for item in await run_concurrently(find(environment) for environment in environments):
        found |= item
    return tuple(found.values())
