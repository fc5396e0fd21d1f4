"""Read and write the rows of which a deployment consists: its own, those of its phases, those of its services."""

from dataclasses import replace

from roas.errors import RolloutPausedError, UnreadableRowError
from roas.messages.message import said
from roas.models.actor import CancelRequest
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    DeploymentRequest,
    Freeze,
    Outcome,
    PhaseResult,
    Problem,
    ServiceProgress,
)
from roas.models.rollout import Decision
from roas.models.state_change import ChangeType, StateChange
from roas.state.documents import from_row, log_once, to_json
from roas.state.transaction import Transaction

# In the place of an outcome: it is not under way, and has not ended.
AWAITING = "awaiting_approval"


def document_of(deployment: Deployment) -> str:
    """Return what a deployment's own row holds: all but its phases, its services, and what people asked of it.

    One that is paused has a problem there: the release before, which would go on without asking, rolls it back. For it,
    one that waits for an approval was cancelled.
    """
    problem, outcome = deployment.problem, deployment.outcome
    if (pause := deployment.pause) is not None:
        problem = Problem(RolloutPausedError.key, pause.message, service=pause.service)
    if deployment.awaits_approval:
        problem = Problem(AWAITING, said("It waits for an approval, which this version of the bot cannot take."))
        outcome = Outcome.CANCELLED
    own = replace(deployment, phases=(), services=(), cancel_requested_by=None, cancel_reason="", decision=None)
    return to_json(replace(own, problem=problem, outcome=outcome))


def write_deployment(transaction: Transaction, deployment: Deployment) -> None:
    """Write a deployment's own row again."""
    transaction.execute(
        "UPDATE deployments SET outcome = ?, document = ? WHERE id = ?",
        (AWAITING if deployment.awaits_approval else deployment.outcome, document_of(deployment), deployment.id),
    )


def write_phase(transaction: Transaction, deployment_id: str, phase: PhaseResult, position: int = 99) -> None:
    """Write how far a phase has come; `position` is its place among the phases, where its row is new."""
    transaction.execute(
        "INSERT INTO phases (deployment_id, position, name, status, document) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (deployment_id, name) DO UPDATE SET status = excluded.status, document = excluded.document",
        (deployment_id, position, phase.name.value, phase.status.value, to_json(phase)),
    )


def write_service(transaction: Transaction, deployment_id: str, progress: ServiceProgress) -> None:
    """Write how far a service has come; a new one comes last."""
    transaction.execute(
        "INSERT INTO service_progress (deployment_id, position, service, document)"
        " VALUES (?, (SELECT count(*) FROM service_progress WHERE deployment_id = ?), ?, ?)"
        " ON CONFLICT (deployment_id, service) DO UPDATE SET document = excluded.document",
        (deployment_id, deployment_id, progress.service, to_json(progress)),
    )


def read_phase(transaction: Transaction, deployment_id: str, name: str) -> PhaseResult | None:
    """Return the record of one phase, or None."""
    return transaction.find(PhaseResult, "phases WHERE deployment_id = ? AND name = ?", deployment_id, name)


def read_services(transaction: Transaction, deployment_id: str) -> tuple[ServiceProgress, ...]:
    """Return how far every service has come."""
    where = "service_progress WHERE deployment_id = ? ORDER BY position"
    return transaction.select(ServiceProgress, where, deployment_id)


def read_service(transaction: Transaction, deployment_id: str, service: str) -> ServiceProgress | None:
    """Return how far one service has come, or None."""
    where = "service_progress WHERE deployment_id = ? AND service = ?"
    return transaction.find(ServiceProgress, where, deployment_id, service)


def read_deployment(transaction: Transaction, deployment_id: str) -> Deployment | None:
    """Return a whole deployment, or None."""
    found = select_deployments(transaction, "id = ?", (deployment_id,))
    return found[0] if found else None


