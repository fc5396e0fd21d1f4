"""Acknowledge first, then answer once, privately; show every error as one clear embed."""

from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any, Protocol

import aiohttp
import discord

from roas.errors import InternalFaultError
from roas.log import get_logger
from roas.models.stored import new_id
from roas.shortages import fault_of
from roas.ui.command_names import drawing_found_as, embeds_found_as, found_as
from roas.ui.drawing import Drawing
from roas.ui.embeds.outcome import draw_error, draw_unexpected
from roas.ui.redacted import Redact, hidden_drawing, hidden_embeds, hidden_text
from roas.ui.translation import using_locale

log = get_logger(__name__)

UNKNOWN_INTERACTION = 10062
ALREADY_ACKNOWLEDGED = 40060
# Dispatched to the client with the interaction that another process has answered.
ANSWERED_ELSEWHERE = "roas_answered_elsewhere"


class Reply(Protocol):
    """Answer an interaction with embeds."""

    async def __call__(self, interaction: discord.Interaction, *, embeds: Sequence[discord.Embed] = ()) -> None:
        """Send it; an error of Discord's is logged."""
        ...


async def acknowledge(interaction: discord.Interaction) -> bool:
    """Defer an answer before any effect; returns False where another bot answers or it is too late."""
    return await _acknowledge(interaction, thinking=True)


async def acknowledge_update(interaction: discord.Interaction) -> bool:
    """Defer an update of the message with the button, before any effect; returns False as for `acknowledge`."""
    return await _acknowledge(interaction, thinking=False)


async def ask(interaction: discord.Interaction, form: discord.ui.Modal) -> bool:
    """Open a form in answer to a click or a command; returns False as for `acknowledge`.

    This process remembers nothing of it: what is filled in is taken by whichever bot leads then, by the form's id.
    """
    form.stop()
    return await _respond(interaction, interaction.response.send_modal(form))


async def _acknowledge(interaction: discord.Interaction, *, thinking: bool) -> bool:
    deferred = interaction.response.defer(ephemeral=True, thinking=True) if thinking else interaction.response.defer()
    return await _respond(interaction, deferred)


async def _respond(interaction: discord.Interaction, response: Awaitable[object]) -> bool:
    try:
        await response
    except discord.HTTPException as error:
        if error.code in {UNKNOWN_INTERACTION, ALREADY_ACKNOWLEDGED}:
            log.warning("interaction expired or answered already", interaction_id=interaction.id, error=str(error))
            if error.code == ALREADY_ACKNOWLEDGED:
                interaction.client.dispatch(ANSWERED_ELSEWHERE, interaction)
            return False
        log.warning("an interaction cannot be acknowledged", interaction_id=interaction.id, error=str(error))
        return False
    except (OSError, aiohttp.ClientError) as error:
        log.warning("an interaction cannot be acknowledged", interaction_id=interaction.id, error=repr(error))
        return False
    return True


async def answer(
    interaction: discord.Interaction,
    content: str | None = None,
    embeds: Sequence[discord.Embed] = (),
    *,
    drawing: Drawing | None = None,
) -> None:
    """Answer an acknowledged interaction; a failure to send is only logged, since the effect stays.

    After `acknowledge_update` this changes the message that the button was on.
    """
    shown = hidden_embeds(embeds_found_as(embeds))
    options: dict[str, Any] = {"content": hidden_text(found_as(content)) if content else None, "embeds": shown}
    if drawing is not None:
        drawing = hidden_drawing(drawing_found_as(replace(drawing, content=content or drawing.content)))
        options = {"content": drawing.content or None, "embeds": drawing.embeds, "view": drawing.view()}
        options["attachments"] = drawing.files()
    with _logged(interaction):
        await interaction.edit_original_response(**options, allowed_mentions=discord.AllowedMentions.none())


async def answer_first(
    interaction: discord.Interaction, content: str | None = None, embeds: Sequence[discord.Embed] = ()
) -> None:
    """Acknowledge and answer what has opened no form."""
    if await acknowledge(interaction):
        await answer(interaction, content, embeds)


async def answer_beside(
    interaction: discord.Interaction,
    content: str | None = None,
    embeds: Sequence[discord.Embed] = (),
    *,
    is_private: bool = True,
) -> None:
    """Answer beside what is there already: the message of a button stays, and all may see what is not private."""
    with _logged(interaction):
        await interaction.followup.send(
            hidden_text(found_as(content)) if content else discord.utils.MISSING,
            embeds=hidden_embeds(embeds_found_as(embeds)),
            ephemeral=is_private,
            allowed_mentions=discord.AllowedMentions.none(),
        )


@contextmanager
def _logged(interaction: discord.Interaction) -> Iterator[None]:
    try:
        yield
    except (discord.HTTPException, OSError, aiohttp.ClientError) as error:
        log.warning("an answer could not be given", interaction_id=interaction.id, error=str(error))


@asynccontextmanager
async def answering(interaction: discord.Interaction, redact: Redact, reply: Reply = answer) -> AsyncIterator[None]:
    """Run a command in the language of who asks; what goes wrong is answered without secrets, and logged once."""
    with using_locale(interaction.locale):
        async with _explaining(interaction, redact, reply):
            yield


@asynccontextmanager
async def _explaining(interaction: discord.Interaction, redact: Redact, reply: Reply) -> AsyncIterator[None]:
    try:
        yield
    except Exception as error:  # the boundary: what nobody foresaw has an id, and the log has the rest
        fault = fault_of(error)
        if isinstance(fault, InternalFaultError):
            incident = new_id("ERR")
            log.exception("a command broke", incident=incident, interaction_id=interaction.id)
            await reply(interaction, embeds=draw_unexpected(incident))
            return
        log.info(
            "a command was refused or failed",
            interaction_id=interaction.id,
            user_id=interaction.user.id,
            key=fault.key,
            error=fault.message,
            exc_info=fault is not error,
        )
        await reply(interaction, embeds=draw_error(fault, redact))
