"""Decide what a report means for a known alert: a new occurrence, a repetition, a resolution, or no change."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from roas.models.alert import OUTSIDE, Alert, AlertReport, AlertState, RecoveryStatus
from roas.models.identifiers import new_id
from roas.models.instant import Instant

# Trouble that comes back within this time is the same alert once more, not another one.
REOPEN_WINDOW = timedelta(minutes=10)
# Trouble that comes and goes pings once in a while, and not every time.
PING_INTERVAL = timedelta(minutes=15)
# A source that reports a start further ahead than this has a clock that is not to be trusted.
MAX_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class TakenReport:
    """Describe the effect of a report on its alert: raised (or firing again), resolved, or only counted."""

    alert: Alert
    triggered: bool = False
    resolved: bool = False


def judge(known: Alert | None, report: AlertReport, now: Instant) -> TakenReport | None:
    """Return the alert after the report, or None where the report changes nothing."""
    if known is not None and _is_outdated(known, report, now):
        return None
    return _begun(known, report, now) if report.firing else _ended(known, report, now)


def changed(alert: Alert, now: Instant) -> Alert:
    """Return the alert, marked so that the channel is notified again."""
    return replace(alert, version=alert.version + 1, updated_at=now.at)


def _is_outdated(known: Alert, report: AlertReport, now: Instant) -> bool:
    """Return whether an external report is of an earlier occurrence than the known one: delivered late, or repeated.

    An end counts by the time at which it came: several senders may each have seen the same occurrence begin.
    """
    begun = _moment(known.occurrence)
    if report.source not in OUTSIDE or begun is None or begun > now.at + MAX_CLOCK_SKEW:
        return False
    last = _moment(report.occurrence)
    if not report.firing:
        last = _moment(report.ended) or last
    return last is not None and last < begun


def _begun(known: Alert | None, report: AlertReport, now: Instant) -> TakenReport | None:
    if known is None:
        return TakenReport(_new_alert(report, now), triggered=True)
    if known.is_open:
        return _count(known, report, now)
    if report.occurrence and report.occurrence == known.occurrence:
        return None  # delivered again, after its end
    if known.resolved_at is not None and _has_just_ended(known.resolved or Instant(known.resolved_at), now):
        return TakenReport(_reopen(known, report, now), triggered=True)
    return TakenReport(_new_alert(report, now), triggered=True)


def _ended(known: Alert | None, report: AlertReport, now: Instant) -> TakenReport | None:
    if known is None:
        return None
    # A resolution may arrive before the alert itself, which is then outdated.
    occurrence = (report.source in OUTSIDE and report.occurrence) or known.occurrence
    if not known.is_open:
        return TakenReport(replace(known, occurrence=occurrence)) if occurrence != known.occurrence else None
    over = replace(
        known,
        state=AlertState.RESOLVED,
        occurrence=occurrence,
        resolved_at=now.at,
        resolved=now,
        silenced_until=None,
        silence_ends=None,
    )
    return TakenReport(changed(over, now), resolved=True)


def _count(known: Alert, report: AlertReport, now: Instant) -> TakenReport:
    """Record that a known fault continues; a worse one than before pings again."""
    if report.occurrence and report.occurrence == known.occurrence and report.summary == known.summary:
        return TakenReport(known)
    worse = _rank(report) > _rank(known)
    counted = replace(
        known,
        count=known.count + 1,
        severity=report.severity if worse else known.severity,
        title=report.title if worse else known.title,
        summary=report.summary or known.summary,
        occurrence=report.occurrence or known.occurrence,
    )
    return TakenReport(changed(counted, now), triggered=worse)


def _reopen(known: Alert, report: AlertReport, now: Instant) -> Alert:
    """Reopen an alert; neither its silence nor its acknowledgement outlives its resolution."""
    again = replace(
        known,
        state=AlertState.FIRING,
        count=known.count + 1,
        severity=report.severity,
        title=report.title,
        summary=report.summary,
        occurrence=report.occurrence,
        resolved_at=None,
        resolved=None,
        acknowledged_by=None,
        silenced_by=None,
        healing=RecoveryStatus.NONE,
        left_alone=False,
        escalated=False,
        escalated_at=None,
        relapsed_at=now.at if _pinged_long_ago(known, now) else known.relapsed_at,
        correlation_id=report.correlation_id or known.correlation_id,
    )
    return changed(again, now)


def _pinged_long_ago(known: Alert, now: Instant) -> bool:
    return known.called and abs(now.at - (known.relapsed_at or known.started_at)) >= PING_INTERVAL


def _new_alert(report: AlertReport, now: Instant) -> Alert:
    return Alert(
        id=new_id("ALERT"),
        fingerprint=report.fingerprint,
        source=report.source,
        severity=report.severity,
        title=report.title,
        summary=report.summary,
        environment=report.environment,
        service=report.service,
        occurrence=report.occurrence,
        correlation_id=report.correlation_id or new_id("COR"),
        started_at=now.at,
        updated_at=now.at,
        called=False,
        left_alone=False,
    )


def _has_just_ended(end: Instant, now: Instant) -> bool:
    return abs(now.since(end)) <= REOPEN_WINDOW


def _moment(text: str) -> datetime | None:
    """Read a time as Go writes it; None where it is none, or Go's "never"."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    read = read if read.tzinfo is not None else read.replace(tzinfo=UTC)
    return read if read.year > 1 else None


def _rank(alert: Alert | AlertReport) -> int:
    return -list(type(alert.severity)).index(alert.severity)
