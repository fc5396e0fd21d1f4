"""Find the compose files of a stack's folder, and the project's name, as Compose finds them by itself."""

import io
import os
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from roas.configuration.compose_yaml import Document, read_compose, values_of
from roas.errors import RoasError

# In Compose's own order: the first that exists is taken.
NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
SUFFIXES = (".yml", ".yaml")
PREFIX = "COMPOSE_"
# Under these keys a compose file names files of variables, secrets and configs, and other compose files.
NAMING = frozenset({"env_file", "file", "include", "path"})
# Under this one, the whole path of that of a service's backups.
KEY = "key"
NAME_LINE = re.compile(r"^name:[ \t]*([\"']?)(?P<name>[a-z0-9][a-z0-9_-]*)\1[ \t]*(?:#.*)?$", re.MULTILINE)
# More than this of a file is not searched for a name.
TEXT_READ = 1 << 20
# A stack has no more files.
MOST_FILES = 200


@dataclass(frozen=True, slots=True)
class StackFiles:
    """Hold the compose files of an environment, and those that Compose would take and we do not.

    The stack's own `.env` may not name what is `outside` of its folder, or is called as another environment's own
    file: nothing of that is read.
    """

    used: tuple[Path, ...]
    ignored: tuple[Path, ...] = ()
    outside: tuple[Path, ...] = ()


def find_files(
    folder: Path, environment: str, variables: Mapping[str, str], of_others: Collection[str] = ()
) -> StackFiles:
    """Return what `docker compose` would take in a folder, with the environment's own file instead of the override.

    `COMPOSE_FILE` in the stack's `.env` names all of them, of those in its folder. `compose.prod.yaml` belongs to the
    environment prod: where it exists, the override of every other environment is left out. `of_others` is what those
    of other environments are called.
    """
    if named := variables.get("COMPOSE_FILE"):
        separator = variables.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
        paths = split_files(folder, named, separator)
        used = tuple(path for path in paths if _is_within(path, folder) and path.name not in of_others)
        return StackFiles(used or _usual(folder), outside=tuple(path for path in paths if path not in used))
    found = _present(folder, NAMES)
    if not found:
        return StackFiles(_usual(folder))
    first, others = found[0], found[1:]
    override = _present(folder, OVERRIDES)
    own = own_file(first, environment)
    if own is not None:
        return StackFiles((first, own), (*others, *override))
    return StackFiles((first, *override[:1]), (*others, *override[1:]))


def _is_within(path: Path, folder: Path) -> bool:
    """Return whether a file that a stack names is one of its own, wherever links lead; else nothing of it is read."""
    try:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
    except ValueError:  # no path
        return False


def _usual(folder: Path) -> tuple[Path, ...]:
    return (folder / "docker-compose.yml",)


def _present(folder: Path, names: Iterable[str]) -> list[Path]:
    return [path for name in names if (path := folder / name).is_file()]


def own_file(first: Path, environment: str) -> Path | None:
    """Return an environment's own file beside the first one, such as `compose.prod.yaml`, where it exists."""
    return next((path for path in own_files(first, environment) if path.is_file()), None)


def own_files(first: Path, environment: str) -> tuple[Path, ...]:
    """Return where an environment's own file beside the first one may lie."""
    suffixes = (first.suffix, *(suffix for suffix in SUFFIXES if suffix != first.suffix))
    return tuple(first.with_name(f"{first.stem}.{environment}{suffix}") for suffix in suffixes)


def own_names(environment: str) -> tuple[str, ...]:
    """Return what files of variables and compose files of an environment are called by convention."""
    stems = dict.fromkeys(Path(name).stem for name in NAMES)
    return (f".env.{environment}", *(f"{stem}.{environment}{suffix}" for stem in stems for suffix in SUFFIXES))


def named_files(path: Path) -> frozenset[Path]:
    """Return the files that a compose file names for variables, secrets and configs; none where it does not parse."""
    return _named(path, _documents(path)) | _keys(path)


def named_secrets(path: Path) -> frozenset[Path]:
    """Return the files that a compose file names for secrets and for keys of backups."""
    return _named(path, (document.get("secrets") for document in _documents(path))) | _keys(path)


def with_included(paths: Iterable[Path]) -> frozenset[Path]:
    """Return compose files, and those that they include or extend, as far as a stack may have files."""
    found, pending = set[Path](), [*paths]
    most = len(pending) + MOST_FILES
    while pending and len(found) < most:
        path = pending.pop()
        if path not in found:
            found.add(path)
            pending += (named for named in _named(path, _documents(path)) if named.suffix in SUFFIXES)
    return frozenset(found)


def _keys(path: Path) -> frozenset[Path]:
    values = (value for document in _documents(path) for value in values_of(document) if isinstance(value, dict))
    keys = (value.get(KEY) for value in values)
    return frozenset(Path(key) for key in keys if isinstance(key, str) and key.startswith("/"))


def _documents(path: Path) -> tuple[Document, ...]:
    """Return what a compose file says; nothing where it is none, or does not parse."""
    with suppress(RoasError):
        if path.suffix in SUFFIXES and path.is_file():
            return read_compose(path, read_text(path).encode())
    return ()


def _named(path: Path, parts: Iterable[object]) -> frozenset[Path]:
    found: set[str] = set()
    for value in (value for part in parts for value in values_of(part)):
        if isinstance(value, dict):
            named = (value[key] for key in NAMING & value.keys())
            texts = (item for entry in named for item in (entry if isinstance(entry, list) else [entry]))
            found.update(item for item in texts if isinstance(item, str))
    return frozenset(path.parent / item for item in found if item and "$" not in item)


def split_files(folder: Path, text: str, separator: str = os.pathsep) -> tuple[Path, ...]:
    """Return the files of a list such as `a.yml:b.yml`, which count from a folder."""
    return tuple(folder / part for part in text.split(separator) if part)


def compose_variables(env_files: Iterable[Path]) -> dict[str, str]:
    """Return Compose's own variables that env files set, a later file winning; what cannot be read sets nothing."""
    found: dict[str, str] = {}
    for path in env_files:
        text = read_text(path)
        if PREFIX in text:
            # Without interpolation: it would read the bot's own environment.
            values = dotenv_values(stream=io.StringIO(text), interpolate=False)
            found |= {name: value for name, value in values.items() if value and name.startswith(PREFIX)}
    return found


def usual_project(folder: Path, compose_files: Iterable[Path], env_files: Iterable[Path]) -> str:
    """Return the project's name that `docker compose` takes in a folder: by variable, by `name:`, by the folder."""
    if named := compose_variables(env_files).get("COMPOSE_PROJECT_NAME"):
        return named
    names = [match["name"] for path in compose_files for match in NAME_LINE.finditer(read_text(path))]
    return names[-1] if names else plain_name(folder.name)


def plain_name(folder_name: str) -> str:
    """Derive a project name from a folder's name as Compose does: lower case, without other characters."""
    kept = "".join(char for char in folder_name.lower() if char.isalnum() or char in "-_").lstrip("-_")
    return kept or "stack"


def read_text(path: Path) -> str:
    """Return the beginning of a file's text; nothing of what is no readable file."""
    try:
        if not path.is_file():
            return ""
        # Without waiting: a stack may name what never ends, such as `/proc/kmsg`.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.read(descriptor, TEXT_READ).decode(errors="replace")
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return ""
