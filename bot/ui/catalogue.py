"""Read a gettext catalogue, and recognise finished sentences by the template that they were made from."""

import gettext
from functools import lru_cache
from pathlib import Path

from roas.messages.message import Field, Message, filled
from roas.ui.sentences import Template

CONTEXT_END = "\x04"
SENTENCE = "sentence"
# A sentence may hold another one (a reason within a fault), and that one a third.
DEEPEST = 4
LONGEST = 4000


class Catalogue:
    """Translate by English text; whatever has no translation stays English."""

    def __init__(self, texts: dict[str, str] | None = None) -> None:
        self._texts = texts or {}
        prefix = SENTENCE + CONTEXT_END
        sentences = [(key.removeprefix(prefix), text) for key, text in self._texts.items() if key.startswith(prefix)]
        self._templates = sorted((Template(*pair) for pair in sentences), key=lambda one: -one.weight)
        self.recognised = lru_cache(maxsize=2048)(self._recognised)

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
        return self._texts.get(f"{context}{CONTEXT_END}{english}", english)

    def rendered(self, text: str) -> str:
        """Return what the core said; other words than its own stay as they are."""
        if not isinstance(text, Message):
            return self.recognised(text)
        fields = {name: self._field(value) for name, value in text.fields.items()}
        return filled(self.pgettext(SENTENCE, text.key), fields)

    def _field(self, value: Field) -> Field:
        return self.rendered(value) if isinstance(value, str) else value

    def _recognised(self, text: str) -> str:
        return "\n".join(self._line(line, DEEPEST) for line in text.split("\n")) if len(text) <= LONGEST else text

    def _line(self, text: str, depth: int) -> str:
        """Translate a sentence whole, else the sentences that it begins with, one after the other."""
        inner = text.strip()
        if depth == 0 or not any(char.isalpha() for char in inner):
            return text
        for template in self._templates:
            fields = template.match(inner)
            if fields is not None:
                return template.say({name: self._line(value, depth - 1) for name, value in fields.items()})
        head, full_stop, rest = text.partition(". ")
        if not full_stop:
            return text
        return f"{self._line(f'{head}.', depth - 1)} {self._line(rest, depth - 1)}"


class _Translations(gettext.GNUTranslations):
    """Return what was read; gettext itself only looks up."""

    _catalog: dict[str | tuple[str, int], str]

    @property
    def texts(self) -> dict[str, str]:
        """Return every text with its translation, plural forms left out: we have none."""
        return {key: text for key, text in self._catalog.items() if isinstance(key, str) and key}
