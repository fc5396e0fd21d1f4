"""Read what was deployed, from which commit, who said yes to what, and the four figures of delivery from that.

| figure | definition |
|---|---|
| deployment frequency | successful deployments and hotfixes a day |
| lead time | median, from the commit to the end of the successful deployment that brought it |
| change failure rate | share of deployments and hotfixes that failed, were rolled back, or were rolled back later |
| time to restore | median, from a failed change to the next success; of one that rolled itself back, all of it |

They are those of 30 days. What was cancelled, what failed before it changed anything, restarts and single services that
were stopped or started count for nothing. Where the time of a commit is not known, the lead time counts from when its
source offered it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from statistics import median

from roas.models.candidate import Candidate
from roas.models.deployment import Deployment, DeploymentKind, Outcome
from roas.state.deployments.rows import read_deployment, select_deployments
from roas.state.journal.journal import Journal
from roas.state.transaction import Transaction

DAYS = 30
CHANGES = frozenset({DeploymentKind.DEPLOY, DeploymentKind.HOTFIX})
FAILURES = frozenset({Outcome.FAILED, Outcome.ROLLED_BACK})
# Of how many deployments, and of as many candidates, a period is read.
MOST = 1000


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """Record one deployment in a row: `plan` is what was confirmed, `draft` what was approved, each by its hash."""

    id: str
    environment: str
    kind: str
    version: str
    outcome: str
    begun_at: datetime
    ended_at: datetime | None
    seconds: float | None
    from_release: int | None
    to_release: int | None
    requested_by: str
    approved_by: str
    plan: str
    draft: str
    granted: str
    source: str
    repository: str
    commit: str
    committed_at: datetime | None
    reason: str
    problem: str


@dataclass(frozen=True, slots=True)
class DeliveryFigures:
    """Hold the four figures of an environment; None where there is nothing to measure."""

    environment: str
    deployments: int
    per_day: float
    lead_seconds: float | None
    failure_ratio: float | None
    restore_seconds: float | None


class Records:
    """Read the record of deployments."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def list(
        self, environment: str | None = None, *, limit: int = MOST, outcome: Outcome | None = None
    ) -> tuple[DeploymentRecord, ...]:
        """Return the last deployments as records, the newest first."""

        def work(transaction: Transaction) -> tuple[DeploymentRecord, ...]:
            found = select_deployments(
                transaction,
                "(? IS NULL OR environment = ?) AND (? IS NULL OR outcome = ?) ORDER BY rowid DESC LIMIT ?",
                (environment, environment, outcome, outcome, limit),
                whole=False,
            )
            candidates = _candidates(transaction)
            return tuple(_record(deployment, candidates.get(deployment.id)) for deployment in found)

        return await self._journal.read(work)

    async def sources(self, deployment_ids: Iterable[str]) -> Mapping[str, str]:
        """Return the sources that offered what was deployed, by deployment; those that nobody offered are left out."""
        where = "candidates WHERE json_extract(document, '$.deployment_id') IN (SELECT value FROM json_each(?))"
        found = await self._journal.select(Candidate, where, json.dumps([*deployment_ids]))
        return {candidate.deployment_id: candidate.source for candidate in found if candidate.deployment_id}

    async def delivery(self, environment: str, *, now: datetime | None = None) -> DeliveryFigures:
        """Return the four figures of the last 30 days."""

        def work(transaction: Transaction) -> DeliveryFigures:
            rows = select_deployments(
                transaction, "environment = ? ORDER BY rowid DESC LIMIT ?", (environment, MOST), whole=False
            )
            # Only a failed one may have changed nothing, which its services say.
            found = [
                (read_deployment(transaction, row.id) or row) if row.outcome is Outcome.FAILED else row for row in rows
            ]
            candidates = _candidates(transaction)
            committed = {
                deployment.id: commit_time(candidates[deployment.id])
                for deployment in found
                if deployment.id in candidates
            }
            return measure(environment, found, committed, now or datetime.now(UTC))

        return await self._journal.read(work)


