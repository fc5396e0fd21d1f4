"""Read a gettext catalogue, and render what the core said by it."""

import gettext
from pathlib import Path

from roas.messages.message import Field, Message, filled

CONTEXT_END = "\x04"
SENTENCE, WORD = "sentence", "word"


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
