"""Hold what the core says: a key, which is the English template, and the fields that are filled into it.

A message is a text: whatever takes one (a log, an error, a column, a terminal) goes on as it is. Where it stays whole
it can be rendered in another language. Cut, joined or put into an f-string it is plain English.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from enum import Enum, StrEnum
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, TypeVar

Field = str | int | float
# What has one obvious text; anything else would show people how it is programmed.
Sayable = Field | PurePath | Exception | None
FIELD = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
# A word by the count in a field: `{count} {count|service|services}`. English alone needs it.
COUNTED = re.compile(r"\{([a-z_][a-z0-9_]*)\|([^{|}]*)\|([^{|}]*)\}")
# Characters of format and control, of no meaning, and separators that are no space; and letters that show nothing.
UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
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


def filled(template: str, fields: Mapping[str, object]) -> str:
    """Fill fields into a template in one pass, so that braces in a field are text; an unknown field stays."""
    if not fields:
        return template
    return FIELD.sub(lambda found: str(fields.get(found[1], found[0])), worded(template, fields))


def worded(template: str, fields: Mapping[str, object]) -> str:
    """Put the words of a template into the singular or the plural, by the counts in its fields."""
    if "|" not in template:
        return template
    return COUNTED.sub(lambda found: found[2 if str(fields.get(found[1])) == "1" else 3], template)


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun, in English: `1 warning`, `2 warnings`."""
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"


def in_bytes(count: int) -> str:
    """Return a number of bytes as people read it, such as `1.5 GiB`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit in {"B", "KiB", "MiB"} else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def said(template: str, /, **fields: Sayable) -> Message:
    """Make a message. The template is a literal, always: the catalogues are made of these.

    A field is a number, a text or another message. Only what others said in words of their own, such as Docker, is a
    text of several words.
    """
    return Message(template, {name: _field(value) for name, value in fields.items()})


def number(value: float, decimals: int = 6) -> str:
    """Write a number with as many decimals as it needs, and never with an exponent."""
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


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


MESSAGES = "messages"
DEEPEST = 16
LONGEST = 1 << 20
# Nearly all of what is kept has nothing to look into.
PLAIN = frozenset({type(None), str, int, float, bool, datetime})
Data = TypeVar("Data")


def messages_in(value: Any) -> Any:
    """Return what is to be kept beside the texts of some data; None where it has no messages."""
    if type(value) in PLAIN:
        return None
    if isinstance(value, Message):
        return _form(value)
    if isinstance(value, str | int | float):
        return None
    if isinstance(value, list | tuple):
        found = [messages_in(item) for item in value]
        return found if any(found) else None
    parts = value if isinstance(value, dict) else {name: getattr(value, name) for name in _names(value)}
    kept = {name: form for name, part in parts.items() if (form := messages_in(part)) is not None}
    return kept or None


def with_messages(value: Data, kept: Any) -> Data:
    """Return data with its messages put in place of their texts, by what was kept beside them."""
    result: Data = _restored(value, kept, DEEPEST)
    return result


def hidden_forms(kept: Any, redact: Callable[[str], str], depth: int = DEEPEST) -> Any:
    """Return what is kept beside the texts without secrets; a message that has one in its own words is left out.

    So is what lies deeper than any message does.
    """
    if depth == 0:
        return None
    if isinstance(kept, list):
        return [hidden_forms(item, redact, depth - 1) for item in kept]
    if not isinstance(kept, dict):
        return None
    if not _is_form(kept):
        return {name: hidden_forms(item, redact, depth - 1) for name, item in kept.items()}
    message = _message(kept, LONGEST, DEEPEST)
    clean = message.hidden(redact) if message is not None else None
    return _form(clean) if isinstance(clean, Message) else None


def _form(message: Message) -> dict[str, Any]:
    fields = {name: _form(value) if isinstance(value, Message) else value for name, value in message.fields.items()}
    return {"key": message.key, "fields": fields} if fields else {"key": message.key}


def _is_form(kept: Mapping[str, Any]) -> bool:
    return isinstance(kept.get("key"), str)


def _names(kind: Any) -> Iterable[str]:
    return getattr(kind, "__dataclass_fields__", ())


def _restored(value: Any, kept: Any, depth: int) -> Any:
    if kept is None or depth == 0 or isinstance(value, Enum):
        return value
    if isinstance(value, str):
        message = _message(kept, len(value), depth) if isinstance(kept, dict) else None
        return message if message == value else value
    if isinstance(value, list | tuple) and isinstance(kept, list) and len(kept) == len(value):
        return type(value)(_restored(part, beside, depth - 1) for part, beside in zip(value, kept, strict=True))
    if not isinstance(kept, dict):
        return value
    if isinstance(value, dict):
        return {name: _restored(item, kept.get(name), depth - 1) for name, item in value.items()}
    changed = {name: _restored(getattr(value, name), kept[name], depth - 1) for name in _names(value) if name in kept}
    return replace(value, **changed) if changed else value


def _message(form: Mapping[str, Any], longest: int, depth: int) -> Message | None:
    """Read a message that anybody may have written; None where it is none, or says more than it may."""
    key, given = form.get("key"), form.get("fields", {})
    if not isinstance(key, str) or not isinstance(given, dict) or depth == 0:
        return None
    fields: dict[str, Field] = {}
    for name, item in given.items():
        value = _message(item, longest, depth - 1) if isinstance(item, dict) else item
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        fields[name] = value
    # A field may stand in a key many times, and that one in another many times: counted before it is filled in.
    words = worded(key, fields)
    places = [name for name in FIELD.findall(words) if name in fields]
    length = len(words) + sum(len(str(fields[name])) - len(name) - 2 for name in places)
    return Message(key, fields) if length <= longest else None


def visible(text: str) -> str:
    """Return a text in which every character can be seen: those of no width, or that turn it, are written out."""
    return "".join(rf"\u{{{ord(char):x}}}" if _is_unseen(char) else char for char in text)


def spelled(name: str) -> str:
    """Return a name in ASCII: a letter of another script looks like one that is expected there."""
    return visible(name).encode("ascii", "backslashreplace").decode()


def _is_unseen(char: str) -> bool:
    if char.isascii():
        return not char.isprintable()
    kind = unicodedata.category(char)
    return kind in UNSEEN or kind == "Zs" or BLANK.match(char) is not None