def measure(
    environment: str, deployments: Sequence[Deployment], committed: Mapping[str, datetime], now: datetime
) -> DeliveryFigures:
    """Return the four figures of deployments, of which the commit of some is known."""
    since = now - timedelta(days=DAYS)
    ended = sorted(
        (
            (deployment, deployment.ended_at)
            for deployment in deployments
            if _counts(deployment) and deployment.ended_at
        ),
        key=lambda entry: entry[1],
    )
    undone = _taken_back(ended)
    changes = [
        (deployment, at) for deployment, at in ended if deployment.request.kind in CHANGES and since <= at <= now
    ]
    good = [(deployment, at) for deployment, at in changes if deployment.outcome is Outcome.SUCCEEDED]
    leads = [(at - committed[deployment.id]).total_seconds() for deployment, at in good if deployment.id in committed]
    failed = [
        (deployment, at) for deployment, at in changes if deployment.outcome in FAILURES or deployment.id in undone
    ]
    restored = [_time_to_restore(deployment, at, ended, undone) for deployment, at in failed]
    known = [seconds for seconds in restored if seconds is not None]
    return DeliveryFigures(
        environment,
        len(good),
        len(good) / DAYS,
        median(leads) if leads else None,
        len(failed) / len(changes) if changes else None,
        median(known) if known else None,
    )


def _counts(deployment: Deployment) -> bool:
    """Return whether a deployment changed what runs, or tried to."""
    if deployment.request.operation is not None or deployment.outcome is Outcome.CANCELLED:
        return False
    return deployment.outcome in {Outcome.SUCCEEDED, Outcome.ROLLED_BACK} or deployment.touched


def _taken_back(ended: Sequence[tuple[Deployment, datetime]]) -> dict[str, datetime]:
    """Return which successful changes a rollback left later, and when that had ended."""
    found: dict[str, datetime] = {}
    brought: dict[int, str] = {}
    for deployment, at in ended:
        if deployment.outcome is not Outcome.SUCCEEDED:
            continue
        left = brought.get(deployment.from_release or 0)
        is_way_back = deployment.request.kind is DeploymentKind.ROLLBACK
        if is_way_back and left is not None and deployment.from_release != deployment.to_release:
            found.setdefault(left, at)
        if deployment.request.kind in CHANGES and deployment.to_release is not None:
            brought[deployment.to_release] = deployment.id
    return found


def _time_to_restore(
    deployment: Deployment, at: datetime, ended: Sequence[tuple[Deployment, datetime]], undone: Mapping[str, datetime]
) -> float | None:
    if deployment.id in undone:
        return (undone[deployment.id] - at).total_seconds()
    if deployment.outcome is Outcome.ROLLED_BACK:
        return (at - deployment.created_at).total_seconds()
    restored = (later for other, later in ended if later > at and other.outcome is Outcome.SUCCEEDED)
    first = next(restored, None)
    return None if first is None else (first - at).total_seconds()


def commit_time(candidate: Candidate) -> datetime:
    """Return when the commit of a candidate was made or, where that is not known, when it was offered."""
    origin = candidate.origin
    known = next((commit.at for commit in origin.commits if commit.sha == origin.commit and commit.at), None)
    return known or candidate.created_at


def _candidates(transaction: Transaction) -> dict[str, Candidate]:
    found = transaction.select(Candidate, "candidates ORDER BY rowid DESC LIMIT ?", MOST)
    return {candidate.deployment_id: candidate for candidate in found if candidate.deployment_id}


def _record(deployment: Deployment, candidate: Candidate | None) -> DeploymentRecord:
    request = deployment.request
    record = DeploymentRecord(
        id=deployment.id,
        environment=deployment.environment,
        kind=(request.operation or request.kind).value,
        version=request.version or "",
        outcome="" if deployment.outcome is None else deployment.outcome.value,
        begun_at=deployment.created_at,
        ended_at=deployment.ended_at,
        seconds=deployment.duration_seconds,
        from_release=deployment.from_release,
        to_release=deployment.to_release,
        requested_by=request.requested_by.name,
        approved_by="" if request.approved_by is None else request.approved_by.name,
        plan=request.plan_digest or "",
        draft="" if deployment.draft is None else deployment.draft.model_hash,
        granted="; ".join(request.granted),
        source="",
        repository="",
        commit=request.stack_commit,
        committed_at=None,
        reason=request.reason,
        problem="" if deployment.problem is None else deployment.problem.message,
    )
    if candidate is None:
        return record
    origin = candidate.origin
    return replace(
        record,
        source=candidate.source,
        repository=origin.repository,
        commit=origin.commit or request.stack_commit,
        committed_at=next((commit.at for commit in origin.commits if commit.sha == origin.commit), None),
    )
