"""Summarise in one line what a deployment is about, and how it ended."""

from roas.models.deployment import Deployment, DeploymentKind, Outcome
from roas.ui.formatting import release
from roas.ui.limits import one_line
from roas.ui.translation import _


def headline(deployment: Deployment) -> str:
    """Summarise a request: `Deploy v2 to staging`."""
    request = deployment.request
    values = {"environment": request.environment, "version": one_line(request.version or "", 64)}
    if request.kind is DeploymentKind.ROLLBACK:
        target = request.target_release if request.target_release is not None else deployment.to_release
        if target is None:
            return _("Roll back {environment}", **values)
        return _("Roll back {environment} to {release}", release=release(target), **values)
    if request.kind is DeploymentKind.HOTFIX:
        return _("Hotfix {version} for {environment}", **values)
    return _("Deploy {version} to {environment}", **values)


def ending(deployment: Deployment) -> str:
    """Say how a deployment that has ended did so."""
    outcome = deployment.outcome or Outcome.FAILED
    if outcome is Outcome.FAILED and not deployment.touched:
        return _("failed before it changed anything")
    return outcome_text(outcome)


def outcome_text(outcome: Outcome) -> str:
    """Name an outcome."""
    return {
        Outcome.SUCCEEDED: _("succeeded"),
        Outcome.ROLLED_BACK: _("failed and was rolled back"),
        Outcome.CANCELLED: _("was cancelled"),
        Outcome.FAILED: _("failed and needs an operator"),
    }[outcome]
