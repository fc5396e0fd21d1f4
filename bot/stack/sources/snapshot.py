"""Copy the files that a model is made of, once, so that all who read them read the same bytes."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from roas.errors import ComposeFileError, too_large_file, unreadable_file
from roas.messages.message import said
from roas.stack.sources.opening import held, open_regular, read_bounded
from roas.temporary import temporary_folder, writing_temporary

DEPTH = 32
STEP = "_"
STEPS = re.compile(rf"(?:/{STEP}){{0,{DEPTH}}}(?=/|$)")
MOST_FILES = 200
MOST_BYTES = 4 << 20
MOST_BYTES_IN_ALL = 32 << 20
MOST_DEPTH = 64
FOLDER = "files"
# What paths are made of in a shell, and so in compose files.
FOLDERS = ("HOME", "PWD")


class PathMapping:
    """Lead from real paths to those in the copy, and back."""

    def __init__(self, base: Path) -> None:
        self.root = base.joinpath(*[STEP] * DEPTH)
        # Not as a pattern: each copy has a folder of its own, and Python keeps the last 512 patterns.
        self._base = str(base)

    def to_copy(self, path: Path) -> Path:
        """Return where the copy of an absolute path is; `..` goes up by the text, as Compose takes it."""
        return self.root / os.path.normpath(path).lstrip("/")

    def text_back(self, text: str) -> str:
        """Return a message with the real paths in it."""
        first, *others = text.split(self._base)
        return first + "".join(
            other[steps.end() :] if (steps := STEPS.match(other)) else self._base + other for other in others
        )

    def model_back(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """Return a resolved model with the real paths in it."""
        return {self._value(key): self._value(item) for key, item in model.items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return (self.text_back(value) or "/") if value else value
        if isinstance(value, Mapping):
            return self.model_back(value)
        if isinstance(value, list):
            return [self._value(item) for item in value]
        return value


@dataclass(slots=True)
class SourceSnapshot:
    """Hold a private copy of files, and write it where a command shall see it: at their absolute paths below a folder.

    A file that is named by an absolute path is read there, too: in what a command sees, such paths lead to the copy.
    `instead` is what files hold in a release that is promoted: these are not read here.
    """

    scratch: Path
    folder: Path
    mapping: PathMapping
    instead: Mapping[Path, bytes] = field(default_factory=dict)
    _copied: dict[Path, bytes] = field(default_factory=dict)
    _folders: set[Path] = field(default_factory=set)
    _absolute: set[str] = field(default_factory=set)

    def copy(self, path: Path, resolved: Path, *written: str) -> bool:
        """Copy what a judged path leads to; returns whether there is a file. Raises ComposeFileError.

        `written` is how the files name it, and what it is relative to.
        """
        self._absolute.update(text for text in written if text.startswith("/"))
        if path in self._copied:
            return True
        if path in self.instead:
            self._copied[path] = self._bounded(path, self.instead[path])
            return True
        try:
            with held(resolved, self.folder) as descriptor:
                return self._copy(path, descriptor)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise unreadable_file(path, error) from error

    def content(self, path: Path) -> bytes:
        """Return what a copied file holds."""
        return self._copied[path]

    @property
    def contents(self) -> Mapping[Path, bytes]:
        """Return what every copied file holds, by its real path."""
        return self._copied

    def digest(self) -> str:
        """Name the copy by all that a command which sees it can see: names and contents."""
        files = sorted((str(path), hashlib.sha256(content).hexdigest()) for path, content in self._copied.items())
        covered = [str(self.folder), files, sorted(map(str, self._folders)), sorted(self._absolute)]
        return hashlib.sha256(json.dumps(covered).encode()).hexdigest()

    def write(self) -> None:
        """Write all of it. Raises ComposeFileError, and EngineError where there is no place."""
        with writing_temporary():
            self.mapping.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in self._folders:
                self.mapping.to_copy(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            for path, content in self._copied.items():
                copy = self.mapping.to_copy(path)
                copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                copy.write_bytes(self._leading_here(path, content))

    def variables(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return variables in which absolute paths lead to the copy."""
        here = {name: os.fsdecode(self._leading_here(Path(name), os.fsencode(text))) for name, text in given.items()}
        folders = {name: given[name] for name in FOLDERS if given.get(name, "").startswith("/")}
        return here | {name: str(self.mapping.to_copy(Path(path))) for name, path in folders.items()}

    def _leading_here(self, path: Path, content: bytes) -> bytes:
        """Return a content in which absolute paths lead to the copy; in what a command prints, they lead back."""
        paths, root = self._paths(), os.fsencode(self.mapping.root)
        if len(paths.findall(content)) * len(root) > MOST_BYTES_IN_ALL:
            raise too_large_file(path)
        return paths.sub(lambda found: root + found[0], content)

    def _paths(self) -> re.Pattern[bytes]:
        """Return what finds the paths that lead to the copy: of a variable with the rest behind it, a beginning."""
        named = {str(self.folder), *self._absolute}
        whole = {str(place) for text in named for place in (text, *Path(text).parents)} - {"/"}
        found = sorted(whole, key=len, reverse=True)
        # Not in the middle of another name, such as that of an image.
        any_of = b"|".join(re.escape(os.fsencode(text)) for text in found) or rb"(?!)"
        return re.compile(rb"(?<![\w./-])(?:" + any_of + rb")")

    def _copy(self, path: Path, descriptor: int) -> bool:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):  # Compose shall say what it says of folders
            self._folders.add(path)
            return False
        opened = open_regular(descriptor, path)
        try:
            self._copied[path] = self._bounded(path, read_bounded(opened, MOST_BYTES))
        finally:
            os.close(opened)
        return True

    def _bounded(self, path: Path, content: bytes | None) -> bytes:
        if content is None:
            raise too_large_file(path)
        if len(path.parts) > MOST_DEPTH:
            raise ComposeFileError(
                said("{path} is more than {most_depth} folders deep.", path=path, most_depth=MOST_DEPTH)
            )
        if len(self._copied) >= MOST_FILES:
            raise ComposeFileError(
                said("The compose file names more than {most_files} files.", most_files=MOST_FILES),
            )
        if len(content) + sum(map(len, self._copied.values())) > MOST_BYTES_IN_ALL:
            raise ComposeFileError(
                said(
                    "The files of the stack have more than {most_bytes_in_all} MiB in all.",
                    most_bytes_in_all=MOST_BYTES_IN_ALL >> 20,
                ),
            )
        return content


@contextmanager
def new_snapshot(folder: Path, instead: Mapping[Path, bytes] = MappingProxyType({})) -> Iterator[SourceSnapshot]:
    """Make an empty copy for a stack whose resolved folder is given; it is gone afterwards. Raises EngineError."""
    with temporary_folder("sources") as made:
        scratch = made.resolve()
        yield SourceSnapshot(scratch, folder, PathMapping(scratch / FOLDER), instead)
