"""Every text of the product has a translation, and what is compiled is what was translated."""

import re
from collections.abc import Iterator

import pytest
from babel.messages.catalog import Catalog, Message

from bot.ui.translation import LANGUAGES, LOCALE_FOLDER, catalogue
from cogs.plan_approvals import CHANGED
from translations.__main__ import read_catalogue
from translations.collecting import Entry, bare, collect

FIELD = re.compile(r"\{[a-z_0-9]+\}")
DISCORD_NAME = re.compile(r"[-_\w]{1,32}")
ADVICE = "Run script/translate, fill in the gaps in bot/ui/locale/*/LC_MESSAGES/roas.po, and run it again."


# Texts of the interface that are no words to a reader, or are English on purpose.
NOT_TRANSLATED = {
    "DeploymentCog | None": "a type",
    "journal lost": "the subject of a post, for the log",
    " · outcome": "a mark by which a message is found again",
    " · escalation": "a mark by which a message is found again",
    "roll back": "the value of a deed, which has a word",
    "Missing Permissions": "Discord's own words, for the log",
    CHANGED: "for the journal, where it is English",
}
# What is told to who loads the extension, and what is painted with a font that knows Latin letters only.
ENGLISH = ("cogs/clashes.py", "cogs/loading.py", "cogs/names.py", "bot/ui/charts/")


@pytest.fixture(params=LANGUAGES.values(), scope="module")
def translated(request: pytest.FixtureRequest) -> Catalog:
    return read_catalogue(LOCALE_FOLDER / request.param / "LC_MESSAGES" / "roas.po", request.param)


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return collect()


def messages(translated: Catalog) -> Iterator[Message]:
    return (message for message in translated if message.id)


def test_every_text_of_the_source_is_translated(translated: Catalog, entries: list[Entry]) -> None:
    def has_none(entry: Entry) -> bool:
        found = translated.get(entry.text, entry.context)
        return found is None or not found.string

    gaps = sorted({f"{entry.place}: {entry.text!r}" for entry in entries if has_none(entry)})

    assert gaps == [], ADVICE


def test_no_text_of_the_interface_goes_past_the_translation() -> None:
    past = [one for one in bare() if not one.place.startswith(ENGLISH) and one.text not in NOT_TRANSLATED]

    assert past == [], "Put these into _(), or say above why they are not to be translated."


def test_no_translation_names_a_field_that_its_text_has_not(translated: Catalog) -> None:
    wrong = [m.id for m in messages(translated) if not set(FIELD.findall(m.string)) <= set(FIELD.findall(m.id))]

    assert wrong == []


def test_texts_of_the_interface_keep_all_of_their_fields(translated: Catalog) -> None:
    lost = [
        m.id for m in messages(translated) if not m.context and set(FIELD.findall(m.id)) - set(FIELD.findall(m.string))
    ]

    assert lost == []


def test_names_of_commands_are_what_discord_accepts(translated: Catalog) -> None:
    names = [message.string for message in messages(translated) if message.context == "name"]

    assert names
    assert [name for name in names if not DISCORD_NAME.fullmatch(name) or name != name.lower()] == []


def test_descriptions_are_no_longer_than_discord_allows(translated: Catalog) -> None:
    assert [m.id for m in messages(translated) if m.context == "description" and len(m.string) > 100] == []


def test_the_compiled_catalogue_is_the_translated_one(translated: Catalog) -> None:
    compiled = catalogue(translated.locale_identifier or "")

    def is_stale(message: Message) -> bool:
        said = compiled.pgettext(message.context, message.id) if message.context else compiled.gettext(message.id)
        return bool(message.string) and said != message.string

    assert [message.id for message in messages(translated) if is_stale(message)] == [], ADVICE
