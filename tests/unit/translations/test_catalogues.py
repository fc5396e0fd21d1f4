"""Every text of the product has a translation, and what is compiled is what was translated."""

import re
from collections.abc import Iterator

import pytest
from babel.messages.catalog import Catalog, Message

from roas.ui.translation import LANGUAGES, LOCALE_FOLDER, catalogue
from tools.translations.__main__ import read_catalogue
from tools.translations.collecting import Entry, bare, collect

FIELD = re.compile(r"\{[a-z_0-9]+\}")
DISCORD_NAME = re.compile(r"[-_\w]{1,32}")
ADVICE = "Run script/translate, fill in the gaps in bot/ui/locale/*/LC_MESSAGES/roas.po, and run it again."


# Texts of the interface that are no words to a reader, or are English on purpose.
NOT_TRANSLATED = {
    "DeploymentCog | None": "a type",
    "This package is `roas.cogs`; the extension is `roas`.": "for who imports it, before there is a language",
    "journal lost": "the subject of a post, for the log",
    " · outcome": "a mark by which a message is found again",
    " · missed": "a mark by which a message is found again",
    " · details": "a mark by which a message is found again",
    " · escalation": "a mark by which a message is found again",
    "roll back": "the value of an action, which has a word of its own",
    "Missing Permissions": "Discord's own words, for the log",
}
# What is told to who writes the bot around the extension, and what is painted with a font of Latin letters only.
ENGLISH = (
    "cogs/application_cog.py",
    "cogs/command_sync.py",
    "cogs/loading.py",
    "bot/ui/chart.py",
)
# What is counted, in the plural.
COUNTABLE = (
    "alerts|attempts|bytes|changes|characters|checks|connections|containers|days|deployments|entries|environments|"
    "errors|events|failures|files|folders|hosts|hours|images|interactions|jobs|keys|lines|managers|messages|minutes|"
    "nodes|patterns|people|phases|points|releases|replicas|requests|restarts|rows|servers|services|settings|steps|"
    "tasks|times|tries|variables|versions|volumes|warnings|writes"
)
# A limit is more than one.
COUNT = re.compile(
    rf"(?<!more than )(?<!at most )(?<!At most )\{{[a-z_0-9]+\}} (?:(?!the |has |no )[a-z]+ ){{0,2}}(?:{COUNTABLE})\b"
    r"|\{plural\}|\w\(s\)(?!:)"
)
# Fields that are never one, and names that no count is.
NEVER_ONE = re.compile(
    r"\{(?:managers|replicas)\} (?:managers survive|replicas replaced)|takes |binds |sends |has unknown"
    r"|of \{count\} characters|\{count\} characters at most|sees its|The clocks of|is the state folder|and only one"
    r"|takes \{most\} characters"
)


@pytest.fixture(params=LANGUAGES.values(), scope="module")
def translated(request: pytest.FixtureRequest) -> Catalog:
    return read_catalogue(LOCALE_FOLDER / request.param / "LC_MESSAGES" / "roas.po", request.param)


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return collect()


def messages(translated: Catalog) -> Iterator[Message]:
    return (message for message in translated if message.id)


def test_source_texts_all_translated(translated: Catalog, entries: list[Entry]) -> None:
    def has_none(entry: Entry) -> bool:
        found = translated.get(entry.text, entry.context)
        return found is None or not found.string

    gaps = sorted({f"{entry.place}: {entry.text!r}" for entry in entries if has_none(entry)})

    assert gaps == [], ADVICE


def test_counts_say_what_is_one_in_the_singular(entries: list[Entry]) -> None:
    wrong = [entry.text for entry in entries if COUNT.search(entry.text) and not NEVER_ONE.search(entry.text)]

    assert wrong == [], "Write {count} {count|service|services}."


def test_interface_texts_all_translatable() -> None:
    past = [
        message for message in bare() if not message.place.startswith(ENGLISH) and message.text not in NOT_TRANSLATED
    ]

    assert past == [], "Put these into _(), or say above why they are not to be translated."


def test_translations_use_only_known_fields(translated: Catalog) -> None:
    wrong = [m.id for m in messages(translated) if not set(FIELD.findall(m.string)) <= set(FIELD.findall(m.id))]

    assert wrong == []


def test_translations_keep_all_fields(translated: Catalog) -> None:
    lost = [
        m.id for m in messages(translated) if not m.context and set(FIELD.findall(m.id)) - set(FIELD.findall(m.string))
    ]

    assert lost == []


def test_command_names_valid_for_discord(translated: Catalog) -> None:
    names = [message.string for message in messages(translated) if message.context == "name"]

    assert names
    assert [name for name in names if not DISCORD_NAME.fullmatch(name) or name != name.lower()] == []


def test_descriptions_within_discord_limit(translated: Catalog) -> None:
    assert [m.id for m in messages(translated) if m.context == "description" and len(m.string) > 100] == []


def test_compiled_catalogue_up_to_date(translated: Catalog) -> None:
    compiled = catalogue(translated.locale_identifier or "")

    def is_stale(message: Message) -> bool:
        said = compiled.pgettext(message.context, message.id) if message.context else compiled.gettext(message.id)
        return bool(message.string) and said != message.string

    assert [message.id for message in messages(translated) if is_stale(message)] == [], ADVICE
