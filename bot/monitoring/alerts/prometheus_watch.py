"""Raise an alert when the Prometheus that monitors everything does not answer itself."""

from roas.messages.message import said
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.monitoring.alerts.alert_service import AlertService
from roas.monitoring.metrics.prometheus import PrometheusClient, PrometheusError

# One question may be lost on the way.
FAILURES_OF_TROUBLE = 2
TITLE = said("Prometheus does not answer")


class PrometheusWatch:
    """Check whether one Prometheus is reachable, each time it is called; without an address it never is."""

    def __init__(self, url: str | None, alert_service: AlertService) -> None:
        self._url = url
        self._alert_service = alert_service
        self._failures = 0
        self._reported_healthy = False

    async def look(self) -> None:
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
    return AlertReport("prometheus", AlertSource.INTEGRATION, Severity.WARNING, TITLE, summary, firing=firing)
