"""Draw the live message of a deployment: its phases and services, readable on a phone."""

from collections.abc import Sequence
from datetime import timedelta

import discord

from roas.models.canary import CanaryRecord
from roas.models.deployment import (
    OPEN_STEPS,
    UNTOUCHED_STEPS,
    Deployment,
    DeploymentKind,
    PhaseResult,
    PhaseStatus,
    ServiceProgress,
    ServiceStep,
)
from roas.models.phases import PhaseName
from roas.models.rollout import Pause
from roas.ui.drawing import (
    CAREFUL,
    DESCRIPTION,
    PHASES,
    RUNNING,
    STEPS,
    Button,
    Drawing,
    code,
    fit,
    lines,
    mark,
    marked_up_line,
    one_line,
)
from roas.ui.formatting import clock, headline, image_change, person, since
from roas.ui.translation import _, word
from roas.ui.units import duration, phase_detail, step_text

CANCEL_PREFIX = "roas:cancel:"
SUMMARY_LENGTH = 80
REASON_LENGTH = 300
WAITING_LENGTH = 160  # what a phase that is under way waits for
DETAIL_LENGTH = 60
SERVICE_NAME_LENGTH = 40

# Phases in which a deployment can no longer be cancelled: it is rolling back, or is over.
_PAST_CANCELLING = frozenset({PhaseName.ROLLBACK, PhaseName.COMPLETION})
_GOING_BACK = frozenset({ServiceStep.RESTORING, ServiceStep.RESTORED})
# What went wrong, and what is under way, is read first; what stays as it was comes last.
_SERVICE_ORDER = {ServiceStep.FAILED: 0, ServiceStep.UNCHANGED: 2}


# What a phase that goes from service to service is through with, and what is part of it.
_DONE = {
    PhaseName.PREPARATION: frozenset({ServiceStep.PULLED, ServiceStep.BUILT}),
    PhaseName.EXECUTION: frozenset(
        {ServiceStep.HEALTHY, ServiceStep.UNVERIFIED, ServiceStep.COMPLETED, ServiceStep.REMOVED}
    ),
    PhaseName.ROLLBACK: frozenset({ServiceStep.RESTORED}),
}
_FETCHING = frozenset({ServiceStep.PULLING, ServiceStep.PULLED, ServiceStep.BUILDING, ServiceStep.BUILT})


def draw_live(deployment: Deployment, *, usual_seconds: float | None = None) -> Drawing:
    """Draw the current state of a deployment; the same state gives the same message.

    `usual_seconds` is the duration of the last one like it, for an estimate.
    """
    description = _description(deployment, usual_seconds)
    embed = discord.Embed(title=_title(deployment), description=description, colour=_colour(deployment)).set_footer(
        text=deployment.id
    )
    buttons = (cancel_button(deployment),) if can_be_cancelled(deployment) else ()
    return Drawing(key=deployment.id, embeds=tuple(fit([embed])), buttons=buttons)


def can_be_cancelled(deployment: Deployment) -> bool:
    """Return whether asking it to stop could still change anything."""
    if deployment.finished or deployment.cancel_requested_by is not None:
        return False
    if deployment.request.kind is DeploymentKind.ROLLBACK:
        under_way = deployment.phase(PhaseName.ROLLBACK)
        return under_way is None or under_way.status is PhaseStatus.PENDING
    return not any(
        phase.name in _PAST_CANCELLING and phase.status is not PhaseStatus.PENDING for phase in deployment.phases
    )


def cancel_button(deployment: Deployment) -> Button:
    """Return the button that asks a deployment to stop."""
    return Button(_("Cancel"), f"{CANCEL_PREFIX}{deployment.id}", discord.ButtonStyle.danger, "✖️")


