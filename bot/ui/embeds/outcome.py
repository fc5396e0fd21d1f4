"""Draw how deployments and commands ended: the outcome, a pause, the history, and a fault."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import discord

from roas.errors import NotPermittedError, RoasError
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    Operation,
    Outcome,
    PhaseResult,
    PhaseStatus,
    Problem,
    ServiceProgress,
    ServiceStep,
)
from roas.models.rollout import Choice, Pause
from roas.state.deployments.figures import DAYS, DeliveryFigures
from roas.ui.drawing import (
    BAD,
    CAREFUL,
    DESCRIPTION,
    FIELD_VALUE,
    PHASES,
    QUIET,
    Attachment,
    Button,
    Drawing,
    add_field,
    code,
    code_block,
    fit,
    lines,
    mark,
    marked_up,
    marked_up_line,
)
from roas.ui.embeds.live import quoted, service_line, took
from roas.ui.formatting import at, ending, headline, outcome_text, person, release
from roas.ui.redacted import Redact, without_secrets
from roas.ui.translation import _, word
from roas.ui.units import duration

REPORT_PREVIEW = 600
ROLLBACK_PREFIX = "roas:rollback:"
ROLLBACK_DATA_PREFIX = "roas:rollback-data:"
PROMOTE_PREFIX = "roas:promote:"
KEY_SUFFIX, DETAILS_SUFFIX = " · outcome", " · details"


def outcome_key(deployment_id: str) -> str:
    """Return what marks the outcome message of a deployment."""
    return f"{deployment_id}{KEY_SUFFIX}"


def draw_outcome(deployment: Deployment, *, with_phases: bool = False) -> Drawing:
    """Draw the end of a finished deployment, with the last log lines and health-check output as a file.

    With `with_phases`, it says how long each phase took: no live message does.
    """
    outcome = deployment.outcome or Outcome.FAILED
    icon, colour = mark(deployment)
    if outcome is Outcome.SUCCEEDED and deployment.warnings:
        colour = CAREFUL
    end = _("nothing to change") if deployment.changed_nothing else ending(deployment)
    embed = discord.Embed(
        title=f"{icon} {headline(deployment)}: {end}",
        description="\n".join([_description(deployment, outcome), *(_took_each(deployment) if with_phases else [])]),
        colour=colour,
    )
    _add_problem(embed, deployment)
    _add_services(embed, deployment)
    if deployment.warnings:
        warnings = [f"⚠️ {marked_up_line(text, 300)}" for text in deployment.warnings]
        add_field(embed, _("Warnings"), lines(warnings, FIELD_VALUE))
    key = outcome_key(deployment.id)
    embed.set_footer(text=key)
    return Drawing(
        key=key, embeds=tuple(fit([embed])), buttons=_buttons(deployment), attachments=_attachments(deployment)
    )


def _buttons(deployment: Deployment) -> tuple[Button, ...]:
    """Offer the way on and the way back."""
    return (*_promotion(deployment), *_way_back(deployment), *_way_back_with_data(deployment))


def _promotion(deployment: Deployment) -> tuple[Button, ...]:
    """Offer to promote the whole of what came up, where another environment is next."""
    request = deployment.request
    came_up = deployment.outcome is Outcome.SUCCEEDED and request.kind is not DeploymentKind.ROLLBACK
    if not came_up or not deployment.promotes_to or request.operation is not None or request.services:
        return ()
    label = _("Promote to {environment}", environment=deployment.promotes_to)
    return (Button(label, f"{PROMOTE_PREFIX}{deployment.id}", emoji="⏩"),)


def _way_back(deployment: Deployment) -> tuple[Button, ...]:
    """Offer the way back where there is one; what was rolled back or cancelled is back already."""
    undone = deployment.outcome is Outcome.SUCCEEDED or (deployment.outcome is Outcome.FAILED and deployment.touched)
    if not undone or deployment.from_release in {None, deployment.to_release}:
        return ()
    label = _("Roll back to {release}", release=release(deployment.from_release))
    return (Button(label, f"{ROLLBACK_PREFIX}{deployment.id}", emoji="↩️"),)


def _way_back_with_data(deployment: Deployment) -> tuple[Button, ...]:
    """Offer to restore the data, too, that was backed up before a deployment which changed something.

    Not where that would be refused: no data is restored on a Swarm, nor by a rollback that replaces the bot itself.
    """
    is_way_back = deployment.request.kind is DeploymentKind.ROLLBACK
    if is_way_back or not deployment.backups or not deployment.touched or deployment.from_release is None:
        return ()
    replaced_the_bot = bool(deployment.successors) and deployment.outcome is Outcome.SUCCEEDED
    if deployment.data_stays or replaced_the_bot:
        return ()
    label = _("Roll back to {release} with data", release=release(deployment.from_release))
    return (Button(label, f"{ROLLBACK_DATA_PREFIX}{deployment.id}", discord.ButtonStyle.danger, "💾"),)


def _description(deployment: Deployment, outcome: Outcome) -> str:
    parts, said = [], list[str]()
    if deployment.duration_seconds is not None:
        parts.append(took(deployment))
    parts.append(_("by {person}", person=person(deployment.request.requested_by)))
    if deployment.request.approved_by is not None:
        parts.append(_("approved by {person}", person=person(deployment.request.approved_by)))
    if deployment.cancel_requested_by is not None and outcome is not Outcome.SUCCEEDED:  # cancelled too late
        parts.append(_("cancelled by {person}", person=person(deployment.cancel_requested_by)))
        said.extend(quoted(deployment.cancel_reason))
    runs_now = [] if deployment.changed_nothing else [_runs_now(deployment, outcome)]
    return "\n".join([*runs_now, " · ".join(parts), *said])


def _took_each(deployment: Deployment) -> list[str]:
    """Say how long each phase took; of what changed nothing, nobody asks."""
    if deployment.changed_nothing:
        return []
    phases = [phase for phase in deployment.phases if phase.attempts]
    text = " · ".join(f"{word(phase.name)} {duration(phase.duration_seconds)}" for phase in phases)
    return [f"-# {text}"] if text else []


def _runs_now(deployment: Deployment, outcome: Outcome) -> str:
    values = {
        "environment": deployment.environment,
        "old": release(deployment.from_release),
        "new": release(deployment.to_release),
    }
    if deployment.request.operation not in {None, Operation.KEEP}:
        return _("**{environment}** stays on {old}.", **values)
    if outcome is Outcome.SUCCEEDED:
        return _("**{environment}** runs {new} (before: {old}).", **values)
    if outcome is Outcome.ROLLED_BACK:
        return _("**{environment}** runs {old} again.", **values)
    if outcome is Outcome.CANCELLED or not deployment.touched:
        return _("**{environment}** stays on {old}.", **values)
    if deployment.was_put_back:
        return _("**{environment}** is on {old}: what was well before runs again.", **values)
    if deployment.brought_back:
        return _("**{environment}** is on {new}, but that failed its verification. Look at it now.", **values)
    return _("**{environment}** may be on a mixture of {old} and {new}. Look at it now.", **values)


def _add_problem(embed: discord.Embed, deployment: Deployment) -> None:
    problem = deployment.problem
    if problem is None:
        return
    named = problem.service is None or problem.service in problem.message
    where = "" if named else f"{code(problem.service or '')}: "
    add_field(embed, _("Why"), where + marked_up(problem.message, 900))
    if hint := next_step(deployment, problem):
        add_field(embed, _("What to do"), marked_up(hint, FIELD_VALUE))
    if problem.report.strip():
        add_field(embed, _("Last log lines (all of them in the file)"), code_block(problem.report, REPORT_PREVIEW))


def next_step(deployment: Deployment, problem: Problem) -> str:
    """Return the next thing to do: the error's own hint, or what fits the outcome."""
    if problem.hint:
        return problem.hint
    is_operation = deployment.request.operation is not None
    if deployment.outcome is Outcome.CANCELLED or (deployment.touched and is_operation):
        return ""
    if deployment.touched and deployment.outcome is Outcome.FAILED:
        return _("Look at /status {environment}, then /rollback {environment}.", environment=deployment.environment)
    return ""


