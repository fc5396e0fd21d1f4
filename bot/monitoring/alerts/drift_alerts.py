"""Raise one alert for each environment in which what runs is no longer what the release has."""

from collections.abc import Iterable, Iterator, Mapping

from roas.concurrency import run_concurrently
from roas.messages.message import joined, said
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.environment import Environment
from roas.models.health import ServiceDrift
from roas.monitoring.alerts.alert_service import AlertService
from roas.monitoring.watching.drift import DriftFinder

# Compose replaces a container in steps: what is seen twice is no step.
LOOKS = 2


class DriftAlerts:
    """Raise one alert for each environment in which something drifted, and resolve it when all fits again."""

    def __init__(
        self, finder: DriftFinder, alert_service: AlertService, environments: Mapping[str, Environment]
    ) -> None:
        self._finder = finder
        self._alert_service = alert_service
        self._environments = environments
        self._seen: dict[str, tuple[tuple[str, ...], int]] = {}
        self._firing: dict[str, tuple[str, ...]] = {}

    async def look(self) -> None:
        """Look at every environment that is on a release. Raises StateError."""
        released = sorted(await self._finder.released() & self._environments.keys())
        await run_concurrently(self._look_at(self._environments[name]) for name in released)

    async def _look_at(self, environment: Environment) -> None:
        found = await self._finder.find(environment)
        if found is not None:
            await self._decide(environment, tuple(_sentences(found)))

    async def _decide(self, environment: Environment, found: tuple[str, ...]) -> None:
        before, times = self._seen.get(environment.name, ((), 0))
        times = times + 1 if found == before else 1
        self._seen[environment.name] = (found, times)
        # What a bot before this one said of it is not known: the first round says it again.
        if times < LOOKS or self._firing.get(environment.name) == found:
            return
        await self._alert_service.take([_report(environment, found)])
        self._firing[environment.name] = found


def _sentences(found: Iterable[ServiceDrift]) -> Iterator[str]:
    """Say each reason in a sentence of its own."""
    for one in found:
        for reason in one.reasons:
            if one.left_by:
                yield said(
                    "{service} is as {deployment} left it: {reason}",
                    service=one.service,
                    deployment=one.left_by,
                    reason=reason,
                )
            else:
                yield said("{service} was changed by hand: {reason}", service=one.service, reason=reason)


def alert_title(environment: str) -> str:
    """Return the title of the alert about an environment."""
    return said("{environment}: what runs is not what the release has", environment=environment)


def _report(environment: Environment, found: tuple[str, ...]) -> AlertReport:
    name = environment.name
    hint = said("The plan of `/deploy {name}` says what it brings back, and how to bring back the rest.", name=name)
    return AlertReport(
        fingerprint=f"drift:{environment.name}",
        source=AlertSource.INTEGRATION,
        severity=Severity.WARNING,
        title=alert_title(environment.name),
        summary=joined("\n", (*found, hint)) if found else "",
        environment=environment.name,
        firing=bool(found),
    )
