"""Read `roas.toml` into settings by name, and note every fault that can be seen in it alone."""

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from roas.configuration.layout import (
    ENVIRONMENTS,
    FILE_SUFFIX,
    NAMED_TABLES,
    PATHS_OF_TABLE,
    TABLES,
    Key,
    key_of,
)
from roas.configuration.lines import KeyPath, lines_of
from roas.configuration.place import Fault, Place, dotted, variable
from roas.redaction import is_credential

BYTE_ORDER_MARK = "\ufeff"
AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")
AT_THE_END = " (at end of document)"


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """Hold the content of a file: `values` by the names of the settings, `lines` by the keys of the file."""

    path: Path
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    faults: tuple[Fault, ...] = ()
    lines: Mapping[KeyPath, int] = field(default_factory=dict, repr=False)

    def place(self, setting: KeyPath) -> Place:
        """Return where a setting, or a part of one, is said in the file."""
        name, *rest = setting
        known = (key_of(f"{name}{FILE_SUFFIX}"), key_of(str(name)))
        named = str(name) if name in NAMED_TABLES else ENVIRONMENTS
        key = next((key for key in known if key is not None and key in self.lines), (named,))
        return self.at((*key, *rest))

    def at(self, path: KeyPath) -> Place:
        """Return the place of a key, or of the nearest existing one around it."""
        return _place(self.path, self.lines, path)


def read_file(path: Path, named_keys: Mapping[str, Collection[str]]) -> ConfigurationFile:
    """Read a file; whatever is wrong with it is among the faults. Raises nothing."""
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        return _unreadable(path, f"cannot be read ({error.strerror})")
    except UnicodeDecodeError as error:
        return _unreadable(path, "is not UTF-8 text", line=error.object.count(b"\n", 0, error.start) + 1)
    text = text.removeprefix(BYTE_ORDER_MARK)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return _not_toml(path, text, str(error))
    reading = _Reading(path, lines_of(text), named_keys)
    reading.take(document)
    return ConfigurationFile(path, reading.values, tuple(reading.faults), reading.lines)


def _unreadable(path: Path, message: str, line: int | None = None) -> ConfigurationFile:
    return ConfigurationFile(path, faults=(Fault(Place("", str(path), line), message),))


def _not_toml(path: Path, text: str, message: str) -> ConfigurationFile:
    at = AT_LINE.search(message)
    line = int(at.group(1)) if at else text.rstrip().count("\n") + 1
    what = AT_LINE.sub("", message).removesuffix(AT_THE_END)
    return _unreadable(path, f"is not TOML: {what}", line)


def _place(path: Path, lines: Mapping[KeyPath, int], key: KeyPath) -> Place:
    around = (lines.get(key[:length]) for length in range(len(key), 0, -1))
    return Place(dotted(key), str(path), next((line for line in around if line is not None), None))