def _add_services(embed: discord.Embed, deployment: Deployment) -> None:
    listed = [p for p in deployment.services if _is_listed(p)]
    if listed:
        failed_first = sorted(listed, key=lambda progress: progress.step is not ServiceStep.FAILED)
        scaled_to = deployment.request.replicas if deployment.outcome is Outcome.SUCCEEDED else None
        drawn = [service_line(progress, finished=True, replicas=scaled_to) for progress in failed_first]
        add_field(embed, _("Services"), lines(drawn, FIELD_VALUE))


def _is_listed(progress: ServiceProgress) -> bool:
    """List what changed or failed, not what was never reached."""
    return progress.step is ServiceStep.FAILED or (progress.changed and progress.step is not ServiceStep.PENDING)


def _attachments(deployment: Deployment) -> tuple[Attachment, ...]:
    """Return the report of the deployment's problem, then those of its phases that differ from it."""
    found: dict[str, Attachment] = {}
    failed = (p.problem for p in deployment.phases if p.status is PhaseStatus.FAILED and p.problem is not None)
    for problem in (deployment.problem, *failed):
        if problem is not None and problem.report.strip() and problem.report not in found:
            found[problem.report] = Attachment(_file_name(deployment, problem, len(found)), problem.report)
    return tuple(found.values())[:3]


