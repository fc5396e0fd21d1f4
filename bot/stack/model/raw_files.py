"""Learn from compose files, as they are written, which other files they name."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from roas.messages.message import said
from roas.stack.model.raw_yaml import RawMapping


@dataclass(frozen=True, slots=True)
class RawFile:
    """A compose file, and the folder that its relative paths begin in: one file may be read from several."""

    path: Path
    base: Path
    included: bool = False


@dataclass(frozen=True, slots=True)
class FileReference:
    """A file that a compose file names for `who`; `included` files have variables of their own.

    Relative paths of an included file begin in `project_folder`, or else where the `first` of its files lies.
    """

    kind: str
    who: str
    path: str
    base: Path
    included: bool = False
    project_folder: str = ""
    first: str = ""

    @property
    def text(self) -> str:
        """Say who names the file."""
        return said("{name} has `{kind}: {path}`", name=self.who, kind=self.kind, path=self.path)

    @property
    def texts(self) -> tuple[str, ...]:
        """Return what may have variables in it."""
        return self.path, self.project_folder, self.first

    @property
    def target(self) -> Path:
        """Return where the path leads."""
        return self.base / self.path

    @property
    def is_compose_file(self) -> bool:
        """Return whether the file may name files itself."""
        return self.kind in {"include", "extends"}

    def settled(self, filled: Mapping[str, str], home: str | None) -> "FileReference":
        """Return the same with its variables interpolated, and with the path of the default env file.

        Compose takes every `~` for the home of who types it, whatever name follows.
        """
        path, project, first = self.path, self.project_folder, self.first
        if not self.included:
            path, project, first = (filled.get(text, text) for text in self.texts)
        if home and path.startswith("~"):
            path = str(Path(home, path.lstrip("~").lstrip("/")))
        folder = project or (str(Path(first).parent) if first else "")
        path = path or str(Path(folder, ".env"))
        return replace(self, path=path, project_folder=folder, first="")

    def file(self) -> RawFile | None:
        """Return the next compose file to read, if it is one."""
        if not self.is_compose_file:
            return None
        base = self.base / self.project_folder if self.project_folder else self.target.parent
        return RawFile(as_written(self.target), as_written(base), self.included or self.kind == "include")


def as_written(path: Path) -> Path:
    """Resolve every `..` of a path by its text alone, as Compose mostly does."""
    return Path(os.path.normpath(path))


def references_of(document: RawMapping, file: RawFile) -> Iterator[FileReference]:
    """Find every file that a compose file names and that Compose would read."""
    for included in document.all("include"):
        for entry in _listed(included):
            yield from _included(entry, file)
    for services in document.all("services"):
        for name, service in services.entries if isinstance(services, RawMapping) else ():
            if isinstance(service, RawMapping):
                yield from _named_by_service(name, service, file)


def _included(entry: object, file: RawFile) -> Iterator[FileReference]:
    fields = entry if isinstance(entry, RawMapping) else RawMapping((("path", entry),))
    who = file.path.name
    projects = [project for value in fields.all("project_directory") for project in _texts(value) if project]
    for value in fields.all("path"):
        paths = _texts(value)
        for path, project in ((path, project) for path in paths for project in projects or [""]):
            yield FileReference("include", who, path, file.base, file.included, project, paths[0])
    yield from _env_files_of_included(fields, projects, file)


def _env_files_of_included(fields: RawMapping, projects: list[str], file: RawFile) -> Iterator[FileReference]:
    """Find the env files of what is included; without any of its own, it has the `.env` that lies beside it."""
    who = file.path.name
    named = [path for value in fields.all("env_file") for path in _texts(value)]
    for path in named:
        yield FileReference("env_file", who, path, file.base, file.included)
    if not named:
        firsts = [paths[0] for value in fields.all("path") if (paths := _texts(value))]
        for project, first in ((project, first) for project in projects or [""] for first in firsts):
            yield FileReference("env_file", who, "", file.base, file.included, project, first)


def _named_by_service(name: str, service: RawMapping, file: RawFile) -> Iterator[FileReference]:
    named = [
        (kind, path) for kind in ("env_file", "label_file") for value in service.all(kind) for path in _texts(value)
    ]
    for extended in service.all("extends"):
        named += [("extends", path) for value in _fields(extended, "file") for path in _texts(value)]
    yield from (FileReference(kind, name, path, file.base, file.included) for kind, path in named)


def _listed(value: object) -> list[object]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _fields(value: object, key: str) -> list[object]:
    return value.all(key) if isinstance(value, RawMapping) else []


def _texts(value: object) -> list[str]:
    """Return the paths of a field that takes one, several, or mappings with a `path`."""
    found = (
        text
        for entry in _listed(value)
        for text in (_fields(entry, "path") if isinstance(entry, RawMapping) else [entry])
    )
    return [text for text in found if isinstance(text, str) and text]
