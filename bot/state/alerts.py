"""Keep alerts: one row for each occurrence of trouble, however often it is reported."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Unpack

from roas.errors import InvalidRequestError
from roas.messages.message import said
from roas.models.actor import Actor
from roas.models.alert import OUTSIDE, Alert, AlertMarks, AlertReport, AlertState, Instant, RecoveryStatus
from roas.models.state_change import ChangeType, StateChange
from roas.models.stored import new_id
from roas.state.journal.journal import Journal
from roas.state.living_processes import instant
from roas.state.transaction import Transaction

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


SOURCE = "alerts"
TRIGGERED = "monitoring.alert.triggered"
RESOLVED = "monitoring.alert.resolved"
ACTIONS_KEPT = 20


class Alerts:
    """Read and write alerts."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def take(self, reports: Sequence[AlertReport]) -> tuple[TakenReport, ...]:
        """Process a source's reports in one transaction; returns what changed, in order.

        A report of what is known already only counts; a repeated or late delivery of what has ended, and the end of
        what nobody knows, change nothing.
        """
        now = instant()

        def work(transaction: Transaction) -> tuple[TakenReport, ...]:
            taken = (_take(transaction, report, now) for report in reports)
            return tuple(result for result in taken if result is not None)

        return await self._journal.write(work)

    async def get(self, alert_id: str) -> Alert | None:
        """Return an alert, or None."""
        return await self._journal.read(lambda transaction: _find(transaction, alert_id))

    async def open(self, environment: str | None = None) -> tuple[Alert, ...]:
        """Return the alerts that are not resolved, oldest first."""
        where = "alerts WHERE open = 1 AND (? IS NULL OR environment = ?) ORDER BY rowid"
        return await self._journal.select(Alert, where, environment, environment)

    async def all(self) -> tuple[Alert, ...]:
        """Return every alert that is kept, open or not, oldest first."""
        return await self._journal.select(Alert, "alerts ORDER BY rowid")

    async def group(self, group: str) -> tuple[Alert, ...]:
        """Return the alerts that one message shows, oldest first."""
        return await self._journal.select(Alert, "alerts WHERE grouping = ? ORDER BY rowid", group)

    async def pending_notification(self) -> tuple[Alert, ...]:
        """Return the alerts that changed since the channel was last notified of them, oldest first."""
        return await self._journal.select(Alert, "alerts WHERE told < version ORDER BY rowid")

    async def mark_notified(self, alerts: Sequence[Alert]) -> None:
        """Record that the channel shows these alerts as they are given here."""
        await self._journal.write(
            lambda t: [t.execute("UPDATE alerts SET told = ? WHERE id = ?", (a.version, a.id)) for a in alerts]
        )

    async def put_in_group(self, alerts: Sequence[Alert], group: str) -> None:
        """Let one message show all these alerts."""
        await self._mark(alerts, lambda alert: replace(alert, group=group))

    async def mark_pinged(self, alerts: Sequence[Alert], *, called: bool) -> None:
        """Record whether the message that is about to show these alerts pings a role."""
        await self._mark(alerts, lambda alert: replace(alert, called=called))

    async def assign_shared_ping(self, alerts: Sequence[Alert], name: str) -> None:
        """Let one message ping about all these alerts."""
        await self._mark(alerts, lambda alert: replace(alert, called_with=name))

    async def of_shared_ping(self, name: str) -> tuple[Alert, ...]:
        """Return the alerts that one message pings about, oldest first."""
        where = "alerts WHERE json_extract(document, '$.called_with') = ? ORDER BY rowid"
        return await self._journal.select(Alert, where, name)

    async def acknowledge(self, alert_id: str, actor: Actor) -> Alert:
        """Acknowledge an alert. Raises InvalidRequestError where it is resolved."""
        return await self._decide(
            alert_id, actor, "acknowledged", lambda a: replace(a, state=AlertState.ACKNOWLEDGED, acknowledged_by=actor)
        )

    async def silence(self, alert_id: str, actor: Actor, duration: timedelta) -> Alert:
        """Silence an alert for a time, whatever its source reports. Raises InvalidRequestError where it is resolved."""
        end = instant().after(duration)

        def quiet(alert: Alert) -> Alert:
            return replace(alert, state=AlertState.SILENCED, silenced_by=actor, silenced_until=end.at, silence_ends=end)

        return await self._decide(alert_id, actor, "silenced", quiet)

    async def end_silences(self) -> tuple[Alert, ...]:
        """Reactivate alerts whose silence has expired; returns them."""
        now = instant()

        def work(transaction: Transaction) -> tuple[Alert, ...]:
            known = transaction.select(Alert, "alerts WHERE open = 1 ORDER BY rowid")
            over = [alert for alert in known if _silence_is_over(alert, now)]
            reactivated = (
                replace(alert, state=AlertState.FIRING, silenced_until=None, silence_ends=None) for alert in over
            )
            return tuple(_save(transaction, changed(alert, now)) for alert in reactivated)

        return await self._journal.write(work)

    async def note(self, alert_id: str, text: str = "", **marks: Unpack[AlertMarks]) -> Alert | None:
        """Write onto an alert what was done about it; returns it, or None where there is no such alert."""
        healing, escalated = marks.get("healing"), marks.get("escalated")

        def work(transaction: Transaction) -> Alert | None:
            alert = _find(transaction, alert_id)
            if alert is None:
                return None
            now = instant()
            actions = (*alert.actions, text)[-ACTIONS_KEPT:] if text else alert.actions
            escalates_now = bool(escalated) and not alert.escalated
            noted = replace(
                alert,
                actions=actions,
                healing=alert.healing if healing is None else healing,
                left_alone=alert.left_alone if healing is None else marks.get("left_alone", False),
                escalated=alert.escalated if escalated is None else escalated,
                escalated_at=now.at if escalates_now else alert.escalated_at,
            )
            return _save(transaction, changed(noted, now)) if noted != alert else alert

        return await self._journal.write(work)

    async def prune(self, kept: int) -> int:
        """Drop all but the newest resolved alerts of which the channel knows, with their posts; returns how many.

        An alert that is open, or whose resolution was not yet posted to the channel, stays.
        """

        def work(transaction: Transaction) -> int:
            rows = transaction.execute(
                "SELECT id FROM alerts WHERE open = 0 AND told >= version ORDER BY rowid DESC LIMIT -1 OFFSET ?",
                (kept,),
            ).fetchall()
            for row in rows:
                transaction.execute("DELETE FROM alerts WHERE id = ?", row)
                transaction.execute("DELETE FROM posts WHERE subject = ?", row)
            return len(rows)

        return await self._journal.write(work)

    async def _mark(self, alerts: Sequence[Alert], mark: Callable[[Alert], Alert]) -> None:
        """Update alerts without notifying the channel."""

        def work(transaction: Transaction) -> None:
            for alert in alerts:
                _save(transaction, mark(_get(transaction, alert.id)))

        await self._journal.write(work)

    async def _decide(self, alert_id: str, actor: Actor, text: str, decision: Callable[[Alert], Alert]) -> Alert:
        def work(transaction: Transaction) -> Alert:
            alert = _get(transaction, alert_id)
            if not alert.is_open:
                raise InvalidRequestError(said("{alert_id} is resolved already.", alert_id=alert_id))
            transaction.add_change(_audit(alert, actor, text))
            return _save(transaction, changed(decision(alert), instant()))

        return await self._journal.write(work)


