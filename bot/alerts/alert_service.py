"""Accept reports from every source, keep them as alerts, and publish what changed on the bus."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Unpack

from roas.events import EventBus
from roas.messages.message import Message, said
from roas.models.actor import Actor
from roas.models.alert import Alert, AlertMarks, AlertReport
from roas.models.events import AlertChanged, AlertEvent, AlertResolved, AlertTriggered
from roas.secret_shapes import without_control
from roas.state.alerts import SOURCE, Alerts, TakenReport

KEPT_CONTROL = frozenset("\n\t")
LONGEST_LINE = 500
LONGEST_SECRET = 4096
LONGEST_TITLE = 200
LONGEST_SUMMARY = 1500
LONGEST_NAME = 80
LONGEST_FINGERPRINT = 200


def sanitize(text: str, limit: int, redact: Callable[[str], str] = str) -> str:
    """Return a text without secrets, terminal escapes or characters that change the writing direction, clipped.

    Characters that nobody sees may split a secret, or join it to the word before, so it is searched for with and
    without them. Clipping comes last, so that no part of a secret is left at the edge. What of a message has to be
    clipped is plain text.
    """
    if isinstance(text, Message):
        return text.hidden(
            lambda part: redact(_without_control(redact(part))), lambda whole: sanitize(whole, limit, redact)
        )
    # Text beyond the clip need not be searched: a text may be as long as a request.
    seen = text[: 8 * limit + LONGEST_SECRET]
    clean = redact(_without_control(redact(seen)))
    return _clip(clean if len(seen) == len(text) else clean[:-LONGEST_SECRET], limit)


def _without_control(text: str) -> str:
    return "".join(
        char for char in without_control(text) if char in KEPT_CONTROL or unicodedata.category(char)[0] != "C"
    )


def _clip(text: str, limit: int) -> str:
    lines = (line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…" for line in text.split("\n"))
    joined = "\n".join(lines).strip()
    return joined if len(joined) <= limit else joined[: limit - 1] + "…"


class AlertService:
    """Take in every alert: its text is sanitized and redacted before anything else sees it."""

    def __init__(self, alerts: Alerts, bus: EventBus, redact: Callable[[str], str] = str) -> None:
        self._alerts = alerts
        self._bus = bus
        self._redact = redact

    async def take(self, reports: Sequence[AlertReport]) -> tuple[TakenReport, ...]:
        """Process reports; returns what they changed. Raises StateError."""
        taken = await self._alerts.take([self._sanitized(report) for report in reports])
        for result in taken:
            kind = AlertTriggered if result.triggered else AlertResolved if result.resolved else AlertChanged
            self._publish(kind, result.alert)
        return taken

    async def open(self, prefix: str) -> tuple[Alert, ...]:
        """Return the open alerts whose fingerprints begin with a prefix. Raises StateError."""
        return tuple(alert for alert in await self._alerts.open() if alert.fingerprint.startswith(prefix))

    async def acknowledge(self, alert_id: str, actor: Actor) -> Alert:
        """Acknowledge an alert. Raises InvalidRequestError."""
        return self._changed(await self._alerts.acknowledge(alert_id, actor))

    async def silence(self, alert_id: str, actor: Actor, duration: timedelta) -> Alert:
        """Silence an alert for a while. Raises InvalidRequestError."""
        return self._changed(await self._alerts.silence(alert_id, actor, duration))

    async def end_silences(self) -> None:
        """Reactivate alerts whose silence has expired."""
        for alert in await self._alerts.end_silences():
            self._changed(alert)

    async def note(self, alert_id: str, text: str = "", **marks: Unpack[AlertMarks]) -> None:
        """Write onto an alert what was done about it."""
        sanitized = sanitize(text, LONGEST_SUMMARY, self._redact)
        alert = await self._alerts.note(alert_id, sanitized, **marks)
        if alert is not None:
            self._changed(alert)

    def trigger_again(self, alert: Alert) -> None:
        """Notify again about an alert that needs action."""
        self._publish(AlertTriggered, alert)

    def _sanitized(self, report: AlertReport) -> AlertReport:
        return replace(
            report,
            fingerprint=sanitize(report.fingerprint, LONGEST_FINGERPRINT, self._redact),
            title=sanitize(report.title, LONGEST_TITLE, self._redact) or said("(without a name)"),
            summary=sanitize(report.summary, LONGEST_SUMMARY, self._redact),
            environment=sanitize(report.environment, LONGEST_NAME),
            service=sanitize(report.service, LONGEST_NAME),
            occurrence=sanitize(report.occurrence, LONGEST_NAME, self._redact),
            ended=sanitize(report.ended, LONGEST_NAME, self._redact),
        )

    def _changed(self, alert: Alert) -> Alert:
        self._publish(AlertChanged, alert)
        return alert

    def _publish(self, kind: type[AlertEvent], alert: Alert) -> None:
        self._bus.publish(
            kind(
                alert_id=alert.id,
                fingerprint=alert.fingerprint,
                alert_source=alert.source,
                severity=alert.severity,
                state=alert.state,
                title=alert.title,
                environment=alert.environment,
                service=alert.service,
                source=SOURCE,
                correlation_id=alert.correlation_id,
            )
        )
