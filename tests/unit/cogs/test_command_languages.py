"""Discord is told every command in every language, and again when only a translation changed."""

from typing import Any

from discord import app_commands

from roas.models.deployment import DataChoice, Outcome
from roas.ui.command_names import CommandTranslator, found_as, grouped


async def payloads(scene: Any) -> list[dict[str, Any]]:
    tree = scene.env.bot.tree
    commands = tree.get_commands(guild=scene.env.bot.get_guild(scene.guild.id))
    return [await command.get_translated_payload(tree, tree.translator) for command in commands]


async def test_commands_and_options_have_chinese_texts(scene):
    told = await payloads(scene)

    parts = told + [option for command in told for option in command.get("options", [])]
    assert len(told) >= 4
    assert [part["name"] for part in parts if "zh-TW" not in part["name_localizations"]] == []
    assert [part["name"] for part in parts if "zh-TW" not in part["description_localizations"]] == []


async def test_texts_name_every_command_in_its_group(scene):
    with grouped("roas"):
        for command in await payloads(scene):
            assert found_as(f"Use /{command['name']}.") == f"Use /roas {command['name']}."


async def test_choices_have_chinese_names(scene):
    """Every choice has a Chinese name, and every outcome can be chosen."""
    options = [option for command in await payloads(scene) for option in command.get("options", [])]
    choices = [choice for option in options for choice in option.get("choices", [])]
    assert [choice["name"] for choice in choices if "zh-TW" not in choice["name_localizations"]] == []
    assert {choice["value"] for choice in choices} == {*Outcome, *DataChoice}


async def test_chinese_option_names_unique_per_command(scene):
    for command in await payloads(scene):
        names = [option["name_localizations"]["zh-TW"] for option in command.get("options", [])]
        assert len(names) == len(set(names)), command["name"]


async def test_host_commands_use_host_translator():
    class Theirs(app_commands.Translator):
        async def translate(self, string, locale, context):
            return "theirs"

    async def status(interaction):
        """Do something of their own."""

    command: Any = app_commands.Command(name="status", description="Something else", callback=status)
    location = app_commands.TranslationContextLocation.command_name
    context: Any = app_commands.TranslationContext(location, command)
    asked: Any = ("status", "zh-TW")

    name = app_commands.locale_str(asked[0])
    assert await CommandTranslator(Theirs()).translate(name, asked[1], context) == "theirs"
    assert await CommandTranslator().translate(name, asked[1], context) is None

    choice: Any = app_commands.Choice(name="failed", value="failed")
    context = app_commands.TranslationContext(app_commands.TranslationContextLocation.choice_name, choice)
    name = app_commands.locale_str("failed")
    assert await CommandTranslator(Theirs()).translate(name, asked[1], context) == "theirs"
