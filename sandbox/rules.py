"""Discord's limits that its OpenAPI description does not state."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from sandbox.errors import invalid_form

CHAT_INPUT = 1
SUBCOMMAND, SUBCOMMAND_GROUP = 1, 2
EMBEDS_TOTAL = 6000
COMMAND_TOTAL = 8000
COMMANDS = 100
URL_SCHEMES = ("http://", "https://", "attachment://")
# Discord's pattern for names: letters, numbers, the scripts Devanagari and Thai whole, and these.
_NAME_EXTRAS = "-_'"
_WHOLE_SCRIPTS = ("DEVANAGARI ", "THAI ")

Problems = list[tuple[str, str]]


def check_message(body: Any) -> None:
    """Reject a message, a callback's data or an edit that exceeds a limit."""
    problems: Problems = []
    if isinstance(body, Mapping):
        nested = body.get("data")
        if isinstance(nested, Mapping):
            _check_embeds(nested, "data.", problems)
            _check_components(nested, "data.", problems)
            _check_choices(nested.get("choices"), "data.choices", problems)
        _check_embeds(body, "", problems)
        _check_components(body, "", problems)
    if problems:
        raise invalid_form(problems)


def _check_embeds(body: Mapping[str, Any], prefix: str, problems: Problems) -> None:
    embeds = body.get("embeds")
    if not isinstance(embeds, list):
        return
    total = 0
    for index, embed in enumerate(embeds):
        if isinstance(embed, Mapping):
            total += _check_embed(embed, f"{prefix}embeds.{index}", problems)
    if total > EMBEDS_TOTAL:
        problems.append((f"{prefix}embeds", f"Embed size exceeds maximum size of {EMBEDS_TOTAL}"))


def _check_embed(embed: Mapping[str, Any], path: str, problems: Problems) -> int:
    """Check one embed and return how many characters it counts."""
    texts = [embed.get("title"), embed.get("description")]
    for key, inner in (("footer", "text"), ("author", "name")):
        part = embed.get(key)
        if isinstance(part, Mapping):
            texts.append(part.get(inner))
            if key == "author" and not str(part.get(inner) or "").strip():
                problems.append((f"{path}.{key}.{inner}", "This field is required"))
    for number, item in enumerate(embed.get("fields") or []):
        for key in ("name", "value"):
            text = item.get(key) if isinstance(item, Mapping) else None
            texts.append(text)
            if not isinstance(text, str) or not text.strip():
                problems.append((f"{path}.fields.{number}.{key}", "This field is required"))
    for key in ("url", "image", "thumbnail"):
        part = embed.get(key)
        url = part.get("url") if isinstance(part, Mapping) else part
        if isinstance(url, str) and not url.startswith(URL_SCHEMES):
            problems.append((f"{path}.{key}", f"Scheme must be one of {URL_SCHEMES}"))
    return sum(len(text.strip()) for text in texts if isinstance(text, str))


def _check_components(body: Mapping[str, Any], prefix: str, problems: Problems) -> None:
    rows = body.get("components")
    for number, row in enumerate(rows if isinstance(rows, list) else []):
        for index, item in enumerate((row.get("components") or []) if isinstance(row, Mapping) else []):
            if isinstance(item, Mapping) and _is_blank_button(item):
                problems.append(
                    (f"{prefix}components.{number}.components.{index}", "A button needs a label or an emoji")
                )


def _is_blank_button(item: Mapping[str, Any]) -> bool:
    premium = item.get("style") == 6  # Discord draws that one itself.
    return item.get("type") == 2 and not premium and not item.get("label") and not item.get("emoji")


def _check_choices(choices: Any, path: str, problems: Problems) -> None:
    if not isinstance(choices, list):
        return
    if len(choices) > 25:
        problems.append((path, "Must be 25 or fewer in length."))
    for index, choice in enumerate(choices):
        name, value = choice.get("name"), choice.get("value")
        if not isinstance(name, str) or not 1 <= len(name) <= 100:
            problems.append((f"{path}.{index}.name", "Must be between 1 and 100 in length."))
        if isinstance(value, str) and not 1 <= len(value) <= 100:
            problems.append((f"{path}.{index}.value", "Must be between 1 and 100 in length."))


