"""Redact secrets before a text is drawn, since escaping would hide them from the search."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar

from roas.messages.message import hide_in

Data = TypeVar("Data")
Redact = Callable[[str], str]


def without_secrets(data: Data, redact: Redact) -> Data:
    """Return plain data with every text in it redacted."""
    clean: Data = _clean(data, redact)
    return clean


def _clean(value: Any, redact: Redact) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return hide_in(value, redact)
    if isinstance(value, tuple):
        return tuple(_clean(item, redact) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _clean(getattr(value, f.name), redact) for f in fields(value) if f.init})
    return value
