"""Keep plans that wait for a yes, and let each be used once: every answer is one transaction."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from bot.models.actor import Actor
from bot.models.change import ChangeType, StateChange
from bot.models.proposal import ENDED, LIFETIME, Proposal, ProposalState
from bot.state.boot_clock import boot_id, boot_seconds
from bot.state.documents import from_row, readable, to_json
from bot.state.journal import Journal, Transaction

# An ended proposal is kept for a while, so that old buttons can say what became of it.
KEPT = 500


class Approvals:
    """Read and answer proposals."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def add(self, proposal: Proposal) -> None:
        """Write a new proposal."""

        def work(transaction: Transaction) -> None:
            _put(transaction, proposal)
            transaction.add_change(_change(proposal, proposal.request.requested_by))
            transaction.execute(
                "DELETE FROM proposals WHERE ended = 1 AND id NOT IN"
                " (SELECT id FROM proposals ORDER BY id DESC LIMIT ?)",
                (KEPT,),
            )

        await self._journal.write(work)

    async def get(self, proposal_id: str) -> Proposal | None:
        """Return a proposal, or None."""
        return await self._journal.read(lambda transaction: _read(transaction, proposal_id))

    async def open(self) -> tuple[Proposal, ...]:
        """Return every proposal that has not ended, oldest first."""
        rows = await self._journal.read(
            lambda t: t.execute("SELECT document FROM proposals WHERE ended = 0 ORDER BY id").fetchall()
        )
        return readable(Proposal, (row[0] for row in rows))

    async def move(
        self,
        proposal_id: str,
        to: ProposalState,
        actor: Actor | None,
        *,
        from_states: Iterable[ProposalState],
        deployment_id: str | None = None,
        note: str = "",
    ) -> tuple[bool, Proposal | None]:
        """Bring a proposal from one of some states to another; tells whether that was done, and how it stands now.

        One that waits and whose time is over becomes `expired` instead, except where a deployment of it was started.
        """
        allowed = frozenset(from_states)

        def work(transaction: Transaction) -> tuple[bool, Proposal | None]:
            known, now = _read(transaction, proposal_id), datetime.now(UTC)
            if known is None:
                return False, None
            if is_late(known) and to is not ProposalState.STARTED:
                expired = replace(known, state=ProposalState.EXPIRED, decided_at=now)
                _put(transaction, expired)
                transaction.add_change(_change(expired, None, old=known.state))
                return to is ProposalState.EXPIRED, expired
            if known.state not in allowed or to is ProposalState.EXPIRED:
                return False, known
            moved = replace(known, state=to, decided_by=actor, decided_at=now, deployment_id=deployment_id, note=note)
            if to is ProposalState.AWAITING and known.state is ProposalState.PLANNED:
                moved = given_time(moved)
            _put(transaction, moved)
            transaction.add_change(_change(moved, actor, old=known.state))
            return True, moved

        return await self._journal.write(work)


def given_time(proposal: Proposal) -> Proposal:
    """Return a proposal with its whole time before it, by the wall clock and by the machine's own."""
    return replace(
        proposal,
        expires_at=datetime.now(UTC) + LIFETIME,
        boot_id=boot_id(),
        expires_boot_seconds=boot_seconds() + LIFETIME.total_seconds(),
    )


def seconds_left(proposal: Proposal) -> float:
    """Return how long a proposal may still wait, by the clock that says less: setting one back gains nothing."""
    left = (proposal.expires_at - datetime.now(UTC)).total_seconds()
    if proposal.boot_id != boot_id():
        return left
    return min(left, proposal.expires_boot_seconds - boot_seconds())


def is_late(proposal: Proposal) -> bool:
    """Tell whether its time is over without an answer."""
    return proposal.waits and seconds_left(proposal) <= 0


def _read(transaction: Transaction, proposal_id: str) -> Proposal | None:
    row = transaction.execute("SELECT document FROM proposals WHERE id = ?", (proposal_id,)).fetchone()
    return from_row(Proposal, row[0]) if row else None


def _put(transaction: Transaction, proposal: Proposal) -> None:
    transaction.execute(
        "INSERT OR REPLACE INTO proposals (id, environment, ended, document) VALUES (?, ?, ?, ?)",
        (proposal.id, proposal.environment, int(proposal.state in ENDED), to_json(proposal)),
    )


def _change(proposal: Proposal, actor: Actor | None, *, old: ProposalState | None = None) -> StateChange:
    request = proposal.request
    return StateChange(
        type=ChangeType.AUDIT,
        source="approvals",
        environment=proposal.environment,
        subject=proposal.id,
        old=f"plan {old.value}" if old else None,
        new=f"plan {proposal.state.value}",
        metadata={
            "by": actor.name if actor else "",
            "id": actor.id if actor else "",
            "asked_by": request.requested_by.name,
            "kind": request.kind.value,
            "version": proposal.plan.version,
            "digest": proposal.plan.digest,
            "deployment": proposal.deployment_id,
        },
    )