def select_deployments(
    transaction: Transaction, where: str, parameters: tuple[object, ...], *, whole: bool = True
) -> tuple[Deployment, ...]:
    """Read deployments; `where` is one of the state's own texts, values go in as parameters.

    Unless `whole`, they have no phases and no services: of a large stack, these take nearly all of the time.
    """
    rows = transaction.execute(
        f"SELECT id, cancel_requested_by, decision, document FROM deployments WHERE {where}",  # noqa: S608 - no user text in it
        parameters,
    ).fetchall()
    found = (_assembled(transaction, *row, whole=whole) for row in rows)
    return tuple(deployment for deployment in found if deployment is not None)


def read_after(transaction: Transaction, rowid: int, limit: int) -> list[tuple[int, Deployment | None]]:
    """Read whole deployments in the order in which they began, each with its row; None is one of a newer version."""
    rows = transaction.execute(
        "SELECT rowid, id, cancel_requested_by, decision, document FROM deployments"
        " WHERE rowid > ? ORDER BY rowid LIMIT ?",
        (rowid, limit),
    ).fetchall()
    return [(row[0], _assembled(transaction, *row[1:])) for row in rows]


def _assembled(
    transaction: Transaction,
    deployment_id: str,
    cancelled_by: str | None,
    decision: str | None,
    document: str,
    *,
    whole: bool = True,
) -> Deployment | None:
    """Build a deployment, or return None where it holds values of a newer version: that version runs it."""
    try:
        cancelled = from_row(CancelRequest, cancelled_by) if cancelled_by else None
        own = replace(
            _without_pause(from_row(Deployment, document)),
            cancel_requested_by=cancelled.actor if cancelled else None,
            cancel_reason=cancelled.reason if cancelled else "",
            decision=from_row(Decision, decision) if decision else None,
        )
        if not whole:
            return own
        phases = transaction.select(PhaseResult, "phases WHERE deployment_id = ? ORDER BY position", own.id)
        return replace(own, phases=phases, services=read_services(transaction, own.id))
    except UnreadableRowError as error:
        log_once(error.message, document)
        return None


def _without_pause(own: Deployment) -> Deployment:
    """Leave out the problem that is there for the release before."""
    if own.problem is not None and own.problem.key == AWAITING:
        return replace(own, problem=None, outcome=None)
    is_paused = own.problem is not None and own.problem.key == RolloutPausedError.key
    return replace(own, problem=None) if is_paused else own


def note_handover(transaction: Transaction, deployment_id: str, successor: str) -> None:
    """Record, in the transaction that releases the lock, to whom a deployment was handed over."""
    known = read_deployment(transaction, deployment_id)
    if known is not None:
        write_deployment(transaction, replace(known, handed_over_to=successor))


SOURCE = "deployments"


def audit_of_request(request: DeploymentRequest, deployment: Deployment, freeze: Freeze | None = None) -> StateChange:
    """Write to the audit log who requested and who approved; a hotfix without approval is recorded as such.

    So is the freeze that it passes, beside its reason.
    """
    facts: dict[str, object] = {
        "by": request.requested_by.name,
        "id": request.requested_by.id,
        "kind": request.kind.value,
        "version": request.version,
        "reason": request.reason,
    }
    if request.approved_by is not None:
        facts |= {"approved_by": request.approved_by.name, "approver_id": request.approved_by.id}
    if freeze is not None:
        facts |= {"through_freeze_of": freeze.frozen_by.name, "freeze_reason": freeze.reason}
    text = "deployment asked for"
    if request.kind is DeploymentKind.HOTFIX:
        text = "hotfix asked for, without a second person's approval"
    return change_of(ChangeType.AUDIT, deployment, new=text, metadata=facts)


def change_of(
    kind: ChangeType,
    deployment: Deployment,
    *,
    subject: str = "",
    old: object = None,
    new: object = None,
    metadata: dict[str, object] | None = None,
) -> StateChange:
    """Return a change of a deployment, or of something of it, with the deployment's correlation id."""
    return StateChange(
        type=kind,
        source=SOURCE,
        environment=deployment.environment,
        subject=subject or deployment.id,
        old=old,
        new=new,
        metadata=metadata or {},
        correlation_id=deployment.correlation_id,
    )
