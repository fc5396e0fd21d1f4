"""Write the page of the slash commands: from the cogs that define them, with their names in Traditional Chinese."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterable

import discord
from discord import app_commands
from discord.ext import commands

from roas import cogs
from roas.ui.command_names import CommandTranslator, mark_as_ours
from tools.reference.markdown import code, plain, table

HEAD = """# Slash commands

Discord shows names and descriptions in English or, where a person's client is set to it, in Traditional Chinese.
The commands work in the ops channel only. [Who may do what](../how-to/permissions.md) says which role each needs.
"""
Command = app_commands.Command[commands.Cog, ..., None]


async def page() -> str:
    """Return the page."""
    translator = CommandTranslator()
    return "\n".join([HEAD, *[await _command(slash_command, translator) for slash_command in slash_commands()]])


def slash_commands() -> list[Command]:
    """Return the commands of every cog, by name."""
    found = [command for cog in _cogs() for command in cog.__cog_app_commands__]
    for command in found:
        mark_as_ours(command)  # as a bot does that loads them; others' commands are not ours to translate
    return sorted((item for item in found if isinstance(item, app_commands.Command)), key=lambda command: command.name)


def _cogs() -> Iterable[type[commands.Cog]]:
    """Yield the classes of cogs, each once, from the module that defines it."""
    for module in pkgutil.iter_modules(cogs.__path__, f"{cogs.__name__}."):
        for _, getmember in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(getmember, commands.Cog) and getmember.__module__ == module.name:
                yield getmember


async def _command(command: Command, translator: CommandTranslator) -> str:
    where = app_commands.TranslationContextLocation
    name = await _chinese(translator, command.name, where.command_name, command)
    text = await _chinese(translator, command.description, where.command_description, command)
    parts = [f"## /{command.name}\n", f"{plain(command.description)}.\n", f"zh-TW: `/{name}` · {plain(text)}\n"]
    if command.parameters:
        options = [await _option(parameter, translator) for parameter in command.parameters]
        parts.append(table(("option", "zh-TW", "needed", "value", "what it is"), options))
    return "\n".join(parts)


async def _option(option: app_commands.Parameter, translator: CommandTranslator) -> tuple[str, ...]:
    where = app_commands.TranslationContextLocation.parameter_name
    chinese = await _chinese(translator, option.name, where, option)
    choices = ", ".join(code(choice.name) for choice in option.choices)
    needed = "yes" if option.required else "no"
    return code(option.name), code(chinese), needed, choices or option.type.name, plain(str(option.description))


async def _chinese(
    translator: CommandTranslator,
    english: str | app_commands.locale_str,
    location: app_commands.TranslationContextLocation,
    data: Command | app_commands.Parameter,
) -> str:
    context = app_commands.TranslationContext(location=location, data=data)  # type: ignore[call-overload]
    said = await translator.translate(app_commands.locale_str(str(english)), discord.Locale.taiwan_chinese, context)
    return said or str(english)
