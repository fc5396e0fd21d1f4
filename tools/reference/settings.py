"""Write the page of the settings: from the model that reads them, and what `.env.example` says of each."""

import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from roas.configuration.settings import SECRET_FIELDS, Settings
from roas.configuration.tables import EnvironmentSettings, NotifySettings, SourceSettings
from tools.reference.example_env import Explained, explained
from tools.reference.markdown import code, plain, table

HEAD = """# Settings

These are the names of the variables, in the environment or in `.env`. [Configuration](../configuration.md) says which
source wins, and how the same settings are written in `roas.toml`.

A secret may stand in a file instead. {files} each name such a file.
"""
ENVIRONMENT_HEAD = """## One environment

`ENVIRONMENTS__<NAME>__<WHAT>` says what is different about one environment. Whatever is left out follows the
convention.
"""
SOURCE_HEAD = """## One source

`[sources.NAME]` in `roas.toml` says who may offer versions; [Connect your CI](../how-to/connect-ci.md) shows how.
"""
TARGET_HEAD = """## One target

`[notify.NAME]` in `roas.toml` says who is told outside of Discord;
[Tell people outside of Discord](../how-to/notify.md) shows how.
"""
STACK_HEAD = """## The shipped stack

The bot itself does not read these. `docker-compose.yml` and the image do.
"""
TYPES = {
    bool: "yes or no (`true`, `false`)",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "secret",
    frozenset: "ids, separated by commas or spaces",
    tuple: "names, separated by commas or spaces",
    dict: "JSON object",
}
BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def page() -> str:
    """Return the page."""
    from_example = explained()
    files = ", ".join(code(f"{name.upper()}_FILE") for name in SECRET_FIELDS)
    parts = [HEAD.format(files=files)]
    for heading, fields in _by_heading(Settings.model_fields, from_example).items():
        parts += [f"## {heading}\n", _table(fields, from_example)]
    parts += [ENVIRONMENT_HEAD, _environment_table()]
    sources = ((code(n), _value(f), plain(f.description or "")) for n, f in SourceSettings.model_fields.items())
    parts += [SOURCE_HEAD, table(("key", "value", "what it is"), sources)]
    targets = ((code(n), _value(f), plain(f.description or "")) for n, f in NotifySettings.model_fields.items())
    parts += [TARGET_HEAD, table(("key", "value", "what it is"), targets)]
    known = {name.upper() for name in Settings.model_fields}
    rest = [item for item in from_example.values() if item.name not in known]
    shipped = [(code(message.name), code(message.shown), plain(message.text)) for message in rest]
    return "\n".join([*parts, STACK_HEAD, table(("variable", "shown as", "what it is"), shipped)])


def _by_heading(
    fields: Mapping[str, FieldInfo], from_example: Mapping[str, Explained]
) -> dict[str, dict[str, FieldInfo]]:
    """Sort the fields under the headings of the example, in its order; what it does not name comes last."""
    found: dict[str, dict[str, FieldInfo]] = {}
    order = {name: place for place, name in enumerate(from_example)}
    for name in sorted(fields, key=lambda name: order.get(name.upper(), len(order))):
        example = from_example.get(name.upper())
        found.setdefault((example and example.heading) or "General", {})[name] = fields[name]
    return found


def _table(fields: Mapping[str, FieldInfo], from_example: Mapping[str, Explained]) -> str:
    rows = ((code(n.upper()), _value(f), _default(f), plain(_text(n, f, from_example))) for n, f in fields.items())
    return table(("setting", "value", "default", "what it is"), rows)


def _environment_table() -> str:
    fields = EnvironmentSettings.model_fields
    rows = ((code(n.upper()), _value(f), plain(f.description or "")) for n, f in fields.items())
    return table(("what", "value", "what it is"), rows)


def _text(name: str, field: FieldInfo, from_example: Mapping[str, Explained]) -> str:
    """Return what is said of a setting; where the example ends with a colon, what it shows belongs to it."""
    example = from_example.get(name.upper())
    if example is None:
        return field.description or ""
    return f"{example.text} {code(example.shown)}" if example.text.endswith(":") else example.text


def _value(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(map(code, get_args(field.annotation)))
    kind = next(kind_type for kind_type in _kinds(field.annotation) if kind_type is not types.NoneType)
    bounds = [f"{word} {value:g}" for name, word in BOUNDS.items() if (value := _limit(field, name)) is not None]
    pattern = next((m.pattern for m in field.metadata if getattr(m, "pattern", None)), "")
    return ", ".join([TYPES.get(kind, kind.__name__), *bounds, *([f"must match {code(pattern)}"] if pattern else [])])


def _kinds(annotation: Any) -> Iterable[type]:
    if get_origin(annotation) in (Union, types.UnionType):
        for item in get_args(annotation):
            yield from _kinds(item)
    else:
        yield get_origin(annotation) or annotation


def _limit(field: FieldInfo, name: str) -> float | None:
    return next((getattr(m, name) for m in field.metadata if getattr(m, name, None) is not None), None)


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if default is None or default in ((), {}, frozenset()):
        return ""
    if isinstance(default, bool):
        return code(str(default).lower())
    return code(",".join(default) if isinstance(default, tuple) else default)
