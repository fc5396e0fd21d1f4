"""Hide secrets in the documents of the journal: in what they say in words, never in what records are found by.

Whoever commits to a stack chooses what counts as a secret there. If an id, a name or a digest could be hidden, one
stack's password would break the records of all others.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from roas.messages.stored import MESSAGES, hidden_forms
from roas.redaction import hide
from roas.state.documents import to_json

# The fields that hold words of people, of programs or of other systems; whatever is within them counts as such.
WORDS = frozenset(
    {
        "actions",
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
FOUND_BY = frozenset({"alert_id", "deployment", "deployment_id", "environment", "release", "service", "restored_from"})


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
        return [_in_value(one, redact, is_text=is_text) for one in value]
    return redact(value) if is_text and isinstance(value, str) else value
