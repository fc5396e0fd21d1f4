"""Hold what the core says: a key, which is the English template, and the fields that are filled into it.

A message is a text: whatever takes one (a log, an error, a column, a terminal) goes on as it is. Where it stays whole
it can be rendered in another language. Cut, joined or put into an f-string it is plain English.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import PurePath
from types import MappingProxyType

Field = str | int | float
# What has one obvious text; anything else would show people how it is programmed.
Sayable = Field | PurePath | Exception | None
FIELD = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_NONE: Mapping[str, Field] = MappingProxyType({})


class Message(str):
    """Be the English text of `key` with its `fields` filled in; a field may be a message, too."""

    __slots__ = ("fields", "key")
    key: str
    fields: Mapping[str, Field]

    def __new__(cls, key: str, fields: Mapping[str, Field] = _NONE) -> "Message":
        """Fill the fields in."""
        made = super().__new__(cls, filled(key, fields))
        object.__setattr__(made, "key", key)
        object.__setattr__(made, "fields", MappingProxyType(dict(fields)))
        return made

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: the text would say something else than its key."""
        raise AttributeError(f"A message never changes: {name}")

    def __reduce__(self) -> tuple[type["Message"], tuple[str, dict[str, Field]]]:
        """Copy it by what it is made of."""
        return Message, (self.key, dict(self.fields))

    def hidden(self, redact: Callable[[str], str], whole: Callable[[str], str] | None = None) -> str:
        """Return it with each field redacted.

        What counts as a secret only together with the words around it is found in the whole text alone; then the whole
        text is what is left, without key and fields.
        """
        text = (whole or redact)(str(self))
        clean = self._with(redact)
        return clean if clean == text else text

    def _with(self, redact: Callable[[str], str]) -> "Message":
        return Message(self.key, {name: _redacted(value, redact) for name, value in self.fields.items()})


def _redacted(value: Field, redact: Callable[[str], str]) -> Field:
    if isinstance(value, Message):
        return value._with(redact)
    return redact(value) if isinstance(value, str) else value


def hide_in(text: str, redact: Callable[[str], str]) -> str:
    """Return a text without secrets, which stays a message where it is one, whatever redacts it."""
    return text.hidden(redact) if isinstance(text, Message) else redact(text)


def filled(template: str, fields: Mapping[str, Field]) -> str:
    """Fill fields into a template in one pass, so that braces in a field are text; an unknown field stays."""
    if not fields:
        return template
    return FIELD.sub(lambda found: str(fields.get(found[1], found[0])), template)


def said(template: str, /, **fields: Sayable) -> Message:
    """Make a message. The template is a literal, always: the catalogues are made of these.

    A field is a number, a text or another message. Only what others said in words of their own, such as Docker, is a
    text of several words.
    """
    return Message(template, {name: _field(value) for name, value in fields.items()})


def joined(separator: str, parts: Iterable[str]) -> Message:
    """Say several things after each other."""
    found = dict(enumerate(parts, 1))
    template = separator.join(f"{{part{number}}}" for number in found)
    return Message(template, {f"part{number}": part for number, part in found.items()})


def _field(value: object) -> Field:
    match value:
        case Message():
            return value
        case StrEnum():
            return Message(value.value)  # a state, which has a word of its own in each language
        case Exception(args=(Message() as message,)):
            return message
    return value if type(value) in {int, float} else str(value)  # type: ignore[return-value] # mypy narrows no set
