"""Draw a plan for those who have to say yes to it: the one who asked, then a second person."""

from dataclasses import replace

import discord

from bot.models.deployment import DeploymentKind
from bot.models.proposal import Proposal, ProposalState
from bot.ui.drawing import Button, Drawing
from bot.ui.embeds.plan import draw_plan, draw_plan_message, whole_plan, whole_plan_note
from bot.ui.limits import fit, one_line
from bot.ui.signs import CAREFUL, GOOD, QUIET, RUNNING
from bot.ui.translation import _, told
from bot.ui.words import mentions, person, release, since

CONFIRM_PREFIX = "roas:confirm:"
APPROVE_PREFIX = "roas:approve:"
WITHDRAW_PREFIX = "roas:withdraw:"

_COLOURS = {
    ProposalState.AWAITING: CAREFUL,
    ProposalState.CONFIRMED: RUNNING,
    ProposalState.STARTED: GOOD,
}


def draw_proposal(proposal: Proposal, *, last_seconds: float | None = None) -> Drawing:
    """Draw a plan with its buttons, for the one who asked."""
    confirm = _("Roll back") if proposal.request.kind is DeploymentKind.ROLLBACK else _("Deploy")
    buttons = (
        Button(confirm, f"{CONFIRM_PREFIX}{proposal.id}", discord.ButtonStyle.success, "🚀"),
        _withdraw_button(proposal),
    )
    words = _("Nothing is changed before you say yes. The plan expires {when}.", when=since(proposal.expires_at))
    message = draw_plan_message(proposal.plan, words, last_seconds=last_seconds)
    return replace(message, key=proposal.id, buttons=buttons)


def draw_approval(proposal: Proposal, approvers: tuple[int, ...] = (), *, last_seconds: float | None = None) -> Drawing:
    """Draw the message that asks a second person, and says later what became of it.

    While it waits it calls the roles of those who approve. What they say yes to is all there: in a file, where not
    all of it can be shown.
    """
    plan = draw_plan(proposal.plan, last_seconds=last_seconds)
    embed = discord.Embed(
        title=_title(proposal), description=_description(proposal), colour=_COLOURS.get(proposal.state, QUIET)
    ).set_footer(text=proposal.id)
    shown = fit([embed, *plan])
    if files := whole_plan(proposal.plan, shown[1:]):
        embed.description = f"{embed.description}\n{whole_plan_note(files)}"
        shown = fit([embed, *plan])
    buttons: tuple[Button, ...] = ()
    if not proposal.ended:
        approve = Button(_("Approve"), f"{APPROVE_PREFIX}{proposal.id}", discord.ButtonStyle.success, "✅")
        buttons = (approve, _withdraw_button(proposal))
    called = approvers if proposal.state is ProposalState.AWAITING else ()
    return Drawing(proposal.id, tuple(shown), mentions(called), buttons, attachments=files, pings=called)


def proposal_headline(proposal: Proposal) -> str:
    """Say in one line what was asked for: `deploy v2 to prod`."""
    request = proposal.request
    values = {"environment": request.environment, "version": one_line(proposal.plan.version, 64)}
    if request.kind is DeploymentKind.ROLLBACK:
        return _(
            "roll back {environment} to {release} ({version})", release=release(proposal.plan.to_release), **values
        )
    return _("deploy {version} to {environment}", **values)


def _withdraw_button(proposal: Proposal) -> Button:
    return Button(_("Cancel"), f"{WITHDRAW_PREFIX}{proposal.id}", discord.ButtonStyle.secondary, "✖️")


def _title(proposal: Proposal) -> str:
    values = {"what": proposal_headline(proposal)}
    return {
        ProposalState.AWAITING: _("🗳️ Approval wanted: {what}", **values),
        ProposalState.CONFIRMED: _("✅ Approved: {what}", **values),
        ProposalState.STARTED: _("✅ Approved: {what}", **values),
        ProposalState.WITHDRAWN: _("🚫 Withdrawn: {what}", **values),
        ProposalState.VOID: _("🚫 Void: {what}", **values),
        ProposalState.EXPIRED: _("⌛ Not approved in time: {what}", **values),
    }.get(proposal.state, proposal_headline(proposal))


def _description(proposal: Proposal) -> str:
    request = proposal.request
    parts = [_("asked for by {person}", person=person(request.requested_by))]
    if request.services:
        parts[0] += " · " + _("only {services}", services=one_line(", ".join(request.services), 200))
    if request.reason:
        parts.append(f"> {one_line(request.reason, 300)}")
    parts.append(what_became_of(proposal))
    return "\n".join(parts)


def what_became_of(proposal: Proposal) -> str:
    """Say how a plan stands, and what its reader can do."""
    decider = person(proposal.decided_by) if proposal.decided_by else ""
    state = proposal.state
    if state is ProposalState.PLANNED:
        return _("{person} has not said yes yet.", person=person(proposal.request.requested_by))
    if state is ProposalState.AWAITING:
        return _(
            "A second person, with the approver role, has to say yes to exactly this plan. It expires {when}.",
            when=since(proposal.expires_at),
        )
    if state is ProposalState.CONFIRMED:
        return _("{person} said yes; it is being started.", person=decider)
    if state is ProposalState.STARTED:
        return _("{person} said yes; it was carried out as `{id}`.", person=decider, id=proposal.deployment_id)
    if state is ProposalState.WITHDRAWN:
        return _("{person} cancelled it.", person=decider)
    if state is ProposalState.VOID:
        return _("It is void: {why} Ask again for a new plan.", why=one_line(told(proposal.note), 500))
    return _("Nobody said yes in time. Ask again for a new plan.")
