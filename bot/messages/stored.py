"""Keep key and fields of the messages in a document beside their English text, under `messages`.

The texts stay where they are, so that a release that knows no messages reads and shows them. What is kept beside them
has the document's own shape, with nothing but what a message is made of:
`{"problem": {"message": "web failed.", …}, "messages": {"problem": {"message": {"key": "{service} failed.", …}}}}`.
It counts only where it says the very text that it stands beside: whoever changes a text need not know of it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar

from roas.messages.message import FIELD, Field, Message

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
        found = [messages_in(one) for one in value]
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
        return [hidden_forms(one, redact, depth - 1) for one in kept]
    if not isinstance(kept, dict):
        return None
    if not _is_form(kept):
        return {name: hidden_forms(one, redact, depth - 1) for name, one in kept.items()}
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
        return type(value)(_restored(one, beside, depth - 1) for one, beside in zip(value, kept, strict=True))
    if not isinstance(kept, dict):
        return value
    if isinstance(value, dict):
        return {name: _restored(one, kept.get(name), depth - 1) for name, one in value.items()}
    changed = {name: _restored(getattr(value, name), kept[name], depth - 1) for name in _names(value) if name in kept}
    return replace(value, **changed) if changed else value


def _message(form: Mapping[str, Any], longest: int, depth: int) -> Message | None:
    """Read a message that anybody may have written; None where it is none, or says more than it may."""
    key, given = form.get("key"), form.get("fields", {})
    if not isinstance(key, str) or not isinstance(given, dict) or depth == 0:
        return None
    fields: dict[str, Field] = {}
    for name, one in given.items():
        value = _message(one, longest, depth - 1) if isinstance(one, dict) else one
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        fields[name] = value
    # A field may stand in a key many times, and that one in another many times: counted before it is filled in.
    places = [name for name in FIELD.findall(key) if name in fields]
    length = len(key) + sum(len(str(fields[name])) - len(name) - 2 for name in places)
    return Message(key, fields) if length <= longest else None