def check_commands(commands: Any) -> None:
    """Refuse a set of commands that Discord would not register."""
    problems: Problems = []
    if not isinstance(commands, list):
        raise invalid_form([("", "Only iterables may be used in a ListType")])
    seen: set[tuple[str, int]] = set()
    for index, command in enumerate(commands):
        kind = command.get("type", CHAT_INPUT)
        _check_command(command, str(index), problems)
        if (command.get("name"), kind) in seen:
            problems.append((f"{index}.name", "Application command names must be unique"))
        seen.add((command.get("name"), kind))
    if len(commands) > COMMANDS:
        problems.append(("", f"Maximum number of application commands reached ({COMMANDS})"))
    if problems:
        raise invalid_form(problems)


def _check_command(command: Mapping[str, Any], path: str, problems: Problems) -> None:
    if command.get("type", CHAT_INPUT) != CHAT_INPUT:
        if not 1 <= len(str(command.get("name") or "")) <= 32:
            problems.append((f"{path}.name", "Must be between 1 and 32 in length."))
        return
    _check_named(command, path, problems)
    _check_options(command.get("options"), f"{path}.options", problems)
    if _size(command) > COMMAND_TOTAL:
        problems.append((path, f"Command exceeds maximum size ({COMMAND_TOTAL})"))


def _check_named(item: Mapping[str, Any], path: str, problems: Problems) -> None:
    names = {"name": item.get("name"), **_localized(item, "name_localizations")}
    for where, name in names.items():
        if not isinstance(name, str) or not valid_name(name):
            problems.append((f"{path}.{where}", "Command name is invalid"))
    texts = {"description": item.get("description"), **_localized(item, "description_localizations")}
    for where, text in texts.items():
        if not isinstance(text, str) or not 1 <= len(text) <= 100:
            problems.append((f"{path}.{where}", "Must be between 1 and 100 in length."))


def _localized(item: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {f"{key}.{locale}": text for locale, text in (item.get(key) or {}).items()}


def valid_name(name: str) -> bool:
    """Return whether Discord accepts this as the name of a slash command or of an option."""

    def allowed(character: str) -> bool:
        if character in _NAME_EXTRAS or unicodedata.category(character)[0] in "LN":
            return True
        return unicodedata.name(character, "").startswith(_WHOLE_SCRIPTS)

    return 1 <= len(name) <= 32 and name == name.lower() and all(allowed(character) for character in name)


def _check_options(options: Any, path: str, problems: Problems) -> None:
    names: set[str] = set()
    optional_seen = False
    for index, option in enumerate(options or []):
        where = f"{path}.{index}"
        _check_named(option, where, problems)
        if option.get("name") in names:
            problems.append((f"{where}.name", "Option name must be unique"))
        names.add(option.get("name"))
        if option.get("type") in (SUBCOMMAND, SUBCOMMAND_GROUP):
            _check_options(option.get("options"), f"{where}.options", problems)
        elif option.get("required") and optional_seen:
            problems.append((where, "Required options must be placed before non-required options"))
        optional_seen = optional_seen or not option.get("required")
        if option.get("autocomplete") and option.get("choices"):
            problems.append((where, "An option cannot have both autocomplete and choices"))
        _check_choices(option.get("choices"), f"{where}.choices", problems)
    if len(options or []) > 25:
        problems.append((path, "Must be 25 or fewer in length."))


def _size(item: Mapping[str, Any]) -> int:
    """Count what Discord counts: names, descriptions and choice values, the longest translation of each."""
    total = 0
    for key in ("name", "description"):
        translations = (item.get(f"{key}_localizations") or {}).values()
        total += max([len(str(item.get(key) or "")), *(len(str(translation)) for translation in translations)])
    total += sum(_size(option) for option in item.get("options") or [])
    return total + sum(
        len(str(choice.get("name"))) + len(str(choice.get("value"))) for choice in item.get("choices") or []
    )
