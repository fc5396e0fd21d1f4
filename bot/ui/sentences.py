"""Recognise a finished sentence by the template that it was made from, and make it again in another language."""

import re
from dataclasses import dataclass, field

FIELD = re.compile(r"\{([a-z_][a-z0-9_]*)\}")


@dataclass(frozen=True)
class Template:
    """Hold a sentence with `{fields}`, and its translation."""

    english: str
    translated: str
    _parts: tuple[str, ...] = field(init=False)
    _names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        pieces = FIELD.split(self.english)
        object.__setattr__(self, "_parts", tuple(pieces[::2]))
        object.__setattr__(self, "_names", tuple(pieces[1::2]))

    @property
    def weight(self) -> int:
        """Return the number of fixed characters of a template: of two that match, the longer one is meant."""
        return sum(len(part) for part in self._parts)

    def match(self, text: str) -> dict[str, str] | None:
        """Return the values in the fields of a sentence; None where it is another sentence.

        Parts are looked for from left to right, the last one at the end: no text costs more than its length.
        """
        first, *between = self._parts
        if not text.startswith(first):
            return None
        if not between:
            return {} if text == first else None
        last = between.pop()
        end = len(text) - len(last)
        if end < len(first) or not text.endswith(last):
            return None
        return self._fields(text, len(first), between, end)

    def _fields(self, text: str, position: int, between: list[str], end: int) -> dict[str, str] | None:
        values = []
        for part in between:
            found = text.find(part, position, end)
            if found < 0:
                return None
            values.append(text[position:found])
            position = found + len(part)
        return dict(zip(self._names, [*values, text[position:end]], strict=True))

    def say(self, fields: dict[str, str]) -> str:
        """Return the translated sentence with its fields filled in."""
        return FIELD.sub(lambda found: fields.get(found[1], found[0]), self.translated)
