"""List what is in force: each setting, its value without secrets, and where it comes from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic_core import to_jsonable_python

from roas.configuration.layout import NAMED_TABLES
from roas.configuration.lines import KeyPath
from roas.configuration.place import variable
from roas.configuration.reading import Reading
from roas.redaction import HIDDEN, Redactor, is_credential

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Line:
    """Describe one setting: `name` is its variable, `key` what says it at `source`."""

    name: str
    value: Any
    source: str
    key: str = ""

    @property
    def shown(self) -> str:
        """Return the value for people."""
        if self.value is None:
            return ""
        if isinstance(self.value, list):
            return ", ".join(map(str, self.value))
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)

    @property
    def where(self) -> str:
        """Return the source for people: with what it is called there, unless that is the setting's own name."""
        return f"{self.source} ({self.key})" if self.key not in {"", self.name} else self.source


def overview(reading: Reading[Any]) -> list[Line]:
    """Return every setting, and of each environment what is said of it."""
    if reading.settings is None:
        return []
    redactor = Redactor(reading.settings.secrets)
    return [_line(reading, path, value, redactor) for path, value in _values(reading.settings)]


def _values(settings: BaseModel) -> Iterator[tuple[KeyPath, Any]]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name in NAMED_TABLES:
            yield from _of_named(name, value)
        else:
            yield (name,), value


def _of_named(table: str, tables: Mapping[str, BaseModel]) -> Iterator[tuple[KeyPath, Any]]:
    for name, own in tables.items():
        for key in type(own).model_fields:
            value = getattr(own, key)
            if isinstance(value, dict):
                yield from (((table, name, key, one), value[one]) for one in value)
            elif value is not None:
                yield (table, name, key), value


def _line(reading: Reading[Any], path: KeyPath, value: Any, redactor: Redactor) -> Line:
    place = reading.origin(path)
    is_secret = isinstance(value, SecretStr) or (value is not None and is_credential(str(path[-1])))
    shown = HIDDEN if is_secret else _clean(value, redactor)
    if place is None:
        return Line(variable(path), shown, DEFAULT)
    return Line(variable(path), shown, place.source, place.name)


def _clean(value: Any, redactor: Redactor) -> Any:
    plain = to_jsonable_python(sorted(value) if isinstance(value, frozenset) else value)
    if isinstance(plain, list):
        return [_clean(one, redactor) for one in plain]
    return redactor.redact(plain) if isinstance(plain, str) else plain