def _take(transaction: Transaction, report: AlertReport, now: Instant) -> TakenReport | None:
    """Save what a report changes, with an event: the history must not miss how an alert ended."""
    known = _latest(transaction, report.fingerprint)
    taken = judge(known, report, now)
    if taken is None or taken.alert == known:
        return taken
    _save(transaction, taken.alert)
    if taken.triggered or taken.resolved:
        transaction.add_change(_alert_change(taken))
    return taken


def _save(transaction: Transaction, alert: Alert) -> Alert:
    """Save an alert. Its row also holds what was posted to the channel, which stays."""
    transaction.put(
        "alerts",
        alert,
        id=alert.id,
        fingerprint=alert.fingerprint,
        environment=alert.environment,
        open=int(alert.is_open),
        version=alert.version,
        grouping=alert.group,
    )
    return alert


def _find(transaction: Transaction, alert_id: str) -> Alert | None:
    return next(iter(transaction.select(Alert, "alerts WHERE id = ?", alert_id)), None)


def _get(transaction: Transaction, alert_id: str) -> Alert:
    alert = _find(transaction, alert_id)
    if alert is None:
        raise InvalidRequestError(said("There is no alert {alert_id}.", alert_id=alert_id))
    return alert


# Ids begin with the wall clock's time, which may be set back; rows are numbered as they come.
def _latest(transaction: Transaction, fingerprint: str) -> Alert | None:
    return transaction.find(Alert, "alerts WHERE fingerprint = ? ORDER BY rowid DESC", fingerprint)


def _silence_is_over(alert: Alert, now: Instant) -> bool:
    if alert.state is not AlertState.SILENCED or alert.silenced_until is None:
        return False
    return now.since(alert.silence_ends or Instant(alert.silenced_until)) >= timedelta(0)


def _alert_change(taken: TakenReport) -> StateChange:
    alert = taken.alert
    return StateChange(
        type=ChangeType.ALERT_TRIGGERED,
        source=SOURCE,
        environment=alert.environment,
        subject=alert.id,
        new=said("resolved: {title}", title=alert.title) if taken.resolved else alert.title,
        metadata={
            "event": RESOLVED if taken.resolved else TRIGGERED,
            "severity": alert.severity.value,
            "source": alert.source.value,
            "service": alert.service,
        },
        correlation_id=alert.correlation_id,
    )


def _audit(alert: Alert, actor: Actor, text: str) -> StateChange:
    return StateChange(
        type=ChangeType.AUDIT,
        source=SOURCE,
        environment=alert.environment,
        subject=alert.id,
        old=alert.state.value,
        new=text,
        metadata={"by": actor.name, "id": actor.id, "title": alert.title},
        correlation_id=alert.correlation_id,
    )