def draw_phases(deployment: Deployment, phases: Sequence[PhaseResult], count: int) -> Drawing:
    """Draw phases that have ended, with all that they said, for the thread below the live message.

    `count` is how many have been posted by then: that marks the message.
    """
    key = f"{deployment.id}{DETAILS_SUFFIX}-{count}"
    text = lines([line for phase in phases for line in _phase_lines(phase)], DESCRIPTION)
    embed = discord.Embed(description=text, colour=QUIET)
    embed.set_footer(text=key)
    problems = [phase.problem for phase in phases if phase.problem is not None and phase.problem.report.strip()]
    files = [
        Attachment(_file_name(deployment, problem, index), problem.report) for index, problem in enumerate(problems)
    ]
    return Drawing(key=key, embeds=tuple(fit([embed])), attachments=tuple(files))


def _phase_lines(phase: PhaseResult) -> list[str]:
    head = [f"{PHASES[phase.status]} **{word(phase.name)}**", duration(phase.duration_seconds)]
    text = [" · ".join(filter(None, (*head, marked_up_line(phase.summary, 500))))]
    text += [f"⚠️ {marked_up_line(warning, 500)}" for warning in phase.warnings]
    if phase.problem is not None:
        text += [f"> {marked_up_line(part, 900)}" for part in (phase.problem.message, phase.problem.hint) if part]
    return text


def _file_name(deployment: Deployment, problem: Problem, index: int) -> str:
    subject = re.sub(r"[^A-Za-z0-9._-]", "_", problem.service or problem.key)[:60]
    return f"{deployment.id}-{subject}{f'-{index + 1}' if index else ''}.txt"


GO_ON_PREFIX = "roas:go-on:"
TAKE_BACK_PREFIX = "roas:take-back:"
OBSERVE_PREFIX = "roas:observe:"


def pause_key(deployment_id: str, pause: Pause) -> str:
    """Return what marks the message about a pause."""
    return f"{deployment_id} · pause {pause.number}"


def draw_pause(deployment: Deployment, pause: Pause) -> Drawing:
    """Draw one pause of a deployment: with buttons while it waits, and with who decided afterwards."""
    waits = deployment.waits_in == pause
    embed = discord.Embed(
        title=f"⏸️ {headline(deployment)}: {_('paused')}",
        description="\n".join([marked_up(pause.message, 1500), "", _state(deployment, pause, waits=waits)]),
        colour=CAREFUL if waits else QUIET,
    )
    if pause.report.strip():
        add_field(embed, _("Last log lines (all of them in the file)"), code_block(pause.report, REPORT_PREVIEW))
    key = pause_key(deployment.id, pause)
    embed.set_footer(text=key)
    name = f"{deployment.id}-pause-{pause.number}.txt"
    attachments = (Attachment(name, pause.report),) if pause.report.strip() else ()
    buttons = _pause_buttons(deployment, pause) if waits else ()
    return Drawing(key=key, embeds=tuple(fit([embed])), buttons=buttons, attachments=attachments)


