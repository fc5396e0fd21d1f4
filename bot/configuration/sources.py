"""Read settings from several sources, of which the strongest wins, and know which one it was.

Each variable has two names: its own, and one with the prefix `ROAS_`, which wins. In another bot, a plain
name such as LOG_LEVEL is likely that bot's own: there only the prefixed one is read.

To add a source, give it to `gather` where it belongs.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource

from roas.configuration import ENV_FILE

# A setting, or a part of one, by the names of the model.
SettingPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class SettingPlace:
    """Identify the place of a value: `name` is the variable or the key; `file` is empty for the environment itself."""

    name: str
    file: str = ""

    @property
    def source(self) -> str:
        """Return the file, or that it is a variable of the environment."""
        return self.file or "environment"


@dataclass(frozen=True, slots=True)
class SettingFault:
    """Name one wrong setting."""

    place: SettingPlace
    message: str

    def __str__(self) -> str:
        """Write it on one line, the way compilers do."""
        where = f"{self.place.source}: " if self.place.file else ""
        name = f"{self.place.name}: " if self.place.name else ""
        return f"{where}{name}{self.message}"


def variable(path: SettingPath) -> str:
    """Return the name of the variable that says a setting, such as `ENVIRONMENTS__DEV__FOLDER`."""
    return "__".join(str(part) for part in path).upper()


def dotted(path: SettingPath) -> str:
    """Return the name of a key in the file, such as `environments.dev.folder`."""
    return ".".join(str(part) for part in path)


ENVIRONMENTS = "environments"
JSON_WANTED = "is not JSON"
PREFIX = "ROAS_"
USUAL_FILE = ".env"
NOT_NAMED = (
    "has settings of the bot, and is no longer read unless it is named: use `--env-file .env` or ROAS_ENV_FILE=.env, "
    "or ROAS_ENV_FILE= where they are not meant"
)
COMPOSE_FILES = ("docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml")
# What a stack may ask for. It is not read from a file that lies in a stack's folder.
POLICY = frozenset({"compose_policy", "compose_policy_allow"})
POLICY_OF_ENVIRONMENT = frozenset({"policy", "allow"})
# Where stacks are. What is in a stack's folder is judged by that: a file in there may not say that it is elsewhere.
FOLDER_OF_STACKS, FOLDER_OF_ENVIRONMENT = "stack_dir", "folder"
MOVED = (
    "leads out of the folder of the stack that this file lies in: say it in the environment or in roas.toml, since who "
    "changes the stack could change it here"
)
# What many a bot has under the same names, for itself.
OF_THE_HOST = frozenset({"log_level", "log_format", "http_host", "http_port", "redis_url", "notify"})
# What Compose, Docker and many a stack have under the same names; a file that says any other setting is the bot's own.
OF_MANY = OF_THE_HOST | {"compose_file", "compose_project_name", "docker_host", "prometheus_url"}


class Source(Protocol):
    """Provide settings by name, nested as they are in the model."""

    @property
    def values(self) -> Mapping[str, Any]:
        """Return what this source says."""
        ...

    @property
    def faults(self) -> Sequence[SettingFault]:
        """Return what is wrong with it."""
        ...

    def place(self, path: SettingPath) -> SettingPlace:
        """Return where this source says a setting."""
        ...


class _Environment(EnvSettingsSource):
    """Read variables of the environment; what is to be JSON and is not is left out, and named."""

    def __init__(self, settings_class: type[BaseSettings], **options: Any) -> None:
        super().__init__(settings_class, **options)
        self.not_json: list[str] = []

    def prepare_field_value(self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool) -> Any:
        """Return what the variables of a setting say."""
        try:
            return super().prepare_field_value(field_name, field, value, value_is_complex)
        except ValueError:
            self.not_json.append(field_name)
            return self.explode_env_vars(field_name, field, self.env_vars) or None

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Return what a text says as JSON; of a part of a setting the text itself, which is refused like any value."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            if field is self.settings_cls.model_fields.get(field_name):
                raise
            return value


class _Dotenv(_Environment, DotEnvSettingsSource):
    """Read the variables of a file such as `.env` in the same way."""


class VariableSource:
    """Provide what variables say: of the environment, or of a file; `left_out` are those that are not ours."""

    def __init__(self, source: _Environment, file: str = "", left_out: Collection[str] = ()) -> None:
        self.ignored: tuple[str, ...] = ()
        self._own = frozenset(source.settings_cls.model_fields) - OF_MANY
        self._prefix = source.env_prefix
        self._names = [name.upper() for name in source.env_vars]
        self._file = file
        self.values = {name: value for name, value in source().items() if name not in left_out}
        self.faults = [
            SettingFault(self.place((name,)), JSON_WANTED) for name in source.not_json if name not in left_out
        ]
        self.is_of_a_stack = bool(file) and _is_of_a_stack(Path(file))
        if self.is_of_a_stack:
            self.values, self.ignored = _without_policy(self.values)
            self.faults += [SettingFault(self.place(path), MOVED) for path in _moved(self.values, Path(file))]

    @property
    def own_file(self) -> Path | None:
        """Return the file that this was read from, where it says what is a setting of ours and of nobody else."""
        return Path(self._file) if self._file and self._own & self.values.keys() else None

    def place(self, path: SettingPath) -> SettingPlace:
        """Return the variable that says a setting, or all of those around it at once."""
        names = (self._prefix + variable(path[:length]) for length in range(len(path), 0, -1))
        return SettingPlace(
            next((name for name in names if name in self._names), self._prefix + variable(path)), self._file
        )

    def places(self) -> Iterator[SettingPlace]:
        """Yield each variable, ours or not."""
        yield from (SettingPlace(name, self._file) for name in self._names)


class SecretFiles:
    """Read the secrets that variables such as `DISCORD_TOKEN_FILE` point to."""

    def __init__(self, names: Iterable[str], environ: Mapping[str, str], prefix: str = "") -> None:
        self.values: dict[str, Any] = {}
        self.faults: list[SettingFault] = []
        self._prefix = prefix
        for name in names:
            if path := environ.get(f"{prefix}{name.upper()}_FILE"):
                try:
                    self.values[name] = Path(path).read_text(encoding="utf-8").strip()
                except OSError as error:
                    self.faults.append(SettingFault(self.place((name,)), f"cannot be read ({error.strerror}: {path})"))

    def place(self, path: SettingPath) -> SettingPlace:
        """Return the variable that names the file."""
        return SettingPlace(f"{self._prefix}{variable(path)}_FILE")


def _is_of_a_stack(file: Path) -> bool:
    """Return whether a file of variables lies in a stack's folder, where it belongs to who changes the stack."""
    return any((folder / name).is_file() for folder in file.absolute().parents for name in COMPOSE_FILES)


