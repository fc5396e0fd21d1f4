"""Read all sources of the settings together: what is in force, where it comes from, and what is wrong."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from roas.configuration import ENV_FILE
from roas.configuration.file import FileSource, named_tables
from roas.configuration.sources import (
    PREFIX,
    SecretFiles,
    SettingFault,
    SettingPath,
    SettingPlace,
    Source,
    VariableSource,
    gather,
    origin,
    says,
    unnamed_file,
    variable,
    variables,
)
from roas.configuration.wrong_values import LIST, TABLE, wrong_values

FILE_NAME = "roas.toml"
NAMED_BY, STATE_FOLDER = "roas_config", "state_dir"

Model = TypeVar("Model", bound=BaseSettings)


@dataclass(frozen=True, slots=True)
class Reading(Generic[Model]):
    """Hold what was read. `files` are those that were read; `partial` omits invalid values, to check the rest."""

    partial: Model | None
    faults: tuple[SettingFault, ...] = ()
    files: tuple[Path, ...] = ()
    sources: tuple[Source, ...] = field(default=(), repr=False)

    def without_files(self) -> dict[str, Any]:
        """Return what the environment and `.env` say by themselves."""
        return gather([source for source in self.sources if not isinstance(source, FileSource)])

    def without_stacks(self) -> dict[str, Any]:
        """Return what is said by neither `roas.toml` nor a file that lies in a stack's folder."""
        own = (FileSource, VariableSource)
        return gather([source for source in self.sources if not isinstance(source, own) or _is_outside(source)])

    @property
    def ignored(self) -> tuple[str, ...]:
        """Return the variables that were not taken from a file in a stack's folder."""
        return tuple(name for source in self.sources if isinstance(source, VariableSource) for name in source.ignored)

    def variables(self) -> tuple[SettingPlace, ...]:
        """Return all variables of the environment and of `.env`, ours or not."""
        of_variables = [source for source in self.sources if isinstance(source, VariableSource)]
        return tuple(dict.fromkeys(place for source in of_variables for place in source.places()))

    @property
    def settings(self) -> Model | None:
        """Return the settings, or None where anything is wrong with them."""
        return None if self.faults else self.partial

    def place(self, path: SettingPath) -> SettingPlace:
        """Return where a setting is said; its variable, where it is nowhere."""
        return origin(self.sources, path) or SettingPlace(variable(path))

    def origin(self, path: SettingPath) -> SettingPlace | None:
        """Return where a setting is said, or None where its default is in force."""
        return origin(self.sources, path)

    def with_faults(self, faults: Iterable[SettingFault]) -> "Reading[Model]":
        """Return this with further faults, those without a file first."""
        every = dict.fromkeys([*self.faults, *faults])
        return replace(self, faults=tuple(sorted(every, key=lambda fault: fault.place.file)))


def read(
    settings_class: type[Model],
    secrets: Sequence[str],
    environ: Mapping[str, str],
    *,
    prefixed_only: frozenset[str] = frozenset(),
) -> Reading[Model]:
    """Read secrets in files, the environment, the file that it names and `roas.toml`; what comes first here wins.

    Names with the prefix come before plain ones; of `prefixed_only` the plain ones are not read.
    """
    named = environ.get(ENV_FILE, "")
    prefixed = variables(settings_class, named, PREFIX)
    plain = variables(settings_class, named, left_out=prefixed_only)
    said = (*prefixed, *plain)
    plain_secrets = [name for name in secrets if name not in prefixed_only]
    sources: list[Source] = [SecretFiles(secrets, environ, PREFIX), *prefixed]
    sources += [SecretFiles(plain_secrets, environ), *plain]
    faults: list[SettingFault] = [fault for fault in (unnamed_file(settings_class, environ),) if fault is not None]
    path = _find(said, settings_class, faults)
    file = FileSource(settings_class, path) if path is not None else None
    if file is not None:
        faults += _hidden_faults(settings_class, file, sources)
        sources.append(file)
    faults += [fault for source in sources for fault in source.faults]
    partial, wrong = _validated(settings_class, sources)
    files = (path,) if path is not None else ()
    return Reading(partial, (), files, tuple(sources)).with_faults([*faults, *wrong])


def _find(
    said: Sequence[VariableSource], settings_class: type[BaseSettings], faults: list[SettingFault]
) -> Path | None:
    """Return the file to read: the named one, or that of the working folder, or that of the state folder."""
    if (place := origin(said, (NAMED_BY,))) is not None:
        named = Path(str(_value(said, NAMED_BY))).expanduser()
        if not _is_there(named):
            faults.append(SettingFault(place, f"there is no file {named}"))
            return None
        return named
    state_folder = _value(said, STATE_FOLDER) or settings_class.model_fields[STATE_FOLDER].default
    places = (Path(FILE_NAME), Path(str(state_folder)).expanduser() / FILE_NAME)
    return next((path for path in places if _is_there(path)), None)


def _is_outside(source: Source) -> bool:
    return isinstance(source, VariableSource) and not source.is_of_a_stack


def _value(said: Sequence[VariableSource], name: str) -> Any:
    return next((source.values[name] for source in said if name in source.values), None)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that may not be looked into: whatever uses it says so
        return False


def _validated(settings_class: type[Model], sources: Sequence[Source]) -> tuple[Model | None, list[SettingFault]]:
    """Return the settings, without those that are wrong, and what is wrong with these."""
    values, faults = gather(sources), list[SettingFault]()
    for _again in range(2):
        try:
            return settings_class(_env_file=None, **values), faults  # the sources have been read
        except ValidationError as error:
            wrong = wrong_values(error)
            faults += [_fault(sources, path, text) for path, text in wrong]
            values = _without(values, [path for path, _text in wrong], named_tables(settings_class))
    return None, faults


def _fault(sources: Sequence[Source], path: SettingPath, text: str) -> SettingFault:
    """Name what is wrong at its place; a variable says lists and tables as JSON."""
    source = next((source for source in sources if says(source.values, path)), None)
    if isinstance(source, VariableSource) and text in {LIST, TABLE}:
        text = f"{text}, in JSON"
    return SettingFault(source.place(path) if source else SettingPlace(variable(path)), text)


def _without(values: Mapping[str, Any], wrong: Sequence[SettingPath], tables: Iterable[str]) -> dict[str, Any]:
    """Leave out what is wrong; of an environment, or of another table with a name, all that is said."""
    kept = {name: value for name, value in values.items() if (name,) not in {path[:1] for path in wrong}}
    for table in tables:
        if isinstance(values.get(table), Mapping):
            names = {path[1] for path in wrong if path[0] == table and len(path) > 1}
            kept[table] = {name: own for name, own in values[table].items() if name not in names}
    return kept


def _hidden_faults(settings_class: type[Model], file: FileSource, stronger: Sequence[Source]) -> list[SettingFault]:
    """Return what is wrong in the file and does no harm yet, since something stronger says otherwise."""
    try:
        settings_class(**file.values)
    except ValidationError as error:
        return [
            SettingFault(file.place(place), text)
            for place, text in wrong_values(error)
            if any(says(source.values, place) for source in stronger)
        ]
    return []