def _pause_buttons(deployment: Deployment, pause: Pause) -> tuple[Button, ...]:
    subject = f"{deployment.id}:{pause.number}"
    if pause.canary:
        return (
            Button(_("Promote"), f"{GO_ON_PREFIX}{subject}", discord.ButtonStyle.primary, "▶️"),
            Button(_("Pause"), f"{OBSERVE_PREFIX}{subject}", discord.ButtonStyle.secondary, "⏸️"),
            Button(_("Abort"), f"{TAKE_BACK_PREFIX}{subject}", discord.ButtonStyle.danger, "↩️"),
        )
    return (
        Button(_("Resume"), f"{GO_ON_PREFIX}{subject}", discord.ButtonStyle.primary, "▶️"),
        Button(_("Roll back"), f"{TAKE_BACK_PREFIX}{subject}", discord.ButtonStyle.danger, "↩️"),
    )


def _state(deployment: Deployment, pause: Pause, *, waits: bool) -> str:
    if waits and pause.bake:
        return _(
            "The new version serves alone. *Promote* keeps it, *Pause* observes it for as long again, *Abort* brings "
            "the release before back. Until then, **{environment}** takes no other deployment.",
            environment=deployment.environment,
        )
    if waits and pause.canary:
        return _(
            "Both versions serve. *Promote* begins the next step, *Pause* observes this one for as long again, *Abort* "
            "brings the release before back. Until then, **{environment}** takes no other deployment.",
            environment=deployment.environment,
        )
    if waits:
        return _(
            "What is healthy is kept, and nothing more is replaced. *Resume* replaces the replicas that are left; "
            "*Roll back* brings the release before back. Until then, **{environment}** takes no other deployment.",
            environment=deployment.environment,
        )
    decision = deployment.decision_on(pause.number)
    if decision is None and deployment.cancel_requested_by is not None:
        return f"🚫 {_('cancelled by {person}', person=person(deployment.cancel_requested_by))}"
    if decision is None:
        return _("It does not wait any more.")
    if decision.choice is Choice.OBSERVE:
        return _("⏸️ {person} lets it be observed for longer.", person=person(decision.decided_by))
    if decision.choice is Choice.GO_ON and pause.bake:
        return _("▶️ {person} keeps it.", person=person(decision.decided_by))
    if decision.choice is Choice.GO_ON and pause.canary:
        return _("▶️ {person} promoted it to its next step.", person=person(decision.decided_by))
    if decision.choice is Choice.GO_ON:
        return _("▶️ {person} resumed it.", person=person(decision.decided_by))
    text = _("↩️ {person} rolled it back.", person=person(decision.decided_by))
    return "\n".join([text, *quoted(decision.reason)])


