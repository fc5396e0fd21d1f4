"""Name the commands: as a mention of the registered one, and in the language of who sees them."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from enum import StrEnum
from typing import Any

import discord
from discord import app_commands

from roas.ui.drawing import FIELD_VALUE, Drawing, clip, fit
from roas.ui.translation import ENGLISH, choice_word, command_text, command_word, language_of

# Not a part of a path or of an address.
COMMAND = re.compile(
    r"(?<![\w/.:-])/(?=(?:deploy|hotfix|promote|rollback|restart|stop|start|scale|cancel|status|history|logs|lock|unlock)\b"
    r"(?![\w/-]|\.\w))"
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
    return tuple(fit([_embed(embed) for embed in embeds]))


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


NAMES = frozenset(
    {
        app_commands.TranslationContextLocation.command_name,
        app_commands.TranslationContextLocation.group_name,
        app_commands.TranslationContextLocation.parameter_name,
    }
)


# Our commands and choices are registered here: the module's name is no criterion, and a choice has none.
MARK = "roas"


def mark_as_ours(command: app_commands.Command[Any, ..., Any] | app_commands.Group) -> None:
    """Register a command as one of ours."""
    command.extras[MARK] = True


def choice_of(member: StrEnum) -> app_commands.Choice[str]:
    """Return a state as one may choose it, under the word that it has everywhere."""
    name = app_commands.locale_str(member.value.replace("_", " "), **{MARK: True})
    return app_commands.Choice(name=name, value=member.value)


class CommandTranslator(app_commands.Translator):
    """Translate our own commands; those of the bot that we are plugged into are left to its own translator."""

    def __init__(self, others: app_commands.Translator | None = None) -> None:
        self._others = others

    async def load(self) -> None:
        """Load the other translator too."""
        if self._others is not None:
            await self._others.load()

    async def unload(self) -> None:
        """Unload the other translator too: another one takes the place of both."""
        if self._others is not None:
            await self._others.unload()

    async def translate(
        self, string: app_commands.locale_str, locale: discord.Locale, context: app_commands.TranslationContextTypes
    ) -> str | None:
        """Return a name or a description in a language; None leaves it as it is.

        Discord has thirty languages, and asks for each text in all of them.
        """
        if self._others is None and language_of(locale) == ENGLISH:
            return None
        if context.location is app_commands.TranslationContextLocation.choice_name and MARK in string.extras:
            return choice_word(string.message, locale)
        if not _is_ours(context):
            return await self._others.translate(string, locale, context) if self._others is not None else None
        named = context.location in NAMES
        return command_word(string.message, locale) if named else command_text(string.message, locale)


def _is_ours(context: app_commands.TranslationContextTypes) -> bool:
    command = context.data.command if isinstance(context.data, app_commands.Parameter) else context.data
    return MARK in getattr(command, "extras", {})
