"""Write one field of a compose file in the ways that YAML and Compose have for it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Written:
    """Hold a field as it is written, and what it needs at the top of its file."""

    field: str
    top: str = ""


# From the field's key, its value and a name that is free in the file.
Spelling = Callable[[str, Any, str], Written]


def _tag(value: Any) -> str:
    if isinstance(value, bool):
        return "!!bool"
    if isinstance(value, int | float):
        return "!!int" if isinstance(value, int) else "!!float"
    return "!!str" if isinstance(value, str) else "!!seq" if isinstance(value, list) else "!!map"


def flow(value: Any) -> str:
    """Write a value as JSON, which is YAML; a dollar sign is one."""
    return json.dumps(value).replace("$", "$$")


def _escaped(key: str) -> str:
    return "".join(f"\\x{ord(sign):02x}" for sign in key)


def _interpolated(value: Any) -> Any:
    """Have every text of a value come from the default of a variable that is not set."""
    if isinstance(value, str) and value and not set(value) & set('{}$\\"'):
        return f"${{UNSET_HERE:-{value}}}"
    if isinstance(value, list):
        return [_interpolated(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _interpolated(item) for key, item in value.items()}
    return value


def _twice(value: Any) -> Any:
    """Have the default of a variable be another variable with a default."""
    if isinstance(value, str) and value and not set(value) & set('{}$\\"'):
        return f"${{UNSET_HERE:-${{UNSET_TOO:-{value}}}}}"
    if isinstance(value, list):
        return [_twice(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _twice(item) for key, item in value.items()}
    return value


def _reversed(value: Any) -> str:
    """Write the fields of mappings in another order, with keys that are not quoted where they need not be."""
    if isinstance(value, Mapping):
        fields = (f"{key if str(key).isalpha() else json.dumps(key)}: {_reversed(item)}" for key, item in value.items())
        return "{" + ", ".join(list(fields)[::-1]) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_reversed, value)) + "]"
    return flow(value)


KEYS: Mapping[str, Callable[[str, str], str]] = {
    "plain": lambda key, name: f"{key}:",
    "quoted": lambda key, name: f'"{key}":',
    "single": lambda key, name: f"'{key}':",
    "escaped": lambda key, name: f'"{_escaped(key)}":',
    "tagged": lambda key, name: f"!!str {key}:",
    "explicit": lambda key, name: f"? {key}\n    :",
    "anchored": lambda key, name: f"&k{name} {key}:",
    "spaced": lambda key, name: f"{key}   :",
    "verbatim": lambda key, name: f"!<tag:yaml.org,2002:str> {key}:",
    "half escaped": lambda key, name: f'"\\x{ord(key[0]):02x}{key[1:]}":',
}
VALUES: Mapping[str, Callable[[Any, str], tuple[str, str]]] = {
    "flow": lambda value, name: (flow(value), ""),
    "tagged": lambda value, name: (f"{_tag(value)} {flow(value)}", ""),
    "anchored": lambda value, name: (f"&v{name} {flow(value)}", ""),
    "alias": lambda value, name: (f"*a{name}", f"x-a{name}: &a{name} {flow(value)}"),
    "override": lambda value, name: (f"!override {flow(value)}", ""),
    "interpolated": lambda value, name: (json.dumps(_interpolated(value)), ""),
    "nonspecific": lambda value, name: (f"! {flow(value)}" if isinstance(value, str) else flow(value), ""),
    "twice interpolated": lambda value, name: (json.dumps(_twice(value)), ""),
    "reversed": lambda value, name: (_reversed(value), ""),
    "several lines": lambda value, name: (json.dumps(value, indent=8).replace("$", "$$"), ""),
    "comment": lambda value, name: (f"{flow(value)} # harmless", ""),
}


def spellings() -> dict[str, Spelling]:
    """Return every spelling by its name; the first is the plain one."""
    found: dict[str, Spelling] = {}
    for key_name, write_key in KEYS.items():
        for value_name, write_value in VALUES.items():
            found[f"{key_name} key, {value_name} value"] = _combined(write_key, write_value)
    found["merged"] = lambda key, value, name: Written(f"<<: *a{name}", f"x-a{name}: &a{name} {{{key}: {flow(value)}}}")
    found["merged from a list"] = lambda key, value, name: Written(
        f"<<: [{{init: true}}, *a{name}]", f"x-a{name}: &a{name} {{{key}: {flow(value)}}}"
    )
    return found


def _combined(write_key: Callable[[str, str], str], write_value: Callable[[Any, str], tuple[str, str]]) -> Spelling:
    def write(key: str, value: Any, name: str) -> Written:
        text, top = write_value(value, name)
        return Written(f"{write_key(key, name)} {text}", top)

    return write