def service_line(progress: ServiceProgress, *, finished: bool = False, replicas: int | None = None) -> str:
    """Draw one service: icon, name, how far it is, and which image becomes which.

    Of one that was scaled, all `replicas` are as the step says.
    """
    step = step_text(progress, clock, finished=finished)
    if replicas:
        step = _("{count} of {count} {step}", count=replicas, step=step)
    parts = [f"{STEPS[progress.step]} {code(progress.service, SERVICE_NAME_LENGTH)} {step}"]
    if progress.fraction is not None and 0 < progress.fraction < 1:
        parts.append(f"{progress.fraction:.0%}")
    images = (progress.old_image, progress.new_image)
    old, new = reversed(images) if progress.step in _GOING_BACK else images
    if progress.changed and (change := image_change(old, new)):
        parts.append(f"· {one_line(change, SERVICE_NAME_LENGTH)}")
    if progress.detail and progress.step is not ServiceStep.UNCHANGED and _canary(progress) is None:
        parts.append(f"· {marked_up_line(progress.detail, DETAIL_LENGTH)}")
    return " ".join(parts)


def service_lines(deployment: Deployment) -> list[str]:
    """Draw the services: what failed first, what stays as it was last."""
    ordered = sorted(deployment.services, key=lambda progress: _SERVICE_ORDER.get(progress.step, 1))
    if deployment.finished:
        return [service_line(progress, finished=True) for progress in ordered]
    return [line for progress in ordered for line in (service_line(progress), *canary_lines(progress))]


def _canary(progress: ServiceProgress) -> CanaryRecord | None:
    """Return how far the canary of a service is, while it is judged, or bakes."""
    canary = progress.rollout.canary if progress.rollout is not None else None
    if canary is None or canary.bakes_until is not None:
        return canary
    return canary if not canary.is_over and progress.step in OPEN_STEPS else None


def canary_lines(progress: ServiceProgress) -> list[str]:
    """Draw both versions of a service side by side, while its canary is judged."""
    canary = _canary(progress)
    if canary is None:
        return []
    new, old = canary.total.new, canary.total.old
    values = {"step": canary.step + 1, "steps": canary.steps}
    if canary.bakes_until is not None:
        head = _("bakes: it goes back by itself where it gets worse, or its alert fires")
    elif canary.share:
        head = _("canary: step {step} of {steps}, {share} % of the requests", share=canary.share, **values)
    else:
        head = _("canary: step {step} of {steps}", **values)
    of_new = _("new version: {failed} of {requests} failed", failed=new.failed, requests=new.requests)
    of_old = _("old version: {failed} of {requests} failed", failed=old.failed, requests=old.requests)
    return [f"┣ {head}", f"┣ {of_new}{_in(canary.took.new_ms)}", f"┗ {of_old}{_in(canary.took.old_ms)}"]


def _in(milliseconds: float) -> str:
    return f" · {milliseconds:.0f} ms" if milliseconds else ""


def _title(deployment: Deployment) -> str:
    icon = mark(deployment)[0] if deployment.outcome else "🚀"
    return f"{icon} {headline(deployment)}"


def _colour(deployment: Deployment) -> discord.Colour:
    if deployment.outcome is not None:
        return mark(deployment)[1]
    going_back = deployment.phase(PhaseName.ROLLBACK)
    turned = going_back is not None and going_back.status is not PhaseStatus.PENDING
    if deployment.waits_in is not None or deployment.awaits_approval:
        return CAREFUL
    unwanted = turned and deployment.request.kind is not DeploymentKind.ROLLBACK
    return CAREFUL if unwanted or deployment.cancel_requested_by is not None else RUNNING


def _description(deployment: Deployment, usual_seconds: float | None) -> str:
    head = [_asked(deployment), _time(deployment, usual_seconds), *_cancelling(deployment), *_paused(deployment)]
    head += _baking(deployment)
    phases = [_phase_line(phase, deployment) for phase in deployment.phases if _is_shown(phase, deployment)]
    text = "\n".join([*head, "", *phases])
    services = service_lines(deployment)
    if not services:
        return text
    title = _("**Services**")
    return f"{text}\n\n{title}\n{lines(services, DESCRIPTION - len(text) - len(title) - 3)}"


def _asked(deployment: Deployment) -> str:
    request = deployment.request
    text = _("by {person}", person=person(request.requested_by))
    if request.approved_by is not None:
        text += " · " + _("approved by {person}", person=person(request.approved_by))
    elif request.kind is DeploymentKind.HOTFIX:
        text += " · " + _("hotfix: not approved by a second person")
    if request.services:
        text += " · " + _("only {services}", services=one_line(", ".join(request.services), 200))
    if request.reason:
        text += f"\n> {one_line(request.reason, REASON_LENGTH)}"
    return text


