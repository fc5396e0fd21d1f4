"""Draw the last deployments of an environment."""

from collections.abc import Sequence

import discord

from bot.models.deployment import Deployment
from bot.ui.headlines import headline, outcome_words
from bot.ui.limits import DESCRIPTION, fit, lines
from bot.ui.signs import OUTCOMES, QUIET
from bot.ui.translation import _
from bot.ui.words import at, duration, person, release


def draw_history(deployments: Sequence[Deployment], environment: str | None = None) -> list[discord.Embed]:
    """Draw deployments, newest first: what, how it ended, who, when, how long."""
    title = _("📜 History of {environment}", environment=environment) if environment else _("📜 History")
    entries = [_entry(deployment) for deployment in deployments]
    text = lines(entries, DESCRIPTION) if entries else _("Nothing was deployed yet.")
    return fit([discord.Embed(title=title, description=text, colour=QUIET)])


def _entry(deployment: Deployment) -> str:
    sign = OUTCOMES[deployment.outcome][0] if deployment.outcome else "🚀"
    state = outcome_words(deployment.outcome) if deployment.outcome else _("is running")
    details = [
        at(deployment.created_at),
        person(deployment.request.requested_by),
        duration(deployment.duration_seconds),
        f"{release(deployment.from_release)} → {release(deployment.to_release)}",
    ]
    return f"{sign} **{headline(deployment)}** {state}\n-# {' · '.join(part for part in details if part)}"
