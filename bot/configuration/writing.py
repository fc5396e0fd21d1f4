"""Add an environment to `roas.toml` without touching anything else that stands in it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Item

from roas.errors import SettingsError

Value = str | Sequence[str] | Mapping[str, str]
HEAD = "# Written by `roas init`. The documentation of the settings explains each key.\n"
LONGEST_LINE = 80


def with_environment(
    text: str, name: str, values: Mapping[str, Value], *, names: Sequence[str], allow: Sequence[str], path: Path
) -> str:
    """Return the text of the file with an environment added; the same text where it says all of that already.

    `names` are all environments that there are then, `allow` what the policy allows. Raises SettingsError where the
    file says something else of the environment, or is not understood.
    """
    try:
        document = tomlkit.parse(text or HEAD)
    except TOMLKitError as error:
        raise SettingsError(f"{path} is no TOML: {error}.", hint="Correct it first.") from error
    for table, key, wanted in (("stack", "environment_names", names), ("policy", "allow", allow)):
        if wanted and (section := _table(document, table, path)).get(key) != list(wanted):
            section[key] = _item(wanted)
    known = _table(_table(document, "environments", path), name, path)
    is_new = not known
    items = {key: _item(value) for key, value in values.items()}
    if wrong := sorted(key for key, item in items.items() if key in known and known[key] != item):
        expected = tomlkit.dumps({"environments": {name: {key: items[key] for key in wrong}}})
        raise SettingsError(
            f"{path} says something else of the environment {name}: {', '.join(wrong)}.",
            hint=f"Nothing was changed. Correct it, or take the table away and run the command again:\n{expected}",
        )
    for key, item in items.items():
        if key not in known:
            known[key] = item
    if not is_new:
        return tomlkit.dumps(document)
    known.add(tomlkit.nl())  # before a table that comes after it
    return tomlkit.dumps(document).rstrip("\n") + "\n"


def _table(parent: Any, name: str, path: Path) -> Any:
    """Return a table of the file, made where there is none."""
    if name not in parent:
        parent[name] = tomlkit.table(is_super_table=name == "environments")
    if not isinstance(parent[name], Mapping):
        raise SettingsError(f"{path}: {name} is no table.", hint="Correct it first.")
    return parent[name]


def _item(value: Value) -> Item:
    """Write a text, or a list or a table of them."""
    if isinstance(value, str):
        return tomlkit.item(value)
    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        table.update(value)
        return table
    array = tomlkit.array()
    array.extend(value)
    return array.multiline(len(array.as_string()) > LONGEST_LINE)
