"""See every commit of every process as it happens, and say what must never be in one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from roas.models.deployment import Deployment, DeploymentKind, Outcome, PhaseResult
from roas.models.leader_lease import LeaderLease
from roas.models.phases import PhaseName
from roas.state.documents import from_json
from roas.state.journal.journal import Journal, Result
from roas.state.leader_lease import LEASE_NAME
from roas.state.transaction import Fence, Transaction

# What only the one who holds an environment may write.
OWNED = frozenset({"deployments", "phases", "service_progress", "releases", "environments"})
# What says nothing of a deployment or of who owns what: beats, and renewals of what is one's own.
ROUTINE = frozenset({"heartbeats", "owners"})
# How a fault of ours is told.
NOBODY_FORESAW = "Unexpected internal error"
# What anybody may do.
WISHES = ("UPDATE deployments SET cancel_requested_by", "UPDATE deployments SET decision")


class PutOffError(Exception):
    """The process was stopped, or died, before the transaction: nothing of it was done."""


@dataclass(slots=True)
class Noted(Transaction):
    """Note which tables a transaction writes to."""

    written: set[str] = field(default_factory=set)

    def execute(self, statement: str, parameters: tuple[object, ...] = ()) -> Any:
        text = statement.split()
        if text[0] == "UPDATE" and not statement.startswith(WISHES):
            self.written.add(text[1])
        if text[0] in {"INSERT", "DELETE"}:
            self.written.add(text[2] if text[1] in {"INTO", "FROM"} else text[4])
        return self.connection.execute(statement, parameters)


@dataclass(frozen=True, slots=True)
class Standing:
    """Say who owns what, at one moment."""

    locks: dict[str, tuple[str, str, int]]  # by environment: process, deployment, token
    fences: dict[str, int]
    leadership: LeaderLease | None

    @classmethod
    def of(cls, transaction: Transaction) -> "Standing":
        run = transaction.connection.execute
        leadership = run("SELECT document FROM owners WHERE name = ?", (LEASE_NAME,)).fetchone()
        return cls(
            {row[0]: row[1:] for row in run("SELECT environment, instance_id, deployment_id, token FROM locks")},
            dict(run("SELECT name, token FROM fences")),
            from_json(LeaderLease, leadership[0]) if leadership else None,
        )


class Being(Protocol):
    """Write to the journal as some process."""

    def commits(self, transaction: Noted, before: Standing, fence: Fence | None) -> None:
        """Be about to commit. Raises PutOffError where it does not come to that."""
        ...


class WatchedJournal(Journal):
    """Show each transaction to an observer before it is committed."""

    observer: Callable[[Noted, Standing, Fence | None], None]

    async def write(self, work: Callable[[Transaction], Result], *, fence: Fence | None = None) -> Result:
        def watched(transaction: Transaction) -> Result:
            before = Standing.of(transaction)
            noted = Noted(transaction.connection, transaction.instance_id, transaction.changes)
            result = work(noted)
            self.observer(noted, before, fence)
            return result

        while True:
            try:
                return await super().write(watched, fence=fence)
            except PutOffError:  # it was stopped, and goes on: now it begins
                continue


@dataclass
class CommitObserver:
    """Remember what was seen, and hold every commit against it; `is_alive` tells the truth about processes."""

    is_alive: Callable[[str], bool]
    objections: list[str] = field(default_factory=list)
    highest: dict[str, int] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)

    def see(self, transaction: Noted, before: Standing, fence: Fence | None) -> None:
        """Object to what must not be."""
        after, writer = Standing.of(transaction), transaction.instance_id
        for objection in (
            *self._tokens_only_grow(before, after),
            *self._owners_change_by_right(writer, before, after),
            *self._only_the_owner_writes(writer, transaction.written, before, after, fence),
            *self._ended_ones_stay_as_they_ended(transaction, after),
        ):
            self.objections.append(f"{writer}: {objection}")

    def _tokens_only_grow(self, before: Standing, after: Standing) -> Iterable[str]:
        for name, token in before.fences.items():
            if after.fences.get(name, 0) < token:
                yield f"the token of {name} went from {token} to {after.fences.get(name)}"
        owned = {name: (owner, token) for name, (owner, _, token) in after.locks.items()}
        had = {name: (owner, token) for name, (owner, _, token) in before.locks.items()}
        for leadership, into in ((after.leadership, owned), (before.leadership, had)):
            if leadership is not None:
                into[LEASE_NAME] = (leadership.instance_id, leadership.token)
        for name, (owner, token) in owned.items():
            if had.get(name) == (owner, token):
                continue
            if token <= self.highest.get(name, 0):
                yield f"{owner} got {name} with token {token}, and {self.highest[name]} was given before"
            self.highest[name] = max(token, self.highest.get(name, 0))

    def _owners_change_by_right(self, writer: str, before: Standing, after: Standing) -> Iterable[str]:
        """What a living process owns only itself gives away."""
        if (
            before.leadership is not None
            and before.leadership != after.leadership
            and self._robs(writer, before.leadership.instance_id)
        ):
            yield f"leadership was taken from {before.leadership.instance_id}, which lives"
        for name, held in before.locks.items():
            if after.locks.get(name) != held and self._robs(writer, held[0]):
                yield f"{name} was taken from {held[0]}, which lives"

    def _only_the_owner_writes(
        self, writer: str, written: set[str], before: Standing, after: Standing, fence: Fence | None
    ) -> Iterable[str]:
        if fence is not None and before.fences.get(fence.environment) != fence.token:
            yield f"wrote to {sorted(written)} with the token {fence.token}, which is not the last one given"
        holders = {held[0] for standing in (before, after) for held in standing.locks.values()}
        if written & OWNED and writer not in holders and any(map(self.is_alive, holders)):
            yield f"wrote to {sorted(written & OWNED)}, which {sorted(holders)} holds"
        if written & OWNED and not holders:
            yield f"wrote to {sorted(written & OWNED)}, and holds nothing"

    def _ended_ones_stay_as_they_ended(self, transaction: Noted, after: Standing) -> Iterable[str]:
        if not transaction.written & {"deployments", "phases", "service_progress"}:
            return
        rows = transaction.connection.execute("SELECT id, outcome, document FROM deployments").fetchall()
        for deployment_id, outcome, document in rows:
            if deployment_id in self.ended and self.ended[deployment_id] != document:
                yield f"{deployment_id} had ended, and was changed"
            if outcome is not None and deployment_id not in self.ended:
                self.ended[deployment_id] = document
                yield from _honest_end(transaction, from_json(Deployment, document), after)

    def _robs(self, writer: str, owner: str) -> bool:
        return owner != writer and self.is_alive(owner)


def _honest_end(transaction: Transaction, deployment: Deployment, after: Standing) -> Iterable[str]:
    if deployment.environment in after.locks:
        yield f"{deployment.id} has ended, and its lock is still held"
    if deployment.problem is not None and NOBODY_FORESAW in deployment.problem.message:
        yield f"{deployment.id}: {deployment.problem.message}"
    run = transaction.connection.execute
    phase = PhaseName.ROLLBACK if deployment.request.kind is DeploymentKind.ROLLBACK else PhaseName.EXECUTION
    row = run(
        "SELECT document FROM phases WHERE deployment_id = ? AND name = ?", (deployment.id, phase.value)
    ).fetchone()
    executed = row is not None and from_json(PhaseResult, row[0]).attempts > 0
    if deployment.outcome is Outcome.ROLLED_BACK and not (executed and deployment.problem is not None):
        yield f"{deployment.id} was rolled back, and was never executed, or nothing was wrong"
    current = run("SELECT current_release FROM environments WHERE name = ?", (deployment.environment,)).fetchone()
    if deployment.outcome is Outcome.SUCCEEDED and (current is None or current[0] != deployment.to_release):
        yield f"{deployment.id} succeeded, and its release is not the current one"
