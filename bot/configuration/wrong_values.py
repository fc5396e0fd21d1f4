"""Say in plain words what pydantic finds wrong with values, without the values: they may be secret."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from roas.messages.message import counted
from roas.models.environment import ENGINE_ADDRESS, REPOSITORY_ADDRESS

ValuePath = tuple[int | str, ...]
Limits = Mapping[str, Any]

MOST_EXPLAINED = 3
WHOLE_NUMBER, NUMBER, YES_OR_NO = "must be a whole number", "must be a number", "must be true or false"
TEXT, LIST, TABLE = "must be text in quotes", "must be a list", "must be a table of keys and values"
TIME = "must be a time with its zone, such as 2026-01-31T12:00:00Z"

# What each kind of error means to somebody who wrote the value; https://docs.pydantic.dev lists the kinds.
MEANINGS: Mapping[str, str] = {
    "missing": "is missing",
    "int_type": WHOLE_NUMBER,
    "int_parsing": WHOLE_NUMBER,
    "int_parsing_size": WHOLE_NUMBER,
    "int_from_float": WHOLE_NUMBER,
    "float_type": NUMBER,
    "float_parsing": NUMBER,
    "finite_number": NUMBER,
    "bool_type": YES_OR_NO,
    "bool_parsing": YES_OR_NO,
    "string_type": TEXT,
    "string_unicode": TEXT,
    "path_type": "must be a path in quotes",
    "tuple_type": LIST,
    "list_type": LIST,
    "set_type": LIST,
    "frozen_set_type": LIST,
    "dict_type": TABLE,
    "mapping_type": TABLE,
    "model_type": TABLE,
    "model_attributes_type": TABLE,
    "extra_forbidden": "there is no such key",
    "datetime_type": TIME,
    "datetime_parsing": TIME,
    "datetime_from_date_parsing": TIME,
    "timezone_aware": TIME,
    "json_invalid": "is not JSON",
}
# What the patterns of our own fields mean; a test fails for a pattern that is not here.
PATTERNS: Mapping[str, str] = {
    r"^https?://": "must begin with http:// or https://",
    r"^wss?://": "must begin with ws:// or wss://",
    ENGINE_ADDRESS: (
        "must be unix:// with the whole path of a socket, 107 characters at most, or begin with tcp://, or be ssh:// "
        "with a user and a host, without a password"
    ),
    r"^[a-z0-9_-]{1,32}$": "must be 1 to 32 lower-case letters, digits, - and _",
    r"^[a-z0-9][a-z0-9_-]{0,31}$": "must be 1 to 32 lower-case letters, digits, - and _, a letter or digit first",
    r"^[a-z0-9][a-z0-9_-]{0,62}$": "must be 1 to 63 lower-case letters, digits, - and _, a letter or digit first",
    r"^[a-z0-9][a-z0-9._-]{0,62}$": "must be 1 to 63 lower-case letters, digits, ., - and _, a letter or digit first",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "must be the name of a variable: letters, digits and _, no digit first",
    r"^([0-9]{1,6}[mhd])+$": "must be in minutes, hours or days, such as 30m, 2h or 1d",
    r"^[0-9]{1,3}[sm]$": "must be in seconds or minutes, such as 30s or 2m",
    r"(?i)^(DEBUG|INFO|WARNING|ERROR)$": "must be DEBUG, INFO, WARNING or ERROR",
    r"^(auto|json|console)$": "must be auto, json or console",
    r"^sha256:[0-9a-f]{64}$": "must be what `roas remote token` prints: sha256: and 64 digits",
    r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$": "must be a repository, such as acme/shop",
    r"^(https://[^\s?#]+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?(/[^\s?#]*)?)$": "must begin with https://",
    REPOSITORY_ADDRESS: "must be the address of a repository, by https or ssh, without a password",
    r"^[^-\s][^\s]*$": "must be a repository of restic, such as sftp:user@host:/srv/backups",
    r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$": "must be the name of a branch or tag",
    r"^[\w./-]*$": "must be a path in the repository: letters, digits, _, -, . and /",
}
# The same for kinds that have a limit.
LIMITED: Mapping[str, Callable[[Limits], str]] = {
    "greater_than": lambda limits: f"must be more than {limits['gt']:g}",
    "greater_than_equal": lambda limits: f"must be at least {limits['ge']:g}",
    "less_than": lambda limits: f"must be less than {limits['lt']:g}",
    "less_than_equal": lambda limits: f"must be at most {limits['le']:g}",
    "literal_error": lambda limits: f"must be {limits['expected'].replace(chr(39), '')}",
    "enum": lambda limits: f"must be {limits['expected'].replace(chr(39), '')}",
    "string_pattern_mismatch": lambda limits: PATTERNS.get(limits["pattern"], "has the wrong form"),
    "string_too_short": lambda limits: _length(limits["min_length"], "least", "character"),
    "string_too_long": lambda limits: _length(limits["max_length"], "most", "character"),
    "too_short": lambda limits: _length(limits["min_length"], "least", "entry", "entries"),
    "too_long": lambda limits: _length(limits["max_length"], "most", "entry", "entries"),
}


def wrong_values(error: ValidationError) -> list[tuple[ValuePath, str]]:
    """Return the path of each wrong value, once, and what it must be.

    Where an entry is wrong, what has it is not: that it fits no other of several types says nothing.
    """
    found: dict[ValuePath, list[str]] = {}
    for detail in error.errors(include_input=False, include_url=False):
        texts = found.setdefault(_place(detail["loc"]), [])
        if (text := _meaning(detail)) not in texts:
            texts.append(text)
    around = {path[:length] for path in found for length in range(len(path))}
    return [(path, ", or ".join(texts)) for path, texts in found.items() if path not in around]


def explain_body(error: ValidationError) -> str:
    """Describe what is wrong with a body that was sent, without repeating what is in it."""
    faults = wrong_values(error)[:MOST_EXPLAINED]
    return "; ".join(f"{'.'.join(map(str, path)) or 'body'}: {text}" for path, text in faults)[:500]


def _meaning(fault: ErrorDetails) -> str:
    limits = fault.get("ctx", {})
    if (limited := LIMITED.get(fault["type"])) is not None:
        return limited(limits)
    return MEANINGS.get(fault["type"]) or fault["msg"].removeprefix("Value error, ")


def _place(location: ValuePath) -> ValuePath:
    """Leave out what pydantic adds: the type of several that was tried, and that an entry's name is what is wrong."""
    return tuple(part for part in location if not (isinstance(part, str) and part.endswith("]") and "[" in part))


def _length(count: int, bound: str, noun: str, plural: str = "") -> str:
    return f"must have at {bound} {counted(count, noun, plural)}"
