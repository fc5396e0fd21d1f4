"""Pass every text that people read through one place, in the language of the one who reads it.

`_` translates what this package and the cogs say themselves. What the core says (faults, summaries, warnings) is a
`Message`: English with its key and fields, which `translate` renders in the reader's language.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from functools import cache
from pathlib import Path

from roas.ui.catalogue import Catalogue

ENGLISH = "en"
# Discord's name of a language -> ours.
LANGUAGES = {"zh-TW": "zh_TW"}
LOCALE_FOLDER = Path(__file__).parent / "locale"

_language: ContextVar[str] = ContextVar("language", default=ENGLISH)


def language_of(locale: object) -> str:
    """Return our language for one of Discord's; English where we have none."""
    return LANGUAGES.get(str(locale), ENGLISH)


@contextmanager
def using_locale(locale: object) -> Iterator[None]:
    """Use the language of one of Discord's locales within."""
    before = _language.set(language_of(locale))
    try:
        yield
    finally:
        _language.reset(before)


def language() -> str:
    """Return the current language."""
    return _language.get()


def _(text: str, **values: object) -> str:
    """Return a text in the reader's language with its `{placeholders}` filled in."""
    translated = _catalogue().gettext(text)
    return translated.format(**values) if values else translated


def word(member: StrEnum) -> str:
    """Return the word for a state, a phase or a step."""
    english = member.value.replace("_", " ")
    return _catalogue().pgettext("word", english)


def translate(text: str) -> str:
    """Return what the core said in the reader's language; a text without a key is shown as it is."""
    return _catalogue().rendered(text)


def template_of(key: str) -> str:
    """Return the template of what the core said in the reader's language."""
    return _catalogue().template(key)


def command_word(english: str, locale: object) -> str | None:
    """Return the name of a command or an option in one of Discord's locales; None where there is no other."""
    name = catalogue(language_of(locale)).pgettext("name", english)
    return name if name != english else None


def command_text(english: str, locale: object) -> str | None:
    """Return a description in one of Discord's locales; None where there is no other."""
    text = catalogue(language_of(locale)).pgettext("description", english)
    return text if text != english else None


def choice_word(english: str, locale: object) -> str | None:
    """Return the word for a state that people choose in one of Discord's locales; None where there is no other."""
    word = catalogue(language_of(locale)).pgettext("word", english)
    return word if word != english else None


@cache
def catalogue(language: str) -> Catalogue:
    """Return the catalogue of a language; English has none, since it is what is translated from."""
    path = LOCALE_FOLDER / language / "LC_MESSAGES" / "roas.mo"
    return Catalogue.read(path) if language != ENGLISH else Catalogue()


def read_catalogues() -> None:
    """Read every catalogue now: later there may be files of another version in their place."""
    for language in LANGUAGES.values():
        catalogue(language)


def _catalogue() -> Catalogue:
    return catalogue(_language.get())
