"""Describe `roas.toml` as a JSON schema, made from the settings themselves."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python
from pydantic_settings import BaseSettings

from roas.configuration.layout import (
    ABOUT_ENVIRONMENTS,
    ABOUT_SOURCES,
    ENVIRONMENT_KEYS,
    ENVIRONMENTS,
    SOURCE_KEYS,
    SOURCES,
    TABLES,
    Key,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def schema_of(settings_class: type[BaseSettings]) -> Schema:
    """Return the schema of the whole file."""
    fields = settings_class.model_fields
    tables = {
        name: _table(table.about, {key: _key(known, fields) for key, known in table.keys.items()})
        for name, table in TABLES.items()
    }
    for named, about, keys in (
        (ENVIRONMENTS, ABOUT_ENVIRONMENTS, ENVIRONMENT_KEYS),
        (SOURCES, ABOUT_SOURCES, SOURCE_KEYS),
    ):
        model = get_args(fields[named].annotation)[1]
        own = {name: _field(field, keys.get(name, "")) for name, field in model.model_fields.items()}
        tables[named] = {"description": about, "type": "object", "additionalProperties": _table(about, own)}
    return {"$schema": DIALECT, "title": "roas.toml", **_table("The settings of ROAS Bot.", tables)}


def _table(about: str, properties: Mapping[str, Schema]) -> Schema:
    return {"description": about, "type": "object", "additionalProperties": False, "properties": dict(properties)}


def _key(key: Key, fields: Mapping[str, FieldInfo]) -> Schema:
    if key.secret:
        return {"type": "string", "minLength": 1, "description": key.about}
    described = _field(fields[key.setting], key.about)
    if key.choices:
        described = {name: value for name, value in described.items() if name != "pattern"} | {"enum": [*key.choices]}
    return described


def _field(field: FieldInfo, about: str) -> Schema:
    """Return what a value may be; TOML has no `null`, so that what is not there is left out instead."""
    annotated: Any = field.annotation
    for part in field.metadata:
        annotated = Annotated[annotated, part]
    described = _without_null(TypeAdapter(annotated).json_schema())
    for name in ("title", "default", "writeOnly"):
        described.pop(name, None)
    if described.get("format") in {"path", "password"}:  # a text like any other
        del described["format"]
    default = field.get_default(call_default_factory=True)
    if default not in (None, PydanticUndefined):
        described["default"] = to_jsonable_python(default)
    return {"description": about, **described}


def _without_null(schema: Schema) -> Schema:
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**rest, **options[0]} if len(options) == 1 else schema
