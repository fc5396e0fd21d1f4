"""Read the files of a commit as git lists them, and refuse what must not get into the folder of a stack."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from roas.errors import ComposeFileError
from roas.messages.message import said
from roas.stack.resolution.large_files import POINTS

MOST_FILES, MOST_FILE_BYTES, MOST_BYTES = 20_000, 64 << 20, 512 << 20
LONGEST_LINK = 4095
GIT_FOLDER = ".git"
REGULAR, EXECUTABLE, LINK, SUBMODULE = "100644", "100755", "120000", "160000"
# Where links are: folders by name, and a name that no file has at the end.
IS_LINK = "/"
Links = dict[str, "Links"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Describe a file of a commit: its path below the stack's folder, its mode and its blob.

    Of a submodule, the blob is the commit that it is at.
    """

    path: PurePosixPath
    mode: str
    blob: str
    size: int


@dataclass(frozen=True, slots=True)
class Files:
    """Hold the files of a commit, and what each blob of them holds."""

    entries: tuple[Entry, ...]
    blobs: Mapping[str, bytes]


def read_entries(listed: bytes) -> tuple[Entry, ...]:
    """Read `ls-tree -z -l`. Raises ComposeFileError where a path must not be written, or there are too many."""
    if listed.count(b"\0") > MOST_FILES:
        raise too_much()
    return tuple(map(_entry, filter(None, listed.split(b"\0"))))


def _entry(line: bytes) -> Entry:
    head, _tab, name = line.partition(b"\t")
    mode, _kind, blob, size = head.decode().split()
    path = PurePosixPath(os.fsdecode(name))
    if path.is_absolute() or {"..", "."} & set(path.parts) or any(_is_git(part) for part in path.parts):
        raise must_not_be_written(path)
    known = mode if mode in {LINK, EXECUTABLE, SUBMODULE} else REGULAR
    return Entry(path, known, blob, 0 if size == "-" else int(size))


def must_not_be_written(path: PurePosixPath) -> ComposeFileError:
    """Return the error of a file in a place that is not the repository's."""
    return ComposeFileError(
        said("The repository has a file that must not be written: {path}.", path=repr(str(path))[:200]),
    )


def needs_setting(path: PurePosixPath, setting: str) -> ComposeFileError:
    """Return the error of a path that is fetched only where a setting of the repository asks for that."""
    return ComposeFileError(
        said(
            "{path} needs `{setting}` of the environment's repository. Set it, or name a folder without that (`path`).",
            path=path,
            setting=setting,
        )
    )


def _is_git(part: str) -> bool:
    return part.lower().rstrip(". ") == GIT_FOLDER


def refuse_misleading(entries: Sequence[Entry], blobs: Mapping[str, bytes]) -> None:
    """Raise ComposeFileError where a link leads out of the stack's folder, or a file only stands for one in LFS."""
    links: Links = {}
    for entry in entries:
        if entry.mode == LINK:
            node = links
            for part in entry.path.parts:
                node = node.setdefault(part, {})
            node[IS_LINK] = {}
    for entry in entries:
        if entry.mode != LINK:
            if blobs[entry.blob].startswith(POINTS):
                raise needs_setting(entry.path, "lfs")
        elif _leads_out(entry.path, os.fsdecode(blobs[entry.blob]), links):
            raise ComposeFileError(said("{path} leads out of the stack's folder.", path=entry.path))


def _leads_out(path: PurePosixPath, target: str, links: Links) -> bool:
    """Return whether a link could lead out of the folder, also by way of the commit's other links.

    A `..` after another link starts from where that leads: it is refused, so that each link can be judged by itself.
    """
    if target.startswith("/") or len(target) > LONGEST_LINK or "\0" in target:
        return True
    steps = [*path.parent.parts, *(step for step in target.split("/") if step not in {"", "."})]
    last = max((at for at, step in enumerate(steps) if step == ".."), default=-1)
    way = [links]
    for step in steps[: last + 1]:
        if step == "..":
            way.pop()
        else:
            way.append(way[-1].get(step, {}))
        if not way or IS_LINK in way[-1]:
            return True
    return False


def refuse_too_much(entries: Sequence[Entry]) -> None:
    """Raise ComposeFileError where files are too many or too large, one of them or together."""
    size = sum(entry.size for entry in entries)
    if len(entries) > MOST_FILES or size > MOST_BYTES or any(entry.size > MOST_FILE_BYTES for entry in entries):
        raise too_much()


def too_much() -> ComposeFileError:
    """Return the error of a repository that has more than a stack may."""
    return ComposeFileError(
        said(
            "The repository has more than {files} files, or more than {size} MiB, or one of more than "
            "{file} MiB, below its path.",
            files=MOST_FILES,
            size=MOST_BYTES >> 20,
            file=MOST_FILE_BYTES >> 20,
        ),
        hint=said("Name a folder of its own for the stack: `path`."),
    )
