"""Run the leader's maintenance rounds: watching, alerting, recovery, pruning."""

import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from roas.alerts.alert_service import AlertService
from roas.alerts.bot_alerts import JournalDisk
from roas.alerts.service_alerts import ServiceAlerts
from roas.concurrency import run_concurrently
from roas.errors import RoasError, StateError
from roas.health.collector import MonitoringCollector
from roas.log import get_logger
from roas.models.environment import Environment
from roas.recovery.coordinator import ErrorCoordinator
from roas.rounds import Rounds
from roas.state.deployments.pruning import HistoryBounds
from roas.state.manager import StateManager

log = get_logger(__name__)

# How often to look for environments that another process gave their first release, and for expired silences.
ROUND_SECONDS = 10.0
# Alerts that are over, and attempts to recover, are kept for so long: enough to look back, and bounded.
RESOLVED_KEPT = 2000
ATTEMPTS_KEPT = timedelta(days=7)
# How often the history is compared with its bounds: what it counts is large.
PRUNE_SECONDS = 600.0


@dataclass(slots=True)
class EnvironmentCheck:
    """Look after one environment that is on a release: in each round, or every so many seconds.

    One that is `only_free` leaves an environment alone for as long as a deployment has its lock.
    """

    name: str
    check: Callable[[Environment], Coroutine[Any, Any, None]]
    every_seconds: float = 0.0
    only_free: bool = False
    _due: float = float("-inf")

    def take_turn(self) -> bool:
        """Return whether it is due, and count the seconds until it is again."""
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + self.every_seconds
        return True


@dataclass(frozen=True, slots=True)
class MaintenanceParts:
    """Hold what the rounds work with.

    `checks` are made in each round, `environment_checks` for each of the `environments`.
    """

    collector: MonitoringCollector
    alerts: ServiceAlerts
    alert_service: AlertService
    recovery: ErrorCoordinator
    state: StateManager
    catch_up: Callable[[], Awaitable[None]]
    history: HistoryBounds
    checks: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    environment_checks: Sequence[EnvironmentCheck] = ()
    environments: Mapping[str, Environment] = field(default_factory=dict)


class Maintenance:
    """Look after every environment that is on a release."""

    def __init__(self, parts: MaintenanceParts) -> None:
        self._parts = parts
        self._next_prune = 0.0
        self._journal_disk = JournalDisk(parts.state, parts.alert_service)
        self._rounds = Rounds("maintenance", self._run_round, ROUND_SECONDS)

    @property
    def is_running(self) -> bool:
        """Return whether the rounds run in this bot."""
        return self._rounds.is_running

    async def start(self) -> None:
        """Start the rounds; what another bot did is read from the journal, and unfinished recoveries are resumed."""
        if self._rounds.is_running:
            return
        try:
            await self._parts.catch_up()
        except RoasError as error:
            log.error("changes of other processes could not be read", error=error.message, hint=error.hint)
        self._parts.collector.observe_with(self._parts.alerts)
        self._parts.recovery.start()
        self._rounds.start()

    async def stop(self) -> None:
        """Stop the rounds and all watches; the next leader continues from the journal."""
        if not self._rounds.is_running:
            return
        await self._rounds.stop()
        await self._parts.collector.stand_by()
        await self._parts.recovery.close()

    async def _run_round(self) -> None:
        await self._journal_disk.check()  # first: on a full disk, what follows fails
        await self._parts.recovery.resume()
        await self._parts.collector.watch_released()
        await self._tidy()
        await self._prune_history()
        # At the same time: where an engine hangs, each of them waits for it.
        await run_concurrently((*(check() for check in self._parts.checks), self._check_environments()))

    async def _check_environments(self) -> None:
        """Look after all environments at the same time. Raises StateError."""
        released = await self._parts.state.releases.released()
        # Each is laid out once: that looks at the files of its stack.
        environments = [self._parts.environments[name] for name in sorted(self._parts.environments) if name in released]
        due = [check for check in self._parts.environment_checks if check.take_turn()]
        await run_concurrently(
            self._check_environment(check, environment) for check in due for environment in environments
        )

    async def _check_environment(self, check: EnvironmentCheck, environment: Environment) -> None:
        if check.only_free and await self._parts.state.locks.get(environment.name) is not None:
            return
        try:
            await check.check(environment)
        except StateError:
            raise
        except RoasError as error:
            log.warning("environment check failed", check=check.name, environment=environment.name, error=error.message)

    async def _tidy(self) -> None:
        """End silences that are over, and drop alerts that are too many."""
        # At the same time: what is written together is one commit.
        await run_concurrently(
            (self._parts.alert_service.end_silences(), self._parts.state.alerts.prune(RESOLVED_KEPT))
        )

    async def _prune_history(self) -> None:
        """Drop what is beyond the bounds or too old; a backlog goes round by round, and is looked for seldom."""
        if time.monotonic() < self._next_prune:
            return
        await self._parts.state.recoveries.prune(datetime.now(UTC) - ATTEMPTS_KEPT)
        if dropped := await self._parts.state.history.prune(self._parts.history):
            log.info("dropped old changes from the journal", changes=dropped)
        else:
            self._next_prune = time.monotonic() + PRUNE_SECONDS
