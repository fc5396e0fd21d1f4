"""Draw a fault: what is wrong, and what to do about it."""

import discord

from roas.errors import NotPermittedError, RoasError
from roas.ui.drawing import BAD, CAREFUL, DESCRIPTION, FIELD_VALUE, add_field, code_block, fit, marked_up
from roas.ui.secrets import Redact, without_secrets
from roas.ui.translation import _


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
