"""Deliveries of Alertmanager and Grafana become the same kind of report."""

from typing import Any

import pytest
from pydantic import ValidationError

from roas.alerts.alert_service import LONGEST_SECRET, sanitize
from roas.http.webhook import Webhook, read_reports
from roas.models.alert import AlertSource, Severity
from roas.redaction import Redactor

SERVICES = {"dev": ["web"]}
ALERTMANAGER = {
    "version": "4",
    "groupKey": '{}:{alertname="Down"}',
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "roas",
    "groupLabels": {"alertname": "Down"},
    "commonLabels": {},
    "commonAnnotations": {},
    "externalURL": "http://alertmanager:9093",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "Down", "severity": "page", "environment": "dev", "service": "web"},
            "annotations": {"summary": "web is down", "description": "for a minute"},
            "startsAt": "2026-01-01T00:00:00.000Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph",
            "fingerprint": "c0ffee",
        }
    ],
}
GRAFANA: dict[str, Any] = {
    "receiver": "roas",
    "status": "resolved",
    "orgId": 1,
    "version": "1",
    "groupKey": "{}/{}",
    "truncatedAlerts": 0,
    "title": "[RESOLVED]",
    "state": "ok",
    "message": "",
    "alerts": [
        {
            "status": "resolved",
            "labels": {"alertname": "Slow", "grafana_folder": "shop"},
            "annotations": None,
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "2026-01-01T00:01:00Z",
            "values": {"B": 1.5},
            "valueString": "[ var='B' ]",
            "generatorURL": "",
            "fingerprint": "beef",
            "silenceURL": "",
            "dashboardURL": "",
            "panelURL": "",
        }
    ],
}


def test_alertmanager_alert_parsed() -> None:
    report, left_out = read_reports(Webhook.model_validate(ALERTMANAGER), SERVICES)
    assert (report.source, report.severity, report.title) == (AlertSource.ALERTMANAGER, Severity.CRITICAL, "Down")
    assert (report.environment, report.service, report.fingerprint) == ("dev", "web", "alertmanager:c0ffee")
    assert report.summary == "web is down\nfor a minute"
    assert report.firing
    assert not left_out.firing


def test_grafana_resolution_parsed() -> None:
    report, _ = read_reports(Webhook.model_validate(GRAFANA), SERVICES)
    assert (report.source, report.severity, report.firing) == (AlertSource.GRAFANA, Severity.WARNING, False)


def test_unknown_service_name_dropped() -> None:
    labels = {"alertname": "Down", "environment": "dev", "service": "nothing-of-ours"}
    foreign = ALERTMANAGER | {"alerts": [{"status": "firing", "labels": labels}]}
    report, _ = read_reports(Webhook.model_validate(foreign), SERVICES)
    assert (report.environment, report.service) == ("dev", "")


def test_truncated_alerts_reported() -> None:
    *_, left_out = read_reports(Webhook.model_validate(ALERTMANAGER | {"truncatedAlerts": 7}), SERVICES)
    assert left_out.firing
    assert left_out.title == "7 more alerts were left out of a delivery"


def test_fingerprint_falls_back_to_labels() -> None:
    alerts = [{"status": "firing", "labels": {"alertname": name}} for name in ("a", "b", "a")]
    first, second, third, _ = read_reports(Webhook.model_validate(ALERTMANAGER | {"alerts": alerts}), SERVICES)
    assert first.fingerprint == third.fingerprint != second.fingerprint


@pytest.mark.parametrize("wrong", [{}, {"version": "4"}, {"version": "4", "alerts": [{"status": "burning"}]}])
def test_invalid_delivery_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Webhook.model_validate(wrong)


def test_foreign_text_sanitized_and_cut() -> None:
    assert sanitize("a\x1b[31mb\u202ec\x00\u200bd", 100) == "abcd"
    assert len(sanitize("x" * 10_000, 200)) == 200
    assert sanitize("line\r\nline\ttab", 100) == "line\nline\ttab"


SECRET = "correct-horse-battery-staple"


@pytest.mark.parametrize("sign", ["\u200b", "\x00", "\u202e", "\r", "\ufeff"])
@pytest.mark.parametrize("limit", [30, 200, 1500])
def test_no_part_of_secret_left(sign: str, limit: int) -> None:
    """However a secret is split, joined or cut."""
    redact = Redactor([SECRET]).redact
    parted = sign.join(SECRET)
    texts = [f"{' ' if n % 7 else 'x' * n}{sign * n}{parted}" for n in range(limit - 20, limit + 5)]
    texts += ["y" * n + parted for n in (475, 490, 499)]
    texts += [sign * (8 * limit + LONGEST_SECRET - n) + SECRET for n in (0, 5, 20, 40)]
    for text in texts:
        told = sanitize(text, limit, redact)
        assert SECRET[:4] not in told, text
        assert len(told) <= limit


def test_credential_split_by_invisible_hidden() -> None:
    """A credential that invisible characters split is hidden by its name."""
    assert "hunter2" not in sanitize("it said pass\u200bword=hun\u200bter2 and ended", 200, Redactor().redact)
