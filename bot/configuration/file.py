"""Read `roas.toml`: a source of pydantic-settings whose tables and keys are those that the settings name."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, TomlConfigSettingsSource

from roas.configuration.sources import ENVIRONMENTS, PREFIX, SettingFault, SettingPath, SettingPlace, dotted, variable
from roas.redaction import is_credential

# What names a file that holds a secret, after the name of the secret.
FILE_SUFFIX = "_file"
BYTE_ORDER_MARK = "\ufeff"
TABLES: Mapping[str, str] = {
    "discord": "The server, the channel and the roles that the bot works with.",
    "stack": "What all environments have in common; each may differ in its own table.",
    "deployment": "How deployments are made.",
    "policy": "What compose files may ask for.",
    "state": "Where the bot keeps what it knows.",
    "http": "Where the bot serves /health, /ready, /metrics and /alerts.",
    "api": "Where the bot serves the API for CI jobs and the webhooks; without a port it does not.",
    "webhook": "Who may post alerts to the bot.",
    "redis": "The Redis that gets a copy of the state.",
    "prometheus": "The Prometheus that is asked for figures.",
    "log": "What is logged, and how it is written.",
}


@dataclass(frozen=True, slots=True)
class Key:
    """Describe one key of a table: the setting that it says; with `names_file` it names a file that holds a secret."""

    setting: str
    field: FieldInfo
    names_file: bool = False


def keys_of(settings_class: type[BaseSettings]) -> dict[str, dict[str, Key]]:
    """Return the keys of each table, made from what the fields say of themselves."""
    tables: dict[str, dict[str, Key]] = {name: {} for name in TABLES}
    for setting, field in settings_class.model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and "key" in extra:
            table, name = str(extra["table"]), str(extra["key"])
            is_secret = holds(field, SecretStr)
            if is_secret:
                tables[table][f"{name}{FILE_SUFFIX}"] = Key(setting, field, names_file=True)
            if not is_secret or extra.get("address"):
                tables[table][name] = Key(setting, field)
    return tables


def named_tables(settings_class: type[BaseSettings]) -> dict[str, Mapping[str, FieldInfo]]:
    """Return the settings that hold a table for each name, such as `environments`, with the keys of one of these."""
    found: dict[str, Mapping[str, FieldInfo]] = {}
    for setting, field in settings_class.model_fields.items():
        _key, model = get_args(field.annotation) if get_origin(field.annotation) is dict else (None, None)
        if isinstance(model, type) and issubclass(model, BaseModel):
            found[setting] = model.model_fields
    return found


def holds(field: FieldInfo, kind: type) -> bool:
    """Return whether the value of a setting is of a type."""
    return kind in {field.annotation, *get_args(field.annotation)}


class FileSource(TomlConfigSettingsSource):
    """Provide what the file says, by the names of the settings; whatever is wrong with it is among the faults."""

    def __init__(self, settings_class: type[BaseSettings], path: Path) -> None:
        self.faults: list[SettingFault] = []
        self._path = path
        self._keys = keys_of(settings_class)
        self._named = named_tables(settings_class)
        self._said: dict[str, SettingPath] = {}
        super().__init__(settings_class, path)

    @property
    def values(self) -> Mapping[str, Any]:
        """Return what the file says."""
        return self()

    def place(self, path: SettingPath) -> SettingPlace:
        """Return the key that says a setting, or a part of one."""
        name, *rest = path
        return SettingPlace(dotted((*self._said.get(str(name), (name,)), *rest)), str(self._path))

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        values: dict[str, Any] = {}
        try:
            document = tomllib.loads(Path(file_path).read_text(encoding="utf-8").removeprefix(BYTE_ORDER_MARK))
        except OSError as error:
            self._fault((), f"cannot be read ({error.strerror})")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            self._fault((), f"is not UTF-8 text (line {line})")
        except tomllib.TOMLDecodeError as error:
            self._fault((), f"is not TOML: {error}")
        else:
            for table, content in document.items():
                self._take_table(table, content, values)
        return values

    def _take_table(self, table: str, content: Any, values: dict[str, Any]) -> None:
        if table not in self._named and table not in self._keys:
            self._fault((table,), self._no_table(table))
        elif not isinstance(content, dict):
            self._fault((table,), self._no_dict(table))
        elif table in self._named:
            values[table] = {
                name: self._of_name(table, name, own)
                for name, own in content.items()
                if self._is_table((table, name), own)
            }
        else:
            for name, value in content.items():
                self._take_key(table, name, value, values)

    def _take_key(self, table: str, name: str, value: Any, values: dict[str, Any]) -> None:
        known, path = self._keys[table], (table, name)
        key = known.get(name)
        if key is None and (beside := known.get(f"{name}{FILE_SUFFIX}")) is not None and beside.names_file:
            self._no_secrets(path)
        elif key is None:
            self._fault(path, f"there is no such key{_suggested(name, known, in_table=table)}")
        elif key.setting in values:
            self._fault(path, "is set beside the value itself; leave one of them out")
        elif key.names_file:
            self._take_secret(path, key.setting, value, values)
        elif holds(key.field, SecretStr) and has_password(value):
            self._no_secrets(path)
        else:
            self._said[key.setting] = path
            values[key.setting] = self._from_here(value) if holds(key.field, Path) else value

    def _take_secret(self, path: SettingPath, setting: str, named: Any, values: dict[str, Any]) -> None:
        """Read the file that holds a secret."""
        self._said[setting] = path
        if not isinstance(named, str):
            self._fault(path, "names a file")
            return
        file = self._from_here(named)
        try:
            values[setting] = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "no text"
            self._fault(path, f"cannot be read ({why}: {file})")

    def _of_name(self, table: str, name: str, own: Mapping[str, Any]) -> dict[str, Any]:
        taken, known = {}, self._named[table]
        for key, value in own.items():
            path = (table, name, key)
            if key not in known:
                self._fault(path, f"there is no such key{_suggested(key, known)}")
            elif holds(known[key], SecretStr):
                taken[key] = value  # it is said, so that nothing else is missing
                self._fault(
                    path,
                    f"a secret does not belong in this file: let {dotted(path)}{FILE_SUFFIX} name a file that holds "
                    f"it, or set {PREFIX}{variable(path)} in the environment",
                )
            elif table == ENVIRONMENTS and key == "variables" and isinstance(value, dict):
                taken[key] = {name: text for name, text in value.items() if not self._is_secret((*path, name))}
            else:
                taken[key] = self._from_here(value) if holds(known[key], Path) else value
        return taken

    def _is_table(self, path: SettingPath, value: Any) -> bool:
        if not isinstance(value, dict):
            self._fault(path, _table_wanted(dotted(path)))
        return isinstance(value, dict)

    def _is_secret(self, path: SettingPath) -> bool:
        *_around, environment, _key, name = path
        if not is_credential(str(name)):
            return False
        text = f"a secret does not belong in this file: set {name} in .env.{environment} beside the compose file"
        self._fault(path, text)
        return True

    def _no_secrets(self, path: SettingPath) -> None:
        self._fault(
            path,
            f"a secret does not belong in this file: set {variable(path).replace('__', '_')} in the environment or in "
            f".env, or let {dotted(path)}{FILE_SUFFIX} name a file that holds it",
        )

    def _from_here(self, value: Any) -> Any:
        """Return a path from the folder of the file; what is no text is refused later, like any wrong type."""
        return self._path.parent / Path(value).expanduser() if isinstance(value, str) else value

    def _no_dict(self, table: str) -> str:
        return f"holds tables: write [{table}.dev]" if table in self._named else _table_wanted(table)

    def _no_table(self, name: str) -> str:
        """Suggest what to write instead of a top-level key: the name of a setting belongs in its table."""
        for table, keys in self._keys.items():
            for key, known in keys.items():
                if known.setting == name.lower():
                    return f"is written as {key} in [{table}]"
        return f"there is no such table{_suggested(name, [*TABLES, *self._named])}"

    def _fault(self, path: SettingPath, message: str) -> None:
        self.faults.append(SettingFault(SettingPlace(dotted(path), str(self._path)), message))


def has_password(url: object) -> bool:
    """Return whether an address holds a password."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        return bool(parts.password or "password" in parse_qs(parts.query))
    except ValueError:  # what is no address is not shown either
        return True


def _table_wanted(name: str) -> str:
    return f"is a table: write [{name}]"


def _suggested(name: str, known: Iterable[str], in_table: str = "") -> str:
    """Suggest the key that was probably meant; it may be the name of the variable."""
    known = list(known)
    short = name.lower().removeprefix(f"{in_table}_") if in_table else name.lower()
    near = get_close_matches(short, known, n=1, cutoff=0.6)
    return f"; is {near[0]} meant?" if near else f"; there are {', '.join(sorted(known))}"
