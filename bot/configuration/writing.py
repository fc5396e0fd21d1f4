"""Add an environment to `roas.toml` without touching anything else that stands in it."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from roas.errors import SettingsError

Value = str | Sequence[str] | Mapping[str, str]
Values = Mapping[str, Value]
HEAD = "# Written by `roas init`. The documentation of the settings explains each key.\n"
NAMES, ALLOW = ("stack", "environment_names"), ("policy", "allow")


def with_environment(
    text: str, name: str, values: Values, *, names: Sequence[str], allow: Sequence[str], path: Path
) -> str:
    """Return the text of the file with an environment added; the same text where it says all of that already.

    `names` are all environments that there are then, `allow` what the policy allows. Raises SettingsError where the
    file says something else of the environment, or is not understood.
    """
    document = _parsed(text, path)
    known = (document.get("environments") or {}).get(name)
    plain = {key: value if isinstance(value, str | Mapping) else list(value) for key, value in values.items()}
    if known is not None and (wrong := sorted(key for key in plain if known.get(key, plain[key]) != plain[key])):
        raise SettingsError(
            f"{path} says something else of the environment {name}: {', '.join(wrong)}.",
            hint="Nothing was changed. Correct it, or take the table away and run the command again:\n"
            + _table(name, {key: values[key] for key in wrong}),
        )
    missing = {key: value for key, value in values.items() if known is None or key not in known}
    changed = text or HEAD
    for place, wanted in ((NAMES, names), (ALLOW, allow)):
        if list(wanted) != _value(document, place) and wanted:
            changed = _with_list(changed, place, wanted)
    if known is None:
        changed = f"{changed.rstrip()}\n\n{_table(name, missing)}"
    elif missing:
        changed = _below_header(changed, f"environments.{name}", _lines(missing))
    _check(changed, document, name, plain, {NAMES: list(names), ALLOW: list(allow)}, path)
    return changed


def _check(
    changed: str,
    before: Mapping[str, Any],
    name: str,
    values: Mapping[str, Any],
    lists: Mapping[tuple[str, str], list[str]],
    path: Path,
) -> None:
    """Raise SettingsError where the new text says anything but the old one and what is added."""
    expected: dict[str, Any] = {key: dict(value) if isinstance(value, dict) else value for key, value in before.items()}
    for (table, key), wanted in lists.items():
        if wanted:
            expected.setdefault(table, {})[key] = wanted
    environments = dict(expected.get("environments") or {})
    expected["environments"] = environments | {name: {**values, **environments.get(name, {})}}
    try:
        is_expected = tomllib.loads(changed) == expected
    except tomllib.TOMLDecodeError:
        is_expected = False
    if not is_expected:
        raise SettingsError(
            f"{path} is written in a way that this command does not change.",
            hint=f"Nothing was changed. Add this yourself:\n{_table(name, values)}"
            + "".join(f"[{table}]\n{_lines({key: wanted})}" for (table, key), wanted in lists.items() if wanted),
        )


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is no TOML: {error}.", hint="Correct it first.") from error


def _value(document: Mapping[str, Any], place: tuple[str, str]) -> Any:
    table = document.get(place[0])
    return table.get(place[1]) if isinstance(table, Mapping) else None


def _with_list(text: str, place: tuple[str, str], wanted: Sequence[str]) -> str:
    """Replace a list of texts in its table, or add it."""
    table, key = place
    header = re.search(rf"^\[{table}\][^\n]*\n", text, re.MULTILINE)
    if header is None:
        return f"{text.rstrip()}\n\n[{table}]\n{_lines({key: wanted})}"
    following = re.search(r"^\[", text[header.end() :], re.MULTILINE)
    end = header.end() + following.start() if following else len(text)
    written = re.compile(rf"^{key}\s*=\s*\[(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|#[^\n]*|[^\]\"'#])*\]", re.MULTILINE)
    found = written.search(text, header.end(), end)
    if found is None:
        return _below_header(text, table, _lines({key: wanted}))
    return text[: found.start()] + _lines({key: wanted}).rstrip("\n") + text[found.end() :]


def _below_header(text: str, table: str, lines: str) -> str:
    header = re.compile(rf"^(\[{re.escape(table)}\][^\n]*\n)", re.MULTILINE)
    return header.sub(lambda found: found.group() + lines, text, count=1)


def _table(name: str, values: Values) -> str:
    return f"[environments.{name}]\n{_lines(values)}"


def _lines(values: Values) -> str:
    return "".join(f"{key} = {_written(value)}\n" for key, value in values.items())


def _written(value: Value) -> str:
    """Write a text, or a list or a table of them; what JSON escapes TOML reads alike."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_written(item)}' for key, item in value.items())} }}"
    short = ", ".join(map(_written, value))
    return f"[{short}]" if len(short) < 80 else "[\n" + "".join(f"  {_written(item)},\n" for item in value) + "]"