HISTORY_PREFIX = "roas:history:"
ANY = "-"
PAGE_LENGTH = 8


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Identify a page of the history; the buttons hold no more than this."""

    environment: str | None = None
    outcome: Outcome | None = None
    number: int = 0

    @property
    def custom_id(self) -> str:
        """Return the id of a button that leads here."""
        return f"{HISTORY_PREFIX}{self.environment or ANY}:{self.outcome or ANY}:{self.number}"


def draw_history(
    deployments: Sequence[Deployment],
    page: HistoryPage | None = None,
    *,
    has_more: bool = False,
    delivery: DeliveryFigures | None = None,
    sources: Mapping[str, str] = MappingProxyType({}),
) -> Drawing:
    """Draw deployments, newest first: what, how it ended, who, when, how long; with buttons for the other pages.

    `sources` names what offered the version, by deployment.
    """
    page = page or HistoryPage()
    entries = [_entry(deployment, sources.get(deployment.id, "")) for deployment in deployments]
    text = lines(entries, DESCRIPTION) if entries else _("No deployments.")
    embed = discord.Embed(title=_title(page), description=text, colour=QUIET)
    if delivery is not None and (delivery.deployments or delivery.failure_ratio is not None):
        add_field(embed, _("Delivery, last {days} {days|day|days}", days=DAYS), _delivery(delivery))
    if page.number or has_more:
        embed.set_footer(text=_("Page {number}", number=page.number + 1))
    return Drawing(
        key=page.custom_id, embeds=tuple(fit([embed])), buttons=tuple(_history_buttons(page, has_more=has_more))
    )


def _title(page: HistoryPage) -> str:
    title = _("📜 History")
    wanted = [page.environment, outcome_text(page.outcome) if page.outcome else None]
    return ": ".join(filter(None, [title, *wanted]))


def _delivery(figures: DeliveryFigures) -> str:
    parts = [_("{count} a day", count=f"{figures.per_day:.2g}")]
    if figures.lead_seconds is not None:
        parts.append(_("lead time {time}", time=duration(figures.lead_seconds)))
    if figures.failure_ratio is not None:
        percent = f"{figures.failure_ratio * 100:.0f}"
        parts.append(_("{percent} % of changes failed or were rolled back", percent=percent))
    if figures.restore_seconds is not None:
        parts.append(_("restored in {time}", time=duration(figures.restore_seconds)))
    return " · ".join(parts)


def _history_buttons(page: HistoryPage, *, has_more: bool) -> Iterator[Button]:
    if page.number:
        yield Button(_("Newer"), replace(page, number=page.number - 1).custom_id, emoji="◀️")
    if has_more:
        yield Button(_("Older"), replace(page, number=page.number + 1).custom_id, emoji="▶️")


def _entry(deployment: Deployment, source: str) -> str:
    icon = mark(deployment)[0] if deployment.outcome else "🚀"
    state = ending(deployment) if deployment.outcome else _("is running")
    if deployment.awaits_approval:
        state = _("waits for the approval of a second person")
    details = [
        at(deployment.created_at),
        person(deployment.request.requested_by),
        _approved(deployment),
        _("offered by {source}", source=code(source)) if source else "",
        duration(deployment.duration_seconds),
        f"{release(deployment.from_release)} → {release(deployment.to_release)}",
    ]
    about = f"-# {' · '.join(part for part in details if part)}"
    return "\n".join([f"{icon} **{headline(deployment)}** {state}", about, *quoted(deployment.request.reason)])


def _approved(deployment: Deployment) -> str:
    approver = deployment.request.approved_by
    return _("approved by {person}", person=person(approver)) if approver is not None else ""


def draw_error(error: RoasError, redact: Redact = str) -> list[discord.Embed]:
    """Draw an error with its own message, without secrets."""
    problem = without_secrets(error.problem(), redact)
    refused = isinstance(error, NotPermittedError)
    embed = discord.Embed(
        title=_("⛔ You may not do this") if refused else _("⚠️ That did not work"),
        description=marked_up(problem.message, DESCRIPTION // 2),
        colour=CAREFUL if refused else BAD,
    )
    if problem.hint:
        add_field(embed, _("What to do"), marked_up(problem.hint, FIELD_VALUE))
    if problem.report.strip():
        add_field(embed, _("Details"), code_block(problem.report, FIELD_VALUE))
    return fit([embed])


def draw_unexpected(incident: str) -> list[discord.Embed]:
    """Draw an unexpected error; the log has the details under the same id."""
    embed = discord.Embed(
        title=_("💥 Internal error"),
        description=_("Nothing more was done. The log has the details under `{incident}`.", incident=incident),
        colour=BAD,
    )
    add_field(
        embed, _("What to do"), _("Look at /status, then try again, or show the log to whoever operates this bot.")
    )
    return fit([embed])
