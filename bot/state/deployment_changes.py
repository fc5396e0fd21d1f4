"""Say in the journal's changes what happens to deployments, and who asked for it."""

from roas.models.change import ChangeType, StateChange
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest

SOURCE = "deployments"


def audit_of_request(request: DeploymentRequest, deployment: Deployment) -> StateChange:
    """Write to the audit log who requested and who approved; a hotfix without approval is recorded as such."""
    facts: dict[str, object] = {
        "by": request.requested_by.name,
        "id": request.requested_by.id,
        "kind": request.kind.value,
        "version": request.version,
        "reason": request.reason,
    }
    if request.approved_by is not None:
        facts |= {"approved_by": request.approved_by.name, "approver_id": request.approved_by.id}
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