def took(deployment: Deployment) -> str:
    """Say how long it took; the time that it waited for another process counts."""
    text = _("took {duration}", duration=duration(deployment.duration_seconds) or "?")
    return text if deployment.attempts == 1 else f"{text} · {_('attempt {count}', count=deployment.attempts)}"


def _time(deployment: Deployment, usual_seconds: float | None) -> str:
    if deployment.finished:
        return took(deployment)
    text = _("started {when}", when=since(deployment.created_at))
    if usual_seconds is not None:
        text += " · " + _(
            "usually takes {duration}, until {when}",
            duration=duration(usual_seconds),
            when=clock(deployment.created_at + timedelta(seconds=usual_seconds)),
        )
    if deployment.attempts > 1:
        text += " · " + _("attempt {count}", count=deployment.attempts)
    return text


def _cancelling(deployment: Deployment) -> list[str]:
    actor = deployment.cancel_requested_by
    if actor is None or deployment.finished:
        return []
    text = _("🚫 {person} asked to cancel: it stops at the next safe point", person=person(actor))
    return [text, *quoted(deployment.cancel_reason)]


def quoted(reason: str) -> list[str]:
    """Quote why somebody did something, where they have said it."""
    return [f"> {one_line(reason, REASON_LENGTH)}"] if reason else []


def _baking(deployment: Deployment) -> list[str]:
    until = deployment.bakes_until
    return [_("✅ succeeded, baking until {when}", when=clock(until))] if until is not None else []


def _paused(deployment: Deployment) -> list[str]:
    if deployment.awaits_approval:
        return [f"🗳️ {_('waits for the approval of a second person')}"]
    if (pause := deployment.waits_in) is None:
        return []
    return [paused(pause)]


def paused(pause: Pause) -> str:
    """Say since when a deployment is paused, and which buttons it waits for."""
    is_judged = pause.bake or pause.canary
    first, second = (_("Promote"), _("Abort")) if is_judged else (_("Resume"), _("Roll back"))
    when = since(pause.since)
    return _("⏸️ paused {when}: it waits for *{first}* or *{second}*", when=when, first=first, second=second)


def _is_shown(phase: PhaseResult, deployment: Deployment) -> bool:
    """Leave out a rollback that is not needed (yet)."""
    asked_for = deployment.request.kind is DeploymentKind.ROLLBACK
    return phase.name is not PhaseName.ROLLBACK or asked_for or phase.status is not PhaseStatus.PENDING


def _phase_line(phase: PhaseResult, deployment: Deployment) -> str:
    services = deployment.services
    parts = [f"{PHASES[phase.status]} {word(phase.name)}"]
    if phase.status is PhaseStatus.IN_PROGRESS and deployment.finished:
        parts.append(_("interrupted"))
    elif phase.status is PhaseStatus.IN_PROGRESS:
        parts += [since(phase.started_at)] if phase.started_at is not None else []
        parts += _progress(phase.name, services)
    elif phase.duration_seconds is not None:
        parts.append(duration(phase.duration_seconds))
    if phase.attempts > 1:
        parts.append(_("attempt {count}", count=phase.attempts))
    if text := phase_detail(phase):
        is_over = phase.status is not PhaseStatus.IN_PROGRESS
        parts.append(marked_up_line(text, SUMMARY_LENGTH if is_over else WAITING_LENGTH))
    return " · ".join(parts)


def _progress(phase: PhaseName, services: Sequence[ServiceProgress]) -> list[str]:
    """Count the services that a phase is through with, where it goes from one to the next."""
    part = [progress for progress in services if _is_part(phase, progress)]
    done = sum(progress.step in _DONE[phase] for progress in part)
    return [_("{done} of {count} {count|service|services}", done=done, count=len(part))] if part else []


def _is_part(phase: PhaseName, progress: ServiceProgress) -> bool:
    match phase:
        case PhaseName.PREPARATION:
            return progress.step in _FETCHING
        case PhaseName.EXECUTION:
            return progress.changed
        case PhaseName.ROLLBACK:
            return progress.changed and progress.step not in UNTOUCHED_STEPS
        case _:
            return False
