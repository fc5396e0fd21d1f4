"""Read compose files as they are written, only to learn which other files they name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from bot.errors import ComposeFileError

LARGEST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class RawFile:
    """A compose file, and the folder that its relative paths begin in."""

    path: Path
    base: Path
    included: bool = False


@dataclass(frozen=True, slots=True)
class FileReference:
    """A file that a compose file names; `included` files have variables of their own."""

    kind: str
    path: str
    base: Path
    words: str
    included: bool = False
    project_folder: str = ""

    @property
    def target(self) -> Path:
        """Return where the path leads."""
        return self.base / Path(self.path).expanduser()

    @property
    def is_compose_file(self) -> bool:
        """Tell whether the file may name files itself."""
        return self.kind in {"include", "extends"}

    def with_path(self, path: str) -> "FileReference":
        """Return the same with its variables filled in."""
        return replace(self, path=path)

    def file(self) -> RawFile | None:
        """Return the compose file that is to be read next, if it is one that is here."""
        if not self.is_compose_file or not self.target.is_file():
            return None
        base = self.base / self.project_folder if self.project_folder else self.target.parent
        return RawFile(self.target, base, self.included or self.kind == "include")


class _RawLoader(yaml.CSafeLoader):
    """Read any compose file: tags such as `!reset` say how files merge and change nothing about what they name."""


def _construct_tagged(loader: yaml.CSafeLoader, _suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_RawLoader.add_multi_constructor("!", _construct_tagged)
_RawLoader.add_multi_constructor("tag:yaml.org,2002:value", _construct_tagged)


def read_raw(path: Path) -> list[Mapping[str, Any]]:
    """Return the documents of a compose file. Raises ComposeFileError that names the file and the line."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ComposeFileError(f"{path} is too large for a compose file.", hint="Split it.")
        documents = list(yaml.load_all(path.read_bytes(), Loader=_RawLoader))
    except OSError as error:
        raise ComposeFileError(
            f"{path} cannot be read: {error.strerror}.", hint="Check its name and rights."
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise _does_not_parse(path, error) from error
    return [document for document in documents if isinstance(document, Mapping)]


def references_of(document: Mapping[str, Any], file: RawFile) -> Iterator[FileReference]:
    """Find every file that a compose file names and that Compose would read."""
    for entry in _listed(document.get("include")):
        yield from _included(entry, file)
    services = document.get("services")
    for name, service in services.items() if isinstance(services, Mapping) else ():
        if isinstance(service, Mapping):
            yield from _named_by_service(str(name), service, file)


def _included(entry: object, file: RawFile) -> Iterator[FileReference]:
    fields = entry if isinstance(entry, Mapping) else {"path": entry}
    paths = _texts(fields.get("path"))
    project = str(fields.get("project_directory") or "")
    for path in paths:
        words = f"{file.path.name} includes {path}"
        # Only the first of several says where relative paths begin.
        folder = project or str(Path(paths[0]).parent)
        yield FileReference("include", path, file.base, words, file.included, folder)
    if project:
        yield FileReference("include_folder", project, file.base, f"{file.path.name} includes a project in {project}")
    # Without env files of its own, what is included has the `.env` that lies beside it.
    beside = [] if "env_file" in fields or not paths else [str(Path(project or Path(paths[0]).parent, ".env"))]
    for path in _texts(fields.get("env_file")) or beside:
        yield FileReference(
            "env_file", path, file.base, f"{file.path.name} reads {path} for what it includes", file.included
        )


def _named_by_service(name: str, service: Mapping[str, Any], file: RawFile) -> Iterator[FileReference]:
    for kind in ("env_file", "label_file"):
        for path in _texts(service.get(kind)):
            yield FileReference(kind, path, file.base, f"{name} has `{kind}: {path}`", file.included)
    extended = service.get("extends")
    if isinstance(extended, Mapping) and extended.get("file"):
        path = str(extended["file"])
        yield FileReference("extends", path, file.base, f"{name} extends a service of {path}", file.included)


def _listed(value: object) -> list[object]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _texts(value: object) -> list[str]:
    """Return the paths of a field that takes one, several, or mappings with a `path`."""
    entries = (entry.get("path") if isinstance(entry, Mapping) else entry for entry in _listed(value))
    return [str(entry) for entry in entries if entry is not None]


def _does_not_parse(path: Path, error: Exception) -> ComposeFileError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it is no YAML"
    place = f"{path.name}, line {mark.line + 1}" if mark is not None else path.name
    return ComposeFileError(f"{place}: {problem}.", hint="Correct the file; `docker compose config` shows the same.")
