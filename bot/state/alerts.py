"""Keep alerts: one row for each outbreak of trouble, however often it is reported."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bot.errors import InvalidRequestError
from bot.models.actor import Actor
from bot.models.alert import Alert, AlertReport, AlertState, Healing
from bot.models.change import ChangeType, StateChange
from bot.models.identifiers import new_id
from bot.state.documents import from_row, readable, to_json
from bot.state.journal import Journal, Transaction

# Trouble that comes back within this time is the same alert once more, not another one.
SAME_AGAIN = timedelta(minutes=10)
ACTIONS_KEPT = 20


@dataclass(frozen=True, slots=True)
class TakenReport:
    """Say what a report did to its alert: whether it was raised by it (or fires again), resolved, or only counted."""

    alert: Alert
    triggered: bool = False
    resolved: bool = False


class Alerts:
    """Read and write alerts."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def take(self, reports: Sequence[AlertReport]) -> tuple[TakenReport, ...]:
        """Take in what a source sees, all in one transaction; returns what that changed, in order.

        A report of what is known already only counts; a repeated delivery of what has ended, and the end of what nobody
        knows, change nothing.
        """
        now = datetime.now(UTC)

        def work(transaction: Transaction) -> tuple[TakenReport, ...]:
            taken = (_take(transaction, report, now) for report in reports)
            return tuple(one for one in taken if one is not None)

        return await self._journal.write(work)

    async def get(self, alert_id: str) -> Alert | None:
        """Return an alert, or None."""
        found = await self._journal.read(lambda t: _select(t, "id = ?", (alert_id,)))
        return found[0] if found else None

    async def open(self, environment: str | None = None) -> tuple[Alert, ...]:
        """Return the alerts that are not resolved, oldest first."""
        where = "open = 1 AND (? IS NULL OR environment = ?)"
        return await self._journal.read(lambda t: _select(t, where, (environment, environment)))

    async def all(self) -> tuple[Alert, ...]:
        """Return every alert that is kept, open or not, oldest first."""
        return await self._journal.read(lambda t: _select(t, "1", ()))

    async def group(self, group: str) -> tuple[Alert, ...]:
        """Return the alerts of which one message tells, oldest first."""
        return await self._journal.read(lambda t: _select(t, "grouping = ?", (group,)))

    async def untold(self) -> tuple[Alert, ...]:
        """Return the alerts that changed since the channel was told of them, oldest first."""
        return await self._journal.read(lambda t: _select(t, "told < version", ()))

    async def told(self, alerts: Sequence[Alert]) -> None:
        """Note that the channel shows these alerts as they are given here."""
        await self._journal.write(
            lambda t: [t.execute("UPDATE alerts SET told = ? WHERE id = ?", (a.version, a.id)) for a in alerts]
        )

    async def put_in_group(self, alerts: Sequence[Alert], group: str) -> None:
        """Let one message tell of all these alerts."""

        def work(transaction: Transaction) -> None:
            for alert in alerts:
                known = _get(transaction, alert.id)
                _save(transaction, replace(known, group=group))

        await self._journal.write(work)

    async def acknowledge(self, alert_id: str, actor: Actor) -> Alert:
        """Note that somebody looks after it. Raises InvalidRequestError where it has ended."""
        return await self._decide(
            alert_id, actor, "acknowledged", lambda a: replace(a, state=AlertState.ACKNOWLEDGED, acknowledged_by=actor)
        )

    async def silence(self, alert_id: str, actor: Actor, until: datetime) -> Alert:
        """Let it call nobody until then, whatever its source says. Raises InvalidRequestError where it has ended."""

        def quiet(alert: Alert) -> Alert:
            return replace(alert, state=AlertState.SILENCED, silenced_by=actor, silenced_until=until)

        return await self._decide(alert_id, actor, "silenced", quiet)

    async def end_silences(self, now: datetime) -> tuple[Alert, ...]:
        """Let alerts whose silence is over fire again; returns them."""

        def work(transaction: Transaction) -> tuple[Alert, ...]:
            return tuple(
                _save(transaction, _changed(replace(alert, state=AlertState.FIRING, silenced_until=None), now))
                for alert in _select(transaction, "open = 1", ())
                if alert.state is AlertState.SILENCED and alert.silenced_until is not None
                if alert.silenced_until <= now
            )

        return await self._journal.write(work)

    async def note(
        self, alert_id: str, words: str = "", *, healing: Healing | None = None, escalated: bool | None = None
    ) -> Alert | None:
        """Write onto an alert what was done about it; returns it, or None where there is no such alert."""

        def work(transaction: Transaction) -> Alert | None:
            found = _select(transaction, "id = ?", (alert_id,))
            if not found:
                return None
            alert = found[0]
            now = datetime.now(UTC)
            actions = (*alert.actions, words)[-ACTIONS_KEPT:] if words else alert.actions
            called_for_help = bool(escalated) and not alert.escalated
            noted = replace(
                alert,
                actions=actions,
                healing=alert.healing if healing is None else healing,
                escalated=alert.escalated if escalated is None else escalated,
                escalated_at=now if called_for_help else alert.escalated_at,
            )
            return _save(transaction, _changed(noted, now)) if noted != alert else alert

        return await self._journal.write(work)

    async def prune(self, kept: int) -> int:
        """Let go of all but the newest resolved alerts of which the channel knows, with their posts; returns how many.

        An alert that is open, or that the channel was not told of to its end, stays.
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

    async def _decide(self, alert_id: str, actor: Actor, words: str, decision: Callable[[Alert], Alert]) -> Alert:
        def work(transaction: Transaction) -> Alert:
            alert = _get(transaction, alert_id)
            if not alert.is_open:
                raise InvalidRequestError(f"{alert_id} is resolved already.", hint="There is nothing to do.")
            transaction.add_change(_audit(alert, actor, words))
            return _save(transaction, _changed(decision(alert), datetime.now(UTC)))

        return await self._journal.write(work)


def _take(transaction: Transaction, report: AlertReport, now: datetime) -> TakenReport | None:
    alert = _latest(transaction, report.fingerprint)
    if not report.firing:
        if alert is None or not alert.is_open:
            return None
        ended = replace(alert, state=AlertState.RESOLVED, resolved_at=now, silenced_until=None)
        return TakenReport(_save(transaction, _changed(ended, now)), resolved=True)
    if alert is None:
        return TakenReport(_save(transaction, _raised(report, now)), triggered=True)
    if alert.is_open:
        return _count(transaction, alert, report, now)
    if report.occurrence and report.occurrence == alert.occurrence:
        return None  # delivered again, after its end
    if alert.resolved_at is not None and now - alert.resolved_at <= SAME_AGAIN:
        return TakenReport(_save(transaction, _fires_again(alert, report, now)), triggered=True)
    return TakenReport(_save(transaction, _raised(report, now)), triggered=True)


def _count(transaction: Transaction, alert: Alert, report: AlertReport, now: datetime) -> TakenReport:
    """Take in that known trouble goes on; worse trouble than before calls people anew."""
    if report.occurrence and report.occurrence == alert.occurrence and report.summary == alert.summary:
        return TakenReport(alert)
    worse = _rank(report) > _rank(alert)
    counted = replace(
        alert,
        count=alert.count + 1,
        severity=report.severity if worse else alert.severity,
        title=report.title if worse else alert.title,
        summary=report.summary or alert.summary,
        occurrence=report.occurrence or alert.occurrence,
    )
    return TakenReport(_save(transaction, _changed(counted, now)), triggered=worse)


def _fires_again(alert: Alert, report: AlertReport, now: datetime) -> Alert:
    """Open an alert once more; a silence of it does not outlive its end, an acknowledgement neither."""
    again = replace(
        alert,
        state=AlertState.FIRING,
        count=alert.count + 1,
        severity=report.severity,
        title=report.title,
        summary=report.summary,
        occurrence=report.occurrence,
        resolved_at=None,
        acknowledged_by=None,
        silenced_by=None,
        healing=Healing.NONE,
        escalated=False,
        escalated_at=None,
        correlation_id=report.correlation_id or alert.correlation_id,
    )
    return _changed(again, now)


def _raised(report: AlertReport, now: datetime) -> Alert:
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
        started_at=now,
        updated_at=now,
    )


def _rank(told: Alert | AlertReport) -> int:
    return -list(type(told.severity)).index(told.severity)


def _changed(alert: Alert, now: datetime) -> Alert:
    return replace(alert, version=alert.version + 1, updated_at=now)


def _save(transaction: Transaction, alert: Alert) -> Alert:
    """Write an alert. A row is never replaced: what the channel was told of it stays beside it."""
    transaction.execute(
        "INSERT INTO alerts (id, fingerprint, environment, open, version, grouping, document)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " open = excluded.open, version = excluded.version, grouping = excluded.grouping, document = excluded.document",
        (
            alert.id,
            alert.fingerprint,
            alert.environment,
            int(alert.is_open),
            alert.version,
            alert.group,
            to_json(alert),
        ),
    )
    return alert


def _get(transaction: Transaction, alert_id: str) -> Alert:
    found = _select(transaction, "id = ?", (alert_id,))
    if not found:
        raise InvalidRequestError(
            f"The journal knows no alert {alert_id}.", hint="See /status for those that are open."
        )
    return found[0]


# Ids begin with the wall clock's time, which may be set back; rows are numbered as they come.
def _latest(transaction: Transaction, fingerprint: str) -> Alert | None:
    row = transaction.execute(
        "SELECT document FROM alerts WHERE fingerprint = ? ORDER BY rowid DESC LIMIT 1", (fingerprint,)
    ).fetchone()
    return from_row(Alert, row[0]) if row else None


def _select(transaction: Transaction, where: str, parameters: tuple[object, ...]) -> tuple[Alert, ...]:
    statement = f"SELECT document FROM alerts WHERE {where} ORDER BY rowid"  # noqa: S608 - our own words only
    return readable(Alert, (row[0] for row in transaction.execute(statement, parameters).fetchall()))


def _audit(alert: Alert, actor: Actor, words: str) -> StateChange:
    return StateChange(
        type=ChangeType.AUDIT,
        source="alerts",
        environment=alert.environment,
        subject=alert.id,
        old=alert.state.value,
        new=words,
        metadata={"by": actor.name, "id": actor.id, "title": alert.title},
        correlation_id=alert.correlation_id,
    )
