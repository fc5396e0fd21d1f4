"""Parse what Alertmanager (webhook version 4) and Grafana send: the two differ in a few fields only."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from roas.messages.message import said
from roas.models.alert import AlertReport, AlertSource, Severity

MOST_ALERTS = 5000
SEVERITIES = {
    "critical": Severity.CRITICAL,
    "page": Severity.CRITICAL,
    "high": Severity.HIGH,
    "error": Severity.HIGH,
    "major": Severity.HIGH,
    "warning": Severity.WARNING,
    "warn": Severity.WARNING,
    "info": Severity.INFO,
    "none": Severity.INFO,
}
ENVIRONMENT_LABELS = ("environment", "env")
SERVICE_LABELS = ("service", "compose_service", "container_label_com_docker_compose_service")


def _texts(value: object) -> object:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else value or {}


Texts = Annotated[dict[str, str], BeforeValidator(_texts)]


class WebhookAlert(BaseModel):
    """Hold one alert as it was sent."""

    status: Literal["firing", "resolved"]
    labels: Texts = Field(default_factory=dict)
    annotations: Texts = Field(default_factory=dict)
    starts_at: str = Field(default="", alias="startsAt")
    ends_at: str | None = Field(default=None, alias="endsAt")
    fingerprint: str = ""


class Webhook(BaseModel):
    """Hold a delivery. Grafana's version is 1 and it sends an `orgId`; Alertmanager's version is 4."""

    # As in state/documents.py: of what was read nothing is kept.
    model_config = ConfigDict(cache_strings="keys")

    version: str
    alerts: list[WebhookAlert] = Field(max_length=MOST_ALERTS)
    group_key: str = Field(default="", alias="groupKey")
    truncated_alerts: int | None = Field(default=None, alias="truncatedAlerts")
    organisation: int | None = Field(default=None, alias="orgId")

    @property
    def source(self) -> AlertSource:
        """Return who sends it."""
        return AlertSource.ALERTMANAGER if self.organisation is None else AlertSource.GRAFANA


def read_reports(webhook: Webhook, services: Mapping[str, Iterable[str]]) -> tuple[AlertReport, ...]:
    """Convert a delivery to reports; `services` are the names that are known here, by environment."""
    known = {environment: frozenset(names) for environment, names in services.items()}
    reports = [_report(webhook.source, alert, known) for alert in webhook.alerts]
    return (*reports, _left_out(webhook))


def _report(source: AlertSource, alert: WebhookAlert, known: Mapping[str, frozenset[str]]) -> AlertReport:
    labels, annotations = alert.labels, alert.annotations
    environment = _first(labels, ENVIRONMENT_LABELS)
    environment = environment if environment in known else ""
    service = _first(labels, SERVICE_LABELS)
    summary = [annotations.get("summary", ""), annotations.get("description", "") or annotations.get("message", "")]
    return AlertReport(
        fingerprint=f"{source.value}:{alert.fingerprint or _digest(labels)}",
        source=source,
        severity=SEVERITIES.get(labels.get("severity", "").lower(), Severity.WARNING),
        title=labels.get("alertname", ""),
        summary="\n".join(part for part in summary if part),
        environment=environment,
        service=service if service in known.get(environment, frozenset()) else "",
        firing=alert.status == "firing",
        occurrence=alert.starts_at,
        ended=alert.ends_at or "",
    )


def _left_out(webhook: Webhook) -> AlertReport:
    """Report that alerts were left out of a delivery; where none was, resolve that."""
    count = webhook.truncated_alerts or 0
    return AlertReport(
        fingerprint=f"{webhook.source.value}:truncated:{_digest({'group': webhook.group_key})}",
        source=webhook.source,
        severity=Severity.WARNING,
        title=said("{count} more alerts were left out of a delivery", count=count),
        summary=said("Look at the alerts where they come from, or raise `max_alerts` of the webhook there."),
        firing=count > 0,
    )


def _first(labels: Mapping[str, str], names: Iterable[str]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")


def _digest(labels: Mapping[str, str]) -> str:
    text = "\x00".join(f"{name}\x01{value}" for name, value in sorted(labels.items()))
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]
