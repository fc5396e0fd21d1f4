"""Draw the last deployments of an environment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import discord

from roas.models.deployment import Deployment, Outcome
from roas.ui.drawing import Button, Drawing
from roas.ui.formatting import at, person, release
from roas.ui.headlines import ending, headline, outcome_text
from roas.ui.icons import QUIET, mark
from roas.ui.limits import DESCRIPTION, fit, lines
from roas.ui.quantities import duration
from roas.ui.translation import _

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
    deployments: Sequence[Deployment], page: HistoryPage | None = None, *, has_more: bool = False
) -> Drawing:
    """Draw deployments, newest first: what, how it ended, who, when, how long; with buttons for the other pages."""
    page = page or HistoryPage()
    entries = [_entry(deployment) for deployment in deployments]
    text = lines(entries, DESCRIPTION) if entries else _nothing(page)
    embed = discord.Embed(title=_title(page), description=text, colour=QUIET)
    if page.number or has_more:
        embed.set_footer(text=_("Page {number}", number=page.number + 1))
    return Drawing(key=page.custom_id, embeds=tuple(fit([embed])), buttons=tuple(_buttons(page, has_more=has_more)))


def _title(page: HistoryPage) -> str:
    title = _("📜 History of {environment}", environment=page.environment) if page.environment else _("📜 History")
    return f"{title}: {outcome_text(page.outcome)}" if page.outcome else title


def _nothing(page: HistoryPage) -> str:
    if page.number:
        return _("There is nothing older.")
    return _("No deployment matches.") if page.environment or page.outcome else _("Nothing was deployed yet.")


def _buttons(page: HistoryPage, *, has_more: bool) -> Iterator[Button]:
    if page.number:
        yield Button(_("Newer"), replace(page, number=page.number - 1).custom_id, emoji="◀️")
    if has_more:
        yield Button(_("Older"), replace(page, number=page.number + 1).custom_id, emoji="▶️")


def _entry(deployment: Deployment) -> str:
    icon = mark(deployment)[0] if deployment.outcome else "🚀"
    state = ending(deployment) if deployment.outcome else _("is running")
    if deployment.awaits_approval:
        state = _("waits for an approval")
    details = [
        at(deployment.created_at),
        person(deployment.request.requested_by),
        _approved(deployment),
        duration(deployment.duration_seconds),
        f"{release(deployment.from_release)} → {release(deployment.to_release)}",
    ]
    return f"{icon} **{headline(deployment)}** {state}\n-# {' · '.join(part for part in details if part)}"


def _approved(deployment: Deployment) -> str:
    approver = deployment.request.approved_by
    return _("approved by {person}", person=person(approver)) if approver is not None else ""