class _Reading:
    """Parse one document."""

    def __init__(self, path: Path, lines: Mapping[KeyPath, int], named_keys: Mapping[str, Collection[str]]) -> None:
        self.values: dict[str, Any] = {}
        self.faults: list[Fault] = []
        self.lines = lines
        self._path = path
        self._named_keys = named_keys

    def take(self, document: Mapping[str, Any]) -> None:
        """Read the keys of the layout; any other key is an error."""
        for table, content in document.items():
            if table in NAMED_TABLES:
                self._take_named(table, content)
            elif table not in TABLES:
                self._fault((table,), _no_table(table))
            elif not isinstance(content, dict):
                self._fault((table,), f"is a table: write [{table}]")
            else:
                self._take_table(table, content)

    def _take_table(self, table: str, content: Mapping[str, Any]) -> None:
        keys = TABLES[table].keys
        for name, value in content.items():
            if name in keys:
                self._take_value((table, name), keys[name], value)
            elif (beside := keys.get(f"{name}{FILE_SUFFIX}")) is not None and beside.secret:
                self._no_secrets((table, name))
            else:
                self._fault((table, name), f"there is no such key{_suggested(name, keys, in_table=table)}")

    def _take_value(self, path: KeyPath, key: Key, value: Any) -> None:
        if key.secret:
            self._take_secret(path, key.secret, value)
        elif key_of(f"{key.setting}{FILE_SUFFIX}") is not None and has_password(value):
            self._no_secrets(path)
        else:
            self.values.setdefault(key.setting, self._from_here(value) if key.is_path else value)

    def _take_secret(self, path: KeyPath, setting: str, named: Any) -> None:
        """Read the file that holds a secret."""
        if not isinstance(named, str):
            self._fault(path, "names a file")
            return
        if setting in self.values:
            self._fault(path, "is set beside the value itself; leave one of them out")
            return
        file = self._from_here(named)
        try:
            self.values[setting] = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "no text"
            self._fault(path, f"cannot be read ({why}: {file})")

    def _take_named(self, table: str, content: Any) -> None:
        if not isinstance(content, dict):
            self._fault((table,), f"holds tables: write [{table}.{'dev' if table == ENVIRONMENTS else 'shop'}]")
            return
        self.values[table] = {
            name: self._named(table, name, own) for name, own in content.items() if self._is_table((table, name), own)
        }

    def _is_table(self, path: KeyPath, value: Any) -> bool:
        if not isinstance(value, dict):
            self._fault(path, f"is a table: write [{dotted(path)}]")
        return isinstance(value, dict)

    def _named(self, table: str, name: str, own: Mapping[str, Any]) -> dict[str, Any]:
        taken, known = {}, self._named_keys[table]
        for key, value in own.items():
            path = (table, name, key)
            if key not in known:
                self._fault(path, f"there is no such key{_suggested(key, known)}")
                continue
            taken[key] = self._from_here(value) if key in PATHS_OF_TABLE[table] else value
            if table == ENVIRONMENTS and key == "variables" and isinstance(value, dict):
                taken[key] = {one: value[one] for one in value if not self._is_secret((*path, one))}
        return taken

    def _is_secret(self, path: KeyPath) -> bool:
        *_around, environment, _key, name = path
        if not is_credential(str(name)):
            return False
        text = f"a secret does not belong in this file: set {name} in .env.{environment} beside the compose file"
        self._fault(path, text)
        return True

    def _no_secrets(self, path: KeyPath) -> None:
        self._fault(
            path,
            f"a secret does not belong in this file: set {variable(path).replace('__', '_')} in the environment or in "
            f".env, or let {dotted(path)}{FILE_SUFFIX} name a file that holds it",
        )

    def _from_here(self, value: Any) -> Any:
        """Return a path from the folder of the file; what is no text is refused later, like any wrong type."""
        return self._path.parent / Path(value).expanduser() if isinstance(value, str) else value

    def _fault(self, path: KeyPath, message: str) -> None:
        self.faults.append(Fault(_place(self._path, self.lines, path), message))


def has_password(url: object) -> bool:
    """Return whether an address holds a password."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        return bool(parts.password or "password" in parse_qs(parts.query))
    except ValueError:  # what is no address is not shown either
        return True


def _no_table(name: str) -> str:
    """Suggest what to write instead of a top-level key: the name of a setting belongs in its table."""
    setting = name.lower()
    at = key_of(setting) or key_of(f"{setting}{FILE_SUFFIX}")
    if at is not None:
        return f"is written as {at[1]} in [{at[0]}]"
    return f"there is no such table{_suggested(name, [*TABLES, *NAMED_TABLES])}"


def _suggested(name: str, known: Iterable[str], in_table: str = "") -> str:
    """Suggest the key that was probably meant; it may be the name of the variable."""
    known = list(known)
    short = name.lower().removeprefix(f"{in_table}_") if in_table else name.lower()
    near = get_close_matches(short, known, n=1, cutoff=0.6)
    return f"; is {near[0]} meant?" if near else f"; there are {', '.join(sorted(known))}"
