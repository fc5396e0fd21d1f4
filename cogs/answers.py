"""Acknowledge first, then answer once, privately; turn every fault into one clear embed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import discord
import structlog

from bot.errors import RoasError
from bot.models.identifiers import new_id
from bot.ui.embeds.errors import draw_error, draw_unexpected
from bot.ui.secrets import Redact

log = structlog.get_logger(__name__)

UNKNOWN_INTERACTION = 10062
ALREADY_ACKNOWLEDGED = 40060


async def acknowledge(interaction: discord.Interaction) -> bool:
    """Tell Discord that an answer comes, before any effect; False where somebody else answers or it is too late."""
    try:
        await interaction.response.defer(ephemeral=True, thinking=True)
    except discord.HTTPException as error:
        if error.code in {UNKNOWN_INTERACTION, ALREADY_ACKNOWLEDGED}:
            log.warning("an interaction is not ours to answer", interaction_id=interaction.id, reason=str(error))
            return False
        log.warning("an interaction cannot be acknowledged", interaction_id=interaction.id, reason=str(error))
        return False
    except (OSError, aiohttp.ClientError) as error:
        log.warning("an interaction cannot be acknowledged", interaction_id=interaction.id, reason=repr(error))
        return False
    return True


async def answer(
    interaction: discord.Interaction, content: str | None = None, embeds: Sequence[discord.Embed] = ()
) -> None:
    """Answer an acknowledged interaction; an answer that Discord does not take is logged, since its effect stands."""
    try:
        await interaction.edit_original_response(
            content=content, embeds=embeds, allowed_mentions=discord.AllowedMentions.none()
        )
    except (discord.HTTPException, OSError, aiohttp.ClientError) as error:
        log.warning("an answer could not be given", interaction_id=interaction.id, reason=str(error))


@asynccontextmanager
async def answering(interaction: discord.Interaction, redact: Redact) -> AsyncIterator[None]:
    """Run a command; what goes wrong in it is answered in words, without secrets, and logged once."""
    try:
        yield
    except RoasError as error:
        log.info(
            "a command was refused or failed",
            interaction_id=interaction.id,
            user_id=interaction.user.id,
            key=error.key,
            reason=error.message,
        )
        await answer(interaction, embeds=draw_error(error, redact))
    except Exception:  # the boundary: the person gets an id, the log gets the rest
        incident = new_id("ERR")
        log.exception("a command broke", incident=incident, interaction_id=interaction.id)
        await answer(interaction, embeds=draw_unexpected(incident))
