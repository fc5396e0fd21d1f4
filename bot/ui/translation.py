"""Pass every text that people read through one place, in the language of the one who reads it.

`_` translates what this package and the cogs say themselves. What the core says (faults, summaries, warnings) is a
`Message`: English with its key and fields, which `translate` renders in the reader's language.
"""

import gettext
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from functools import cache
from pathlib import Path

from roas.messages.message import Field, Message, filled

CONTEXT_END = "\x04"
SENTENCE, WORD = "sentence", "word"
ENGLISH = "en"
# Discord's name of a language -> ours.
LANGUAGES = {"zh-TW": "zh_TW"}
LOCALE_FOLDER = Path(__file__).parent / "locale"


class Catalogue:
    """Translate by English text; whatever has no translation stays English."""

    def __init__(self, texts: dict[str, str] | None = None) -> None:
        self._texts = texts or {}

    @classmethod
    def read(cls, path: Path) -> "Catalogue":
        """Read a compiled catalogue."""
        with path.open("rb") as file:
            return cls(_Translations(file).texts)

    def gettext(self, english: str) -> str:
        """Return the translation of a text."""
        return self._texts.get(english, english) if english else ""

    def pgettext(self, context: str, english: str) -> str:
        """Return the translation of a text that means something else elsewhere."""
        return self._text(context, english) or english

    def rendered(self, text: str) -> str:
        """Return what the core said; a text without a key, or with one that is not known here, stays as it is."""
        if not isinstance(text, Message):
            return text
        return filled(self.template(text.key), {name: self._field(value) for name, value in text.fields.items()})

    def template(self, key: str) -> str:
        """Return the translation of a message's key."""
        return self._text(SENTENCE, key) or self._text(WORD, key.replace("_", " ")) or key

    def _text(self, context: str, english: str) -> str | None:
        return self._texts.get(f"{context}{CONTEXT_END}{english}")

    def _field(self, value: Field) -> Field:
        return self.rendered(value) if isinstance(value, str) else value


class _Translations(gettext.GNUTranslations):
    """Return what was read; gettext itself only looks up."""

    _catalog: dict[str | tuple[str, int], str]

    @property
    def texts(self) -> dict[str, str]:
        """Return every text with its translation, plural forms left out: we have none."""
        return {key: text for key, text in self._catalog.items() if isinstance(key, str) and key}


_language: ContextVar[str] = ContextVar("language", default=ENGLISH)


def language_of(locale: object) -> str:
    """Return our language for one of Discord's; English where we have none."""
    return LANGUAGES.get(str(locale), ENGLISH)


def terminal_locale(variables: Mapping[str, str]) -> str:
    """Return Discord's name of the language that a terminal asks for, by the first variable that gettext reads."""
    named = (variables.get(name) for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"))
    first = next((text for text in named if text), "")
    return first.partition(":")[0].partition(".")[0].replace("_", "-")


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
    return filled(_catalogue().gettext(text), values)


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
