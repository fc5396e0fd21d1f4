"""Translate the commands' names and descriptions for Discord into every supported language."""

from enum import StrEnum
from typing import Any

import discord
from discord import app_commands

from roas.ui.translation import ENGLISH, choice_word, command_text, command_word, language_of

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
