"""Show the settings to people: what is in force, what is misspelt, and what `roas.toml` may say, as a JSON schema."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BaseModel, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python
from pydantic_settings import BaseSettings

from roas.configuration import ENV_FILE
from roas.configuration.file import FILE_SUFFIX, TABLES, Key, holds, keys_of, named_tables
from roas.configuration.reading import Reading
from roas.configuration.sources import PREFIX, SettingFault, SettingPath, SettingPlace, variable
from roas.redaction import HIDDEN, Redactor, is_credential

DEFAULT = "default"
# So much of a name has to be the same; of REDIS_IMAGE and REDIS_URL, which are both meant, it is less.
ALIKE = 0.9
DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


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


def _values(settings: BaseSettings) -> Iterator[tuple[SettingPath, Any]]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name in named_tables(type(settings)):
            yield from _of_names(name, value)
        else:
            yield (name,), value


def _of_names(table: str, tables: Mapping[str, BaseModel]) -> Iterator[tuple[SettingPath, Any]]:
    for name, own in tables.items():
        for key in type(own).model_fields:
            value = getattr(own, key)
            if isinstance(value, dict):
                yield from (((table, name, key, part), value[part]) for part in value)
            elif value is not None:
                yield (table, name, key), value


def _line(reading: Reading[Any], path: SettingPath, value: Any, redactor: Redactor) -> Line:
    place = reading.origin(path)
    is_secret = isinstance(value, SecretStr) or (value is not None and is_credential(str(path[-1])))
    shown = HIDDEN if is_secret else _clean(value, redactor)
    if place is None:
        return Line(variable(path), shown, DEFAULT)
    return Line(variable(path), shown, place.source, place.name)


def _clean(value: Any, redactor: Redactor) -> Any:
    plain = to_jsonable_python(sorted(value) if isinstance(value, frozenset) else value)
    if isinstance(plain, list):
        return [_clean(item, redactor) for item in plain]
    return redactor.redact(plain) if isinstance(plain, str) else plain


def misspelt(settings_class: type[BaseSettings], said: Iterable[SettingPlace]) -> Iterator[SettingFault]:
    """Yield the variables that nothing reads, and that are nearly called as a setting is."""
    known = {name.upper() for name in settings_class.model_fields}
    for place in said:
        name = place.name.removeprefix(PREFIX).partition("__")[0]
        if place.name == ENV_FILE or name in known or name.removesuffix(FILE_SUFFIX.upper()) in known:
            continue
        if close := get_close_matches(name, known, n=1, cutoff=ALIKE):
            yield SettingFault(place, f"is no setting; did you mean {close[0]}?")


def schema_of(settings_class: type[BaseSettings]) -> Schema:
    """Return the schema of the whole file."""
    tables = {
        name: _table(TABLES[name], {key: _key(known) for key, known in keys.items()})
        for name, keys in keys_of(settings_class).items()
    }
    for table, fields in named_tables(settings_class).items():
        about = settings_class.model_fields[table].description or ""
        keys = {name: _field(field) for name, field in fields.items() if not holds(field, SecretStr)}
        each = _table(about, keys)
        tables[table] = {"description": about, "type": "object", "additionalProperties": each}
    return {"$schema": DIALECT, "title": "roas.toml", **_table("The settings of ROAS Bot.", tables)}


def _table(about: str, properties: Mapping[str, Schema]) -> Schema:
    return {"description": about, "type": "object", "additionalProperties": False, "properties": dict(properties)}


def _key(key: Key) -> Schema:
    if key.names_file:
        about = f"A file that holds this and nothing else: {key.field.description}"
        return {"type": "string", "minLength": 1, "description": about}
    return _field(key.field)


def _field(field: FieldInfo) -> Schema:
    """Return what a value may be; TOML has no `null`, so that what is not there is left out instead."""
    annotated: Any = field.annotation
    for part in field.metadata:
        annotated = Annotated[annotated, part]
    described = _without_null(TypeAdapter(annotated).json_schema())
    for name in ("title", "default", "writeOnly"):
        described.pop(name, None)
    if described.get("format") in {"path", "password"}:  # a text like any other
        del described["format"]
    if isinstance(field.json_schema_extra, dict) and (choices := field.json_schema_extra.get("choices")):
        described.pop("pattern", None)
        described["enum"] = choices
    default = field.get_default(call_default_factory=True)
    if default not in (None, PydanticUndefined):
        described["default"] = to_jsonable_python(default)
    return {"description": field.description, **described}


def _without_null(schema: Schema) -> Schema:
    options = [item for item in schema.get("anyOf", ()) if item.get("type") != "null"]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**rest, **options[0]} if len(options) == 1 else schema
