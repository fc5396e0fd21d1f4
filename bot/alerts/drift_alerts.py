"""Raise alerts where what runs is not what the release has, and restore it where the environment says so."""

from collections.abc import Awaitable, Callable, Iterable, Iterator

from roas.alerts.alert_service import AlertService
from roas.errors import RoasError
from roas.health.drift_finder import DriftFinder
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.alert import DRIFT, AlertReport, AlertSource, Severity
from roas.models.environment import Environment
from roas.models.health import ServiceDrift
from roas.state.deployments.locks import LockHeldError

log = get_logger(__name__)


# Starts to bring an environment back to the release that it is on. Raises RoasError.
Restore = Callable[[Environment], Awaitable[None]]
# Compose replaces a container in steps: what is seen twice is no step.
LOOKS = 2


class DriftAlerts:
    """Raise one alert for each environment in which something drifted, and resolve it when all fits again.

    Where the environment says so, the release is restored, once for each change by hand.
    """

    def __init__(
        self,
        finder: DriftFinder,
        alert_service: AlertService,
        restore: Restore | None = None,
    ) -> None:
        self._restore_release = restore
        self._restored: dict[str, tuple[str, ...]] = {}
        self._finder = finder
        self._alert_service = alert_service
        self._seen: dict[str, tuple[tuple[str, ...], int]] = {}
        self._firing: dict[str, tuple[str, ...]] = {}

    async def check(self, environment: Environment) -> None:
        """Look at an environment that is on a release. Raises StateError."""
        found = await self._finder.find(environment)
        if found is None:
            return
        sentences = tuple(_sentences(found))
        await self._decide(environment, sentences)
        if not found:
            self._restored.pop(environment.name, None)
        elif environment.restores_drift and not any(drift.left_by for drift in found):
            await self._restore(environment, sentences)

    async def _restore(self, environment: Environment, found: tuple[str, ...]) -> None:
        """Restore the release where an alert says that somebody changed it; what holds the environment goes first."""
        is_told = self._firing.get(environment.name) == found
        if self._restore_release is None or not is_told or self._restored.get(environment.name) == found:
            return
        try:
            await self._restore_release(environment)
        except LockHeldError:
            return
        except RoasError as error:
            log.error("release could not be restored", environment=environment.name, error=error.message)
            if error.transient:
                return
        self._restored[environment.name] = found

    async def _decide(self, environment: Environment, found: tuple[str, ...]) -> None:
        before, times = self._seen.get(environment.name, ((), 0))
        times = times + 1 if found == before else 1
        self._seen[environment.name] = (found, times)
        # What a bot before this one said of it is not known: the first round says it again.
        if times < LOOKS or self._firing.get(environment.name) == found:
            return
        await self._alert_service.take([_drift_report(environment, found)])
        self._firing[environment.name] = found


def _sentences(found: Iterable[ServiceDrift]) -> Iterator[str]:
    """Say each reason in a sentence of its own."""
    for drift in found:
        for reason in drift.reasons:
            if drift.left_by:
                yield said(
                    "{service} is as {deployment} left it: {reason}",
                    service=drift.service,
                    deployment=drift.left_by,
                    reason=reason,
                )
            else:
                yield said("{service} was changed by hand: {reason}", service=drift.service, reason=reason)


def alert_title(environment: str) -> str:
    """Return the title of the alert about an environment."""
    return said("{environment}: what runs is not what the release has", environment=environment)


def _drift_report(environment: Environment, found: tuple[str, ...]) -> AlertReport:
    name = environment.name
    hint = said("The plan of `/deploy {name}` says what it brings back, and how to bring back the rest.", name=name)
    return AlertReport(
        fingerprint=f"{DRIFT}{environment.name}",
        source=AlertSource.INTEGRATION,
        severity=Severity.WARNING,
        title=alert_title(environment.name),
        summary=joined("\n", (*found, hint)) if found else "",
        environment=environment.name,
        firing=bool(found),
    )
