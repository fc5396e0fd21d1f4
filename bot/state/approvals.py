"""Keep plans that wait for a confirmation or an approval, and let each be used once: an answer is one transaction."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from roas.models.actor import Actor
from roas.models.change import ChangeType, StateChange
from roas.models.plan_record import ENDED, LIFETIME, PlanRecord, PlanState
from roas.state.boot_clock import boot_id, boot_seconds
from roas.state.documents import from_row, readable, to_json
from roas.state.journal import Journal
from roas.state.transaction import Transaction

# An ended plan is kept for a while, so that old buttons can say what became of it.
KEPT = 500


class Approvals:
    """Read and answer plans."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def add(self, plan_record: PlanRecord) -> None:
        """Write a new plan."""

        def work(transaction: Transaction) -> None:
            _put(transaction, plan_record)
            transaction.add_change(_change(plan_record, plan_record.request.requested_by))
            transaction.execute(
                "DELETE FROM proposals WHERE ended = 1 AND id NOT IN"
                " (SELECT id FROM proposals ORDER BY id DESC LIMIT ?)",
                (KEPT,),
            )

        await self._journal.write(work)

    async def get(self, plan_id: str) -> PlanRecord | None:
        """Return a plan, or None."""
        return await self._journal.read(lambda transaction: _read(transaction, plan_id))

    async def open(self) -> tuple[PlanRecord, ...]:
        """Return every plan that has not ended, oldest first."""
        rows = await self._journal.read(
            lambda t: t.execute("SELECT document FROM proposals WHERE ended = 0 ORDER BY id").fetchall()
        )
        return readable(PlanRecord, (row[0] for row in rows))

    async def move(
        self,
        plan_id: str,
        to: PlanState,
        actor: Actor | None,
        *,
        from_states: Iterable[PlanState],
        deployment_id: str | None = None,
        note: str = "",
    ) -> tuple[bool, PlanRecord | None]:
        """Move a plan from one of some states to another; returns whether that was done, and its current state.

        One that waits and whose time is over becomes `expired` instead, except where a deployment of it was started.
        """
        allowed = frozenset(from_states)

        def work(transaction: Transaction) -> tuple[bool, PlanRecord | None]:
            known, now = _read(transaction, plan_id), datetime.now(UTC)
            if known is None:
                return False, None
            if is_expired(known) and to is not PlanState.STARTED:
                expired = replace(known, state=PlanState.EXPIRED, decided_at=now)
                _put(transaction, expired)
                transaction.add_change(_change(expired, None, old=known.state))
                return to is PlanState.EXPIRED, expired
            if known.state not in allowed or to is PlanState.EXPIRED:
                return False, known
            moved = replace(known, state=to, decided_by=actor, decided_at=now, deployment_id=deployment_id, note=note)
            if to is PlanState.AWAITING and known.state is PlanState.PLANNED:
                moved = with_expiry(moved)
            _put(transaction, moved)
            transaction.add_change(_change(moved, actor, old=known.state))
            return True, moved

        return await self._journal.write(work)


def with_expiry(plan_record: PlanRecord) -> PlanRecord:
    """Return a plan with its whole time before it, by the wall clock and by the machine's own."""
    return replace(
        plan_record,
        expires_at=datetime.now(UTC) + LIFETIME,
        boot_id=boot_id(),
        expires_boot_seconds=boot_seconds() + LIFETIME.total_seconds(),
    )


def seconds_left(plan_record: PlanRecord) -> float:
    """Return how long a plan may still wait, by the clock that says less: setting one back gains nothing."""
    left = (plan_record.expires_at - datetime.now(UTC)).total_seconds()
    if plan_record.boot_id != boot_id():
        return left
    return min(left, plan_record.expires_boot_seconds - boot_seconds())


def is_expired(plan_record: PlanRecord) -> bool:
    """Return whether its time is over without an answer."""
    return plan_record.waits and seconds_left(plan_record) <= 0


def _read(transaction: Transaction, plan_id: str) -> PlanRecord | None:
    row = transaction.execute("SELECT document FROM proposals WHERE id = ?", (plan_id,)).fetchone()
    return from_row(PlanRecord, row[0]) if row else None


def _put(transaction: Transaction, plan_record: PlanRecord) -> None:
    transaction.execute(
        "INSERT OR REPLACE INTO proposals (id, environment, ended, document) VALUES (?, ?, ?, ?)",
        (plan_record.id, plan_record.environment, int(plan_record.state in ENDED), to_json(plan_record)),
    )


def _change(plan_record: PlanRecord, actor: Actor | None, *, old: PlanState | None = None) -> StateChange:
    request = plan_record.request
    return StateChange(
        type=ChangeType.AUDIT,
        source="approvals",
        environment=plan_record.environment,
        subject=plan_record.id,
        old=f"plan {old.value}" if old else None,
        new=f"plan {plan_record.state.value}",
        metadata={
            "by": actor.name if actor else "",
            "id": actor.id if actor else "",
            "asked_by": request.requested_by.name,
            "kind": request.kind.value,
            "version": plan_record.plan.version,
            "digest": plan_record.plan.digest,
            "deployment": plan_record.deployment_id,
        },
    )
