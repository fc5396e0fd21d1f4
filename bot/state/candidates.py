"""Keep what sources offer: deliveries as they came, candidates and what became of them, and what is kept out."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from roas.errors import InvalidRequestError
from roas.messages.message import said
from roas.models.actor import Actor
from roas.models.candidate import (
    PROPOSAL_PREFIX,
    REPLACEABLE,
    Candidate,
    CandidateState,
    Delivery,
    Hold,
    ImageAges,
    SourceMode,
)
from roas.models.state_change import ChangeType, StateChange
from roas.models.stored import new_id
from roas.state.documents import to_json
from roas.state.journal.journal import Journal
from roas.state.transaction import Transaction

# What is over is kept for a while: to know again what came before, and to answer a job that still asks.
KEPT = 1000
# A redelivery of GitHub's can come for three days.
DELIVERIES_KEPT = timedelta(days=7)
# The same offered within this is one proposal: a build pushes several images one after the other.
MERGED_WITHIN = timedelta(seconds=30)
# Before the name of an image, the name of the row of `projections` that holds the ages of its tags.
AGES_ROW = "ages:"
# In the place of an id, which has no such character.
USELESS = "/useless"
WAITS = frozenset({CandidateState.NEW, CandidateState.PROPOSED, CandidateState.WAITING})


class KeyReusedError(InvalidRequestError):
    """Something else was asked for by the same key."""

    key = "key_reused"


class Candidates:
    """Add candidates, so that a newer one takes the place of the one before, and move them on."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def add(self, candidate: Candidate, *, is_asked_for: bool = False) -> tuple[Candidate, bool]:
        """Write a candidate, or find the one that it is; returns it, and whether it is new.

        What is open of the same source is superseded, and its message taken over. What is offered again is known; only
        what `is_asked_for` again after it has ended is a new one, unless a person skipped it. Raises KeyReusedError.
        """

        def work(transaction: Transaction) -> tuple[Candidate, bool]:
            if (known := _by_key(transaction, candidate)) is not None:
                return known, False
            where = "candidates WHERE environment = ? AND source = ? ORDER BY rowid DESC LIMIT ?"
            before = transaction.select(Candidate, where, candidate.environment, candidate.source, KEPT)
            for known in before:
                if known.identity != candidate.identity:
                    continue
                is_known = known.mode is candidate.mode and (known.is_open or not is_asked_for)
                if is_known or known.state is CandidateState.SKIPPED:
                    return known, False
            competing = [known for known in before if _compete(known, candidate)]
            latest = competing[0] if competing else None
            if latest is not None and (merged := _merged(latest, candidate)) is not None:
                _put(transaction, merged)
                return merged, True
            added = replace(candidate, proposal=new_id(PROPOSAL_PREFIX))
            replaced = [known for known in competing if known.state in REPLACEABLE] if candidate.is_open else []
            for open_one in replaced:
                _put(transaction, replace(open_one, state=CandidateState.SUPERSEDED, decided_at=datetime.now(UTC)))
                if open_one is latest:
                    added = replace(added, proposal=open_one.proposal)
            _put(transaction, added)
            transaction.add_change(_change(added, None))
            _prune(transaction)
            return added, True

        return await self._journal.write(work)

    async def put_back(self, refused: Candidate) -> Candidate | None:
        """Propose again what a refused candidate has taken the place of; returns it, None where there is nothing.

        A person decides: who offered it was told that it is superseded. A commit that a ref has left is no candidate.
        """

        def work(transaction: Transaction) -> Candidate | None:
            where = (
                "candidates WHERE environment = ? AND source = ? AND rowid <"
                " (SELECT rowid FROM candidates WHERE id = ?) ORDER BY rowid DESC LIMIT ?"
            )
            before = transaction.select(Candidate, where, refused.environment, refused.source, refused.id, KEPT)
            for known in before:
                if known.state is not CandidateState.SUPERSEDED or not _compete(known, refused):
                    continue
                was_good = (known.plan is not None or not known.note) and not known.origin.stack_commit
                if was_good and known.decided_at is not None and known.decided_at >= refused.created_at:
                    back = replace(
                        known,
                        state=CandidateState.NEW,
                        mode=SourceMode.PROPOSE,
                        proposal=new_id(PROPOSAL_PREFIX),
                        plan=None,
                        decided_at=None,
                        failing_since=None,
                    )
                    _put(transaction, back)
                    transaction.add_change(_change(back, None, old=known.state))
                    return back
            return None

        return await self._journal.write(work)

    async def get(self, candidate_id: str) -> Candidate | None:
        """Return a candidate, or None."""
        return await self._journal.read(lambda transaction: _read(transaction, candidate_id))

    async def open(self) -> tuple[Candidate, ...]:
        """Return all of which something is yet to become, oldest first."""
        return await self._journal.select(Candidate, "candidates WHERE open = 1 ORDER BY rowid")

    async def waiting(self, environment: str) -> tuple[Candidate, ...]:
        """Return what is deployed as soon as nothing is in its way."""
        return tuple(
            candidate
            for candidate in await self.open()
            if candidate.environment == environment and candidate.state is CandidateState.WAITING
        )

    async def of_proposal(self, proposal: str) -> tuple[Candidate, ...]:
        """Return the candidates that one message has shown, the newest first."""
        return await self._journal.select(Candidate, "candidates WHERE proposal = ? ORDER BY rowid DESC", proposal)

    async def of_environment(self, environment: str, *, limit: int = 20) -> tuple[Candidate, ...]:
        """Return the candidates of an environment, the newest first."""
        where = "candidates WHERE environment = ? ORDER BY rowid DESC LIMIT ?"
        return await self._journal.select(Candidate, where, environment, limit)

    async def of_source(self, source: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return the candidates of a source, the newest first."""
        return await self._journal.select(
            Candidate, "candidates WHERE source = ? ORDER BY rowid DESC LIMIT ?", source, limit
        )

    async def of_deployment(self, deployment_id: str) -> Candidate | None:
        """Return the candidate that a deployment was started for, or None."""
        where = "candidates WHERE json_extract(document, '$.deployment_id') = ? LIMIT 1"
        found = await self._journal.select(Candidate, where, deployment_id)
        return found[0] if found else None

    async def ages(self, image: str) -> ImageAges:
        """Return what is known of the ages of an image's tags."""
        found = await self._journal.find(ImageAges, "projections WHERE name = ?", f"{AGES_ROW}{image}")
        return found or ImageAges()

    async def keep_ages(self, image: str, ages: ImageAges) -> None:
        """Keep what is known of the ages of an image's tags: the latest that were asked for."""
        latest = ImageAges(dict(list(ages.made_at.items())[-KEPT:]))
        await self._journal.put("projections", latest, name=f"{AGES_ROW}{image}")

    async def move(
        self,
        candidate_id: str,
        to: CandidateState,
        *,
        from_states: Iterable[CandidateState],
        by: Actor | None = None,
        **changes: Any,
    ) -> Candidate | None:
        """Move a candidate on from one of some states, and return it; None where it is in another by now."""
        allowed = frozenset(from_states)

        def work(transaction: Transaction) -> Candidate | None:
            known = _read(transaction, candidate_id)
            if known is None or known.state not in allowed:
                return None
            if by is not None:
                changes.update(decided_by=by, decided_at=datetime.now(UTC))
            moved = replace(known, state=to, **changes)
            if moved == known:
                return known
            _put(transaction, moved)
            if moved.state is not known.state:
                transaction.add_change(_change(moved, by, old=known.state))
            return moved

        return await self._journal.write(work)


class Deliveries:
    """Keep each delivery of a webhook once, until the leader has looked where it points."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def add(self, delivery: Delivery) -> bool:
        """Write a delivery; returns whether it is new.

        Of those that are handled before they are written, as they are of no use, the last of a source is kept: one that
        is sent again, when the settings are others, is new.
        """

        def work(transaction: Transaction) -> bool:
            transaction.execute(
                "DELETE FROM deliveries WHERE handled = 1 AND received_at < ?",
                ((datetime.now(UTC) - DELIVERIES_KEPT).isoformat(),),
            )
            received_at = delivery.received_at.isoformat()
            if delivery.is_handled:
                transaction.put(
                    "deliveries", delivery, source=delivery.source, id=USELESS, handled=1, received_at=received_at
                )
                return True
            written = transaction.execute(
                "INSERT OR IGNORE INTO deliveries (source, id, received_at, document) VALUES (?, ?, ?, ?)",
                (delivery.source, delivery.id, received_at, to_json(delivery)),
            )
            return written.rowcount == 1

        return await self._journal.write(work)

    async def pending(self) -> tuple[Delivery, ...]:
        """Return what nobody has looked after, oldest first."""
        return await self._journal.select(Delivery, "deliveries WHERE handled = 0 ORDER BY received_at LIMIT ?", KEPT)

    async def latest(self) -> tuple[Delivery, ...]:
        """Return the last delivery of each source, and its last one of no use, in the order of their coming."""
        return await self._journal.select(
            Delivery,
            "deliveries WHERE rowid IN (SELECT MAX(rowid) FROM deliveries GROUP BY source, id = ?)"
            " ORDER BY source, received_at",
            USELESS,
        )

    async def note(self, delivery: Delivery, note: str, *, is_over: bool) -> None:
        """Write what became of a delivery, or why nothing has become of it yet."""
        noted = replace(delivery, is_handled=is_over, note=note)
        if noted != delivery:
            await self._journal.write(
                lambda t: t.execute(
                    "UPDATE deliveries SET handled = ?, document = ? WHERE source = ? AND id = ?",
                    (int(is_over), to_json(noted), delivery.source, delivery.id),
                )
            )


class Holds:
    """Keep versions out of environments, and lift that."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def of(self, environment: str) -> tuple[Hold, ...]:
        """Return what is kept out of an environment."""
        holds = await self._journal.select(Hold, "holds WHERE environment = ? ORDER BY version", environment)
        return tuple(hold for hold in holds if hold.lifted_by is None)

    async def put(self, hold: Hold) -> bool:
        """Keep a version out, or, without one, deployments by themselves; returns whether that is new.

        What a deployment has led to once, it does not lead to again.
        """

        def work(transaction: Transaction) -> bool:
            known = _read_hold(transaction, hold.environment, hold.version)
            if known is not None and (known.deployment_id == hold.deployment_id or known.since > hold.since):
                return False
            _put_hold(transaction, hold)
            transaction.add_change(_hold_change(hold, "held", None))
            return True

        return await self._journal.write(work)

    async def lift(self, environment: str, version: str, by: Actor, *, before: datetime) -> Hold | None:
        """Let in again what has been kept out since `before` that; returns the hold, None where there is none."""

        def work(transaction: Transaction) -> Hold | None:
            hold = _read_hold(transaction, environment, version)
            if hold is None or hold.lifted_by is not None or hold.since > before:
                return None
            _put_hold(transaction, replace(hold, lifted_by=by))
            transaction.add_change(_hold_change(hold, "hold lifted", by))
            return hold

        return await self._journal.write(work)


def _by_key(transaction: Transaction, candidate: Candidate) -> Candidate | None:
    """Return what was asked for by the same key. Raises KeyReusedError where that was something else."""
    if not candidate.key:
        return None
    known = transaction.find(
        Candidate, "candidates WHERE source = ? AND request_key = ?", candidate.source, candidate.key
    )
    if known is not None and (known.environment, known.identity) != (candidate.environment, candidate.identity):
        raise KeyReusedError(
            said("Something else was asked for by the key {key}: {version}.", key=candidate.key, version=known.version),
        )
    return known


def _compete(known: Candidate, candidate: Candidate) -> bool:
    """Return whether one of two candidates takes the other's place: they are for a service in common.

    What comes together, service by service, is one proposal.
    """
    return (
        not known.services
        or not candidate.services
        or not set(known.services).isdisjoint(candidate.services)
        or _merged(known, candidate) is not None
    )


def _merged(known: Candidate, candidate: Candidate) -> Candidate | None:
    """Return both as one where the same version of further services comes within a moment, else None."""
    is_same = (known.version, known.origin.commit, known.mode) == (
        candidate.version,
        candidate.origin.commit,
        candidate.mode,
    )
    is_soon = candidate.created_at - known.created_at < MERGED_WITHIN
    if not is_same or not is_soon or known.state not in WAITS or not candidate.origin.digests:
        return None
    if known.origin.digests.keys() & candidate.origin.digests.keys():  # the tag has moved on
        return None
    services = tuple(sorted({*known.services, *candidate.services})) if known.services and candidate.services else ()
    origin = replace(known.origin, digests=known.origin.digests | candidate.origin.digests)
    return replace(known, services=services, origin=origin, state=CandidateState.NEW, plan=None)


def _read(transaction: Transaction, candidate_id: str) -> Candidate | None:
    return transaction.find(Candidate, "candidates WHERE id = ?", candidate_id)


def _put(transaction: Transaction, candidate: Candidate) -> None:
    transaction.put(
        "candidates",
        candidate,
        id=candidate.id,
        environment=candidate.environment,
        source=candidate.source,
        proposal=candidate.proposal,
        identity=candidate.identity,
        request_key=candidate.key or None,
        open=int(candidate.is_open),
    )


def _read_hold(transaction: Transaction, environment: str, version: str) -> Hold | None:
    return transaction.find(Hold, "holds WHERE environment = ? AND version = ?", environment, version)


def _put_hold(transaction: Transaction, hold: Hold) -> None:
    transaction.put("holds", hold, environment=hold.environment, version=hold.version)


def _prune(transaction: Transaction) -> None:
    transaction.execute(
        "DELETE FROM candidates WHERE open = 0 AND rowid NOT IN"
        " (SELECT rowid FROM candidates ORDER BY rowid DESC LIMIT ?)",
        (KEPT,),
    )


def _change(candidate: Candidate, by: Actor | None, *, old: CandidateState | None = None) -> StateChange:
    return StateChange(
        type=ChangeType.AUDIT,
        source="candidates",
        environment=candidate.environment,
        subject=candidate.id,
        old=f"candidate {old.value}" if old else None,
        new=f"candidate {candidate.state.value}",
        metadata={
            "by": by.name if by else candidate.source,
            "id": by.id if by else candidate.source,
            "version": candidate.version,
            "mode": candidate.mode.value,
            "deployment": candidate.deployment_id,
            "reason": candidate.reason,
        },
    )


def _hold_change(hold: Hold, text: str, by: Actor | None) -> StateChange:
    return StateChange(
        type=ChangeType.AUDIT,
        source="holds",
        environment=hold.environment,
        subject=hold.version or hold.environment,
        new=text,
        metadata={
            "by": by.name if by else "",
            "id": by.id if by else "",
            "version": hold.version,
            "deployment": hold.deployment_id,
            "reason": hold.reason,
        },
    )
