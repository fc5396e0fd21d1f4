"""Learn from compose files, as they are written, which other files they name."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from roas.configuration.compose_yaml import Document
from roas.messages.message import said


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


def references_of(document: Document, file: RawFile) -> Iterator[FileReference]:
    """Find every file that a compose file names and that Compose would read."""
    for entry in _listed(document.get("include")):
        yield from _included(entry, file)
    services = document.get("services")
    for name, service in services.items() if isinstance(services, dict) else ():
        if isinstance(service, dict):
            extended = service.get("extends")
            named = {kind: service.get(kind) for kind in ("env_file", "label_file")}
            named["extends"] = extended.get("file") if isinstance(extended, dict) else None
            for kind, value in named.items():
                yield from (FileReference(kind, name, path, file.base, file.included) for path in _texts(value))


def _included(entry: object, file: RawFile) -> Iterator[FileReference]:
    """Find what is included, and its env files: without any of its own, it has the `.env` that lies beside it."""
    fields = entry if isinstance(entry, dict) else {"path": entry}
    paths = _texts(fields.get("path"))
    first, project = (next(iter(texts), "") for texts in (paths, _texts(fields.get("project_directory"))))
    env_files = _texts(fields.get("env_file")) or [""] * bool(paths)
    for kind, named in (("include", paths), ("env_file", env_files)):
        yield from (
            FileReference(kind, file.path.name, path, file.base, file.included, project, first) for path in named
        )


def _listed(value: object) -> list[object]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _texts(value: object) -> list[str]:
    """Return the paths of a field that takes one, several, or mappings with a `path`."""
    entries = (entry.get("path") if isinstance(entry, dict) else entry for entry in _listed(value))
    return [text for entry in entries for text in _listed(entry) if isinstance(text, str) and text]
