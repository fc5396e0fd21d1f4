"""Draw a plan for those who decide on it: the one who asked confirms it, then a second person approves it."""

from dataclasses import replace

import discord

from roas.models.deployment import DeploymentKind
from roas.models.plan_record import PlanRecord, PlanState
from roas.ui.drawing import Button, Drawing
from roas.ui.embeds.plan import draw_plan, draw_plan_message, whole_plan, whole_plan_note
from roas.ui.formatting import mentions, person, release, since
from roas.ui.icons import CAREFUL, GOOD, QUIET, RUNNING
from roas.ui.limits import fit, one_line
from roas.ui.translation import _, translate

CONFIRM_PREFIX = "roas:confirm:"
APPROVE_PREFIX = "roas:approve:"
WITHDRAW_PREFIX = "roas:withdraw:"

_COLOURS = {
    PlanState.DRAFTED: CAREFUL,
    PlanState.CONFIRMED: RUNNING,
    PlanState.STARTED: GOOD,
}


def draw_confirmation(plan_record: PlanRecord, *, last_seconds: float | None = None) -> Drawing:
    """Draw a plan with its buttons, for the one who asked."""
    confirm = _("Roll back") if plan_record.request.kind is DeploymentKind.ROLLBACK else _("Deploy")
    buttons = (
        Button(confirm, f"{CONFIRM_PREFIX}{plan_record.id}", discord.ButtonStyle.success, "🚀"),
        _withdraw_button(plan_record),
    )
    text = _("Nothing changes until you confirm. The plan expires {when}.", when=since(plan_record.expires_at))
    message = draw_plan_message(plan_record.plan, text, last_seconds=last_seconds)
    return replace(message, key=plan_record.id, buttons=buttons)


def draw_approval(
    plan_record: PlanRecord, approvers: tuple[int, ...] = (), *, last_seconds: float | None = None
) -> Drawing:
    """Draw the message that asks a second person, and says later what became of it.

    While it waits it pings the approver roles. They see all that they approve: in a file, where a message cannot show
    all of it.
    """
    plan = draw_plan(plan_record.plan, last_seconds=last_seconds)
    embed = discord.Embed(
        title=_title(plan_record), description=_description(plan_record), colour=_COLOURS.get(plan_record.state, QUIET)
    ).set_footer(text=plan_record.id)
    shown = fit([embed, *plan])
    if files := whole_plan(plan_record.plan, shown[1:]):
        embed.description = f"{embed.description}\n{whole_plan_note(files)}"
        shown = fit([embed, *plan])
    buttons: tuple[Button, ...] = ()
    if plan_record.waits:
        approve = Button(_("Approve"), f"{APPROVE_PREFIX}{plan_record.id}", discord.ButtonStyle.success, "✅")
        buttons = (approve, _withdraw_button(plan_record))
    pings = approvers if plan_record.state is PlanState.DRAFTED else ()
    return Drawing(plan_record.id, tuple(shown), mentions(pings), buttons, attachments=files, pings=pings)


def plan_headline(plan_record: PlanRecord) -> str:
    """Summarise a request in one line: `deploy v2 to prod`."""
    request = plan_record.request
    values = {"environment": request.environment, "version": one_line(plan_record.plan.version, 64)}
    if request.kind is DeploymentKind.ROLLBACK:
        return _(
            "roll back {environment} to {release} ({version})", release=release(plan_record.plan.to_release), **values
        )
    return _("deploy {version} to {environment}", **values)


def _withdraw_button(plan_record: PlanRecord) -> Button:
    return Button(_("Cancel"), f"{WITHDRAW_PREFIX}{plan_record.id}", discord.ButtonStyle.secondary, "✖️")


def _title(plan_record: PlanRecord) -> str:
    values = {"what": plan_headline(plan_record)}
    return {
        PlanState.DRAFTED: _("🗳️ Approval needed: {what}", **values),
        PlanState.CONFIRMED: _("✅ Approved: {what}", **values),
        PlanState.STARTED: _("✅ Approved: {what}", **values),
        PlanState.WITHDRAWN: _("🚫 Withdrawn: {what}", **values),
        PlanState.VOID: _("🚫 Void: {what}", **values),
        PlanState.EXPIRED: _("⌛ Not approved in time: {what}", **values),
    }.get(plan_record.state, plan_headline(plan_record))


def _description(plan_record: PlanRecord) -> str:
    request = plan_record.request
    parts = [_("requested by {person}", person=person(request.requested_by))]
    if request.services:
        parts[0] += " · " + _("only {services}", services=one_line(", ".join(request.services), 200))
    if request.reason:
        parts.append(f"> {one_line(request.reason, 300)}")
    parts.append(describe_outcome(plan_record))
    return "\n".join(parts)


def describe_outcome(plan_record: PlanRecord) -> str:
    """Describe the state of a plan, and what its reader can do."""
    decider = person(plan_record.decided_by) if plan_record.decided_by else ""
    state = plan_record.state
    if state is PlanState.PLANNED:
        return _("Waiting for {person} to confirm.", person=person(plan_record.request.requested_by))
    if state is PlanState.DRAFTED:
        return _(
            "It is prepared. A second person with the approver role has to approve exactly this. It expires {when}.",
            when=since(plan_record.expires_at),
        )
    if state is PlanState.CONFIRMED:
        return _("{person} approved it; it is starting.", person=decider)
    if state is PlanState.STARTED:
        return _("{person} approved it; it was started as `{id}`.", person=decider, id=plan_record.deployment_id)
    if state is PlanState.WITHDRAWN:
        return _("{person} cancelled it.", person=decider)
    if state is PlanState.VOID:
        return _("It is void: {why} Ask again for a new plan.", why=one_line(translate(plan_record.note), 500))
    return _("Nobody approved it in time. Ask for a new plan.")