def _without_policy(values: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Leave out what stacks may ask for, and name it: a stack does not say that of itself."""
    kept = {name: value for name, value in values.items() if name not in POLICY}
    ignored = [variable((name,)) for name in values if name in POLICY]
    environments = values.get(ENVIRONMENTS)
    if isinstance(environments, Mapping):
        kept[ENVIRONMENTS] = {name: _without_keys(own) for name, own in environments.items()}
        ignored += [
            variable((ENVIRONMENTS, name, key))
            for name, own in environments.items()
            for key in (own if isinstance(own, Mapping) else ())
            if key in POLICY_OF_ENVIRONMENT
        ]
    return kept, tuple(ignored)


def _without_keys(own: object) -> object:
    if not isinstance(own, Mapping):
        return own
    return {key: value for key, value in own.items() if key not in POLICY_OF_ENVIRONMENT}


def _moved(values: Mapping[str, Any], file: Path) -> list[SettingPath]:
    """Return the settings by which a file of a stack's folder would put a stack elsewhere."""
    folder = file.absolute().parent.resolve()
    environments = values.get(ENVIRONMENTS)
    named: dict[SettingPath, Any] = {(FOLDER_OF_STACKS,): values.get(FOLDER_OF_STACKS)}
    for name, own in environments.items() if isinstance(environments, Mapping) else ():
        if isinstance(own, Mapping):
            named[(ENVIRONMENTS, name, FOLDER_OF_ENVIRONMENT)] = own.get(FOLDER_OF_ENVIRONMENT)
    return [
        path
        for path, value in named.items()
        if value and not Path(str(value)).expanduser().resolve().is_relative_to(folder)
    ]


def variables(
    settings_class: type[BaseSettings], file: str, prefix: str = "", left_out: Collection[str] = ()
) -> tuple[VariableSource, VariableSource]:
    """Return the environment and the named file of variables, the stronger first."""
    is_absent = bool(file) and not Path(file).exists()
    file = file or os.devnull
    environment = VariableSource(_Environment(settings_class, env_prefix=prefix), left_out=left_out)
    why_not = "does not exist" if is_absent else _why_unreadable(Path(file))
    readable = os.devnull if why_not else file
    own = VariableSource(_Dotenv(settings_class, env_file=readable, env_prefix=prefix), file, left_out)
    own.faults += [SettingFault(SettingPlace("", file), why_not)] if why_not else []
    return environment, own


def unnamed_file(settings_class: type[BaseSettings], environ: Mapping[str, str]) -> SettingFault | None:
    """Say that settings of the bot lie in the working folder, of which nobody said that they are to be read.

    Whoever can write there, a stack's author for one, would say where the bot sends its token. The release before read
    them: a command stops, for once, instead of going on without what the environment does not say as well.
    """
    found = Path(USUAL_FILE)
    if ENV_FILE in environ or _why_unreadable(found) or not found.is_file():
        return None
    own, said = settings_class.model_fields.keys() - OF_MANY, {name.upper() for name in environ}
    lost = (
        name
        for name in _Dotenv(settings_class, env_file=found).env_vars
        if name.lower().removeprefix(PREFIX.lower()).partition("__")[0] in own and name.upper() not in said
    )
    return SettingFault(SettingPlace("", USUAL_FILE), NOT_NAMED) if any(lost) else None


def gather(sources: Sequence[Source]) -> dict[str, Any]:
    """Put together what the sources say, given the strongest first."""
    gathered: dict[str, Any] = {}
    for source in reversed(sources):
        gathered = _over(gathered, source.values)
    return gathered


def origin(sources: Sequence[Source], path: SettingPath) -> SettingPlace | None:
    """Return where the value comes from that is in force, or None where it is nowhere said."""
    return next((source.place(path) for source in sources if says(source.values, path)), None)


def says(values: Mapping[str, Any], path: SettingPath) -> bool:
    """Return whether a source says a setting, or all of what is around it at once."""
    found: Any = values
    for part in path:
        if not isinstance(found, Mapping):
            return True
        if part not in found:
            return False
        found = found[part]
    return True


def _over(weaker: Mapping[str, Any], stronger: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(weaker)
    for name, value in stronger.items():
        below = merged.get(name)
        merged[name] = _over(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _why_unreadable(file: Path) -> str:
    """Return why a file of variables cannot be read; nothing where it can, or is not there."""
    try:
        file.read_bytes().decode()
    except (FileNotFoundError, IsADirectoryError):
        return ""
    except PermissionError as error:
        return f"cannot be read ({error.strerror}): run this as root or as the owner of the file{_owner(file)}"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return f"is not UTF-8 text (line {line})"
    return ""


def _owner(file: Path) -> str:
    """Return the name of a file's owner, to be put behind it, where that can be told."""
    with suppress(OSError, KeyError):
        return f", {file.owner()}"
    return ""
