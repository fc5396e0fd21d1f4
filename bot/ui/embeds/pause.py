"""Draw the question that a paused deployment asks, and what somebody answered."""

import discord

from roas.models.deployment import Deployment
from roas.models.rollout import Choice, Pause
from roas.ui.drawing import Attachment, Button, Drawing
from roas.ui.embeds.outcome import REPORT_PREVIEW
from roas.ui.formatting import person
from roas.ui.headlines import headline
from roas.ui.icons import CAREFUL, QUIET
from roas.ui.limits import add_field, code_block, fit, marked_up
from roas.ui.translation import _

GO_ON_PREFIX = "roas:go-on:"
TAKE_BACK_PREFIX = "roas:take-back:"


def pause_key(deployment_id: str, pause: Pause) -> str:
    """Return what marks the message about a pause."""
    return f"{deployment_id} · pause {pause.number}"


def draw_pause(deployment: Deployment, pause: Pause) -> Drawing:
    """Draw one pause of a deployment: with buttons while it waits, and with who decided afterwards."""
    waits = deployment.is_waiting and deployment.pause == pause
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
    buttons = _buttons(deployment, pause) if waits else ()
    return Drawing(key=key, embeds=tuple(fit([embed])), buttons=buttons, attachments=attachments)


def _buttons(deployment: Deployment, pause: Pause) -> tuple[Button, ...]:
    subject = f"{deployment.id}:{pause.number}"
    return (
        Button(_("Go on"), f"{GO_ON_PREFIX}{subject}", discord.ButtonStyle.primary, "▶️"),
        Button(_("Roll back"), f"{TAKE_BACK_PREFIX}{subject}", discord.ButtonStyle.danger, "↩️"),
    )


def _state(deployment: Deployment, pause: Pause, *, waits: bool) -> str:
    if waits:
        return _(
            "What is healthy is kept, and nothing more is replaced. *Go on* replaces the replicas that are left; "
            "*Roll back* brings the release before back. Until then, **{environment}** takes no other deployment.",
            environment=deployment.environment,
        )
    decision = deployment.decision_on(pause.number)
    if decision is None and deployment.cancel_requested_by is not None:
        return _("🚫 {person} cancelled it.", person=person(deployment.cancel_requested_by))
    if decision is None:
        return _("It does not wait any more.")
    if decision.choice is Choice.GO_ON:
        return _("▶️ {person} let it go on.", person=person(decision.decided_by))
    return _("↩️ {person} rolled it back.", person=person(decision.decided_by))
