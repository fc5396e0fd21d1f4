"""Draw, without an engine, messages like those in the pictures: a test sees by them that the pictures are stale."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from roas.api.documents import EnvironmentStatus
from roas.limits import COORDINATIONS
from roas.metrics.integration_monitor import SUCCESS_RATE, IntegrationFigures
from roas.models.actor import Actor, ActorKind
from roas.models.alert import Alert, AlertSource, Severity
from roas.models.candidate import Hold
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    DeploymentRequest,
    Outcome,
    PhaseResult,
    PhaseStatus,
    Problem,
    ServiceProgress,
    ServiceStep,
)
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, StackHealth, Verdict
from roas.models.phases import PhaseName
from roas.models.plan import Plan, PlanRecord, PlanState, ServiceAction, ServicePlan
from roas.models.release import ImagePin, Release, ReleaseService, ReleaseState
from roas.ui.drawing import Drawing
from roas.ui.embeds.alert import draw_open_alerts
from roas.ui.embeds.live import draw_live
from roas.ui.embeds.outcome import draw_outcome
from roas.ui.embeds.plan import draw_approval, draw_confirmation
from roas.ui.embeds.status import draw_integration, draw_status
from roas.ui.translation import using_locale

TEXTS = Path(__file__).parents[1] / "docs" / "pictures" / "texts.txt"
NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
DORA = Actor(ActorKind.DISCORD, "1", "dora")
IMAGE_ID = f"sha256:{'0' * 64}"
FAILED_CHECK = "its health check fails"


def all_texts() -> str:
    """Return what the pictures say, in English, and of the one in Chinese in that."""
    with using_locale("en-US"):
        english = [*_plans(), *_deployments(), _status()]
        text = "\n\n".join(_text(drawing) for drawing in english)
    with using_locale("zh-TW"):
        return "\n\n".join([text, *(_text(drawing) for drawing in _deployments())]) + "\n"


def _text(drawing: Drawing) -> str:
    parts = [drawing.content]
    for embed in drawing.embeds:
        fields = (text for field in embed.fields for text in (field.name, field.value))
        parts += [embed.title or "", embed.description or "", *(text or "" for text in fields)]
    return "\n".join([*filter(None, parts), *(f"[{button.label}]" for button in drawing.buttons)])


def _plans() -> Iterator[Drawing]:
    services = (
        ServicePlan("store", ServiceAction.KEEP, "store:1", "store:1"),
        ServicePlan("web", ServiceAction.RECREATE, "web:v1", "web:v2", changed_keys=("volumes",)),
    )
    diff = ("web:/greeting:", "@@ -1 +1 @@", "-Hello from v1.", "+Greetings from v2!")
    plan = Plan("staging", "v2", 1, None, services, ("web",), (), "digest", diff=diff)
    request = DeploymentRequest("staging", DeploymentKind.DEPLOY, DORA, version="v2")
    ends = NOON + timedelta(minutes=15)
    yield draw_confirmation(PlanRecord("PLAN-1", request, plan, NOON, ends), last_seconds=12.0)
    yield draw_approval(PlanRecord("PLAN-1", request, plan, NOON, ends, PlanState.DRAFTED, deployment_id="DEPLOY-1"))


def _deployments() -> Iterator[Drawing]:
    """Draw one that is verified, one that has succeeded, and one that was rolled back."""
    names = [policy.name for policy in COORDINATIONS[DeploymentKind.DEPLOY].phases]
    is_verified = dict.fromkeys(names[: names.index(PhaseName.VERIFICATION)], PhaseStatus.SUCCESS)
    web = ServiceProgress("web", ServiceStep.HEALTHY, "", None, "web:v1", "web:v2", changed=True)
    yield draw_live(_deployment(is_verified | {PhaseName.VERIFICATION: PhaseStatus.IN_PROGRESS}, web), usual_seconds=12)
    succeeded = _deployment(dict.fromkeys(names, PhaseStatus.SUCCESS), web, Outcome.SUCCEEDED)
    yield draw_live(succeeded)
    yield draw_outcome(succeeded)
    web = ServiceProgress("web", ServiceStep.FAILED, FAILED_CHECK, None, "web:v2", "web:v3", changed=True)
    failed = is_verified | {PhaseName.VERIFICATION: PhaseStatus.FAILED, PhaseName.ROLLBACK: PhaseStatus.SUCCESS}
    problem = Problem("service_failed", f"web failed: {FAILED_CHECK}.", "Read its log.", "web", "not well")
    rolled_back = _deployment(failed, web, Outcome.ROLLED_BACK, problem)
    yield draw_live(rolled_back)
    yield draw_outcome(rolled_back)


def _deployment(
    statuses: dict[PhaseName, PhaseStatus],
    web: ServiceProgress,
    outcome: Outcome | None = None,
    problem: Problem | None = None,
) -> Deployment:
    phases = tuple(PhaseResult(name, status, 1, NOON, NOON, 1.5) for name, status in statuses.items())
    return Deployment(
        "DEPLOY-1",
        DeploymentRequest("staging", DeploymentKind.DEPLOY, DORA, version="v2"),
        COORDINATIONS[DeploymentKind.DEPLOY].name,
        "COR-1",
        NOON,
        phases,
        (ServiceProgress("store", ServiceStep.UNCHANGED), web),
        from_release=1,
        to_release=2,
        outcome=outcome,
        problem=problem,
        ended_at=NOON if outcome else None,
        duration_seconds=12.3 if outcome else None,
    )


def _status() -> Drawing:
    web = ContainerSnapshot(
        "1",
        "staging-web-1",
        "web",
        ContainerState.RUNNING,
        HealthStatus.HEALTHY,
        IMAGE_ID,
        "web:v2",
        "h",
        started_at=NOON,
    )
    health = ServiceHealth("web", Verdict.HEALTHY, "", (web,), 0.6, 700_000)
    pinned = ReleaseService("web", ImagePin("web:v2", IMAGE_ID), "h")
    release = Release("staging", 2, "v2", ReleaseState.SUCCEEDED, (pinned,), "h", NOON, DORA)
    hold = Hold("staging", "v3", NOON, "DEPLOY-1", f"web failed: {FAILED_CHECK}.")
    status = EnvironmentStatus(
        "staging", StackHealth("staging", Verdict.HEALTHY, (health,), NOON), release, holds=(hold,)
    )
    title = SUCCESS_RATE.title
    alert = Alert("ALERT-1", SUCCESS_RATE.name, AlertSource.INTEGRATION, Severity.WARNING, title, NOON, NOON)
    alerts = draw_open_alerts([alert])
    figures = IntegrationFigures(0.2, "collector", None, 0.9, 0.001, "web", 0.0, "", 0.8)
    return draw_status([status], [*([alerts] if alerts else []), draw_integration(figures, {SUCCESS_RATE.name})])
