"""Name commands as people find them: in the group of DISCORD_COMMAND_GROUP, where all of them are in one."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

import discord

from roas.ui.drawing import Drawing
from roas.ui.limits import FIELD_VALUE, clip, fit

# Not a part of a path or of an address.
COMMAND = re.compile(
    r"(?<![\w/.:-])/(?=(?:deploy|hotfix|rollback|cancel|status|history|logs|lock|unlock)\b(?![\w/-]|\.\w))"
)

_group: ContextVar[str | None] = ContextVar("group", default=None)


@contextmanager
def grouped(group: str | None) -> Iterator[None]:
    """Name commands as they are in a group, within."""
    before = _group.set(group)
    try:
        yield
    finally:
        _group.reset(before)


def found_as(text: str) -> str:
    """Return a text that names commands as people find them."""
    group = _group.get()
    return COMMAND.sub(f"/{group} ", text) if group else text


def embeds_found_as(embeds: Sequence[discord.Embed]) -> tuple[discord.Embed, ...]:
    """Return embeds that name commands as people find them, within Discord's limits."""
    if _group.get() is None:
        return tuple(embeds)
    return tuple(fit([_embed(one) for one in embeds]))


def drawing_found_as(drawing: Drawing) -> Drawing:
    """Return a message that names commands as people find them; files are left as they are."""
    return replace(drawing, content=found_as(drawing.content), embeds=embeds_found_as(drawing.embeds))


def _embed(embed: discord.Embed) -> discord.Embed:
    renamed = embed.copy()
    renamed.title = found_as(embed.title) if embed.title else None
    renamed.description = found_as(embed.description) if embed.description else None
    for place, field in enumerate(embed.fields):
        value = clip(found_as(field.value or ""), FIELD_VALUE)
        renamed.set_field_at(place, name=field.name, value=value, inline=field.inline)
    return renamed
