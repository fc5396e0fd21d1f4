"""Convert the plain data of `roas.models` to JSON documents and back; unknown keys of a newer version are ignored.

So are its unknown values, where the models say what they come closest to (`_missing_`). What messages are made of is
kept beside their English text (`roas.messages.message`).
"""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator
from pydantic_core import from_json as parsed
from pydantic_core.core_schema import CoreConfig

from roas.errors import UnreadableRowError
from roas.log import get_logger
from roas.messages.message import MESSAGES, hidden_forms, messages_in, said, with_messages
from roas.redaction import hide

log = get_logger(__name__)

Model = TypeVar("Model")


# At the end of an object; a text that looks like it has its quotes escaped.
_MARK = f',"{MESSAGES}":{{'
_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def _adapter(model: type) -> TypeAdapter[Any]:
    """Build an adapter once per class; building one costs milliseconds.

    pydantic would keep the last 16,384 texts that it read, of which ids and times come once: keys are enough.
    """
    if model not in _ADAPTERS:
        adapter: TypeAdapter[Any] = TypeAdapter(model)
        adapter.validator = SchemaValidator(adapter.core_schema, CoreConfig(cache_strings="keys"))
        _ADAPTERS[model] = adapter
    return _ADAPTERS[model]


def to_json(value: Any) -> str:
    """Return a dataclass as a JSON document."""
    document = _adapter(type(value)).dump_json(value).decode()
    kept = messages_in(value)
    if kept is None:
        return document
    beside = json.dumps({MESSAGES: kept}, ensure_ascii=False, separators=(",", ":"))
    return f"{document[:-1]},{beside[1:]}"


def from_json(model: type[Model], document: str) -> Model:
    """Read a JSON document as a dataclass."""
    result: Model = _adapter(model).validate_json(document)
    return with_messages(result, parsed(document, cache_strings="keys").get(MESSAGES)) if _MARK in document else result


def from_row(model: type[Model], document: str) -> Model:
    """Read what a row of the journal holds. Raises UnreadableRowError where only another version understands it."""
    try:
        return from_json(model, document)
    except ValidationError as error:
        where = ", ".join(sorted({".".join(map(str, fault["loc"])) for fault in error.errors()}))
        raise UnreadableRowError(
            said("This version cannot read a row of the journal ({name}): {where}.", name=model.__name__, where=where),
            hint=said("A newer version may have written it: deploy that one again."),
        ) from error


def readable(model: type[Model], documents: Iterable[str]) -> tuple[Model, ...]:
    """Read many rows; one that this version cannot read is skipped, and logged once."""
    found = []
    for document in documents:
        try:
            found.append(from_row(model, document))
        except UnreadableRowError as error:
            log_once(error.message, document)
    return tuple(found)


@lru_cache(maxsize=256)
def log_once(message: str, document: str) -> None:
    """Log once that a row is skipped; the journal is read repeatedly."""
    log.error("unreadable row skipped", error=message, begins=document[:80])


# The fields that hold words of people, of programs or of other systems; whatever is within them counts as such.
WORDS = frozenset(
    {
        "actions",
        "cancel_reason",
        "changed_keys",
        "detail",
        "hint",
        "message",
        "metadata",
        "new",
        "note",
        "old",
        "purpose",
        "reason",
        "reasons",
        "report",
        "summary",
        "title",
        "warnings",
    }
)
# Within them, too, these are ids and names.
FOUND_BY = frozenset({"alert_id", "deployment", "deployment_id", "environment", "release", "service"})


def hide_in_document(value: object, redact: Callable[[str], str]) -> object:
    """Return a parameter of a statement: a document without secrets, or whatever else it is as it is."""
    if not isinstance(value, str) or not value.startswith("{"):
        return value
    try:
        document = json.loads(value)
    except ValueError:
        return value
    beside = document.pop(MESSAGES, None)
    hidden = _in_mapping(document, redact, is_text=False)
    if beside is not None:
        document[MESSAGES], hidden[MESSAGES] = beside, hidden_forms(beside, redact)
    return value if hidden == document else json.dumps(hidden, ensure_ascii=False, separators=(",", ":"))


def hidden_json(value: Any) -> str:
    """Return a dataclass as a JSON document that may leave this process."""
    return str(hide_in_document(to_json(value), hide))


def _in_mapping(found: Mapping[str, Any], redact: Callable[[str], str], *, is_text: bool) -> dict[str, Any]:
    return {
        key: value if key in FOUND_BY else _in_value(value, redact, is_text=is_text or key in WORDS)
        for key, value in found.items()
    }


def _in_value(value: Any, redact: Callable[[str], str], *, is_text: bool) -> Any:
    if isinstance(value, dict):
        return _in_mapping(value, redact, is_text=is_text)
    if isinstance(value, list):
        return [_in_value(item, redact, is_text=is_text) for item in value]
    return redact(value) if is_text and isinstance(value, str) else value
