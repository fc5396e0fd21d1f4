"""Read a file, or a folder with all that is in it, by descriptor: hash it, and copy it.

Links stay links, what is replaced by one meanwhile is not followed, and what no stack is given is left out.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from roas.stack.sources.opening import held, open_regular
from roas.stack.sources.withheld import TokenSearch, Withheld

CHUNK = 1 << 20
PRIVATE, PERMISSIONS = 0o700, 0o777
KINDS = frozenset({stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK})
ROOT = PurePosixPath(".")
LeavesOut = Callable[[PurePosixPath, bool], bool]


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A file, folder or link of a tree, by its path in it."""

    path: PurePosixPath
    status: os.stat_result

    @property
    def is_folder(self) -> bool:
        """Return whether it is a folder."""
        return stat.S_ISDIR(self.status.st_mode)


class TooLargeError(Exception):
    """A tree is too large, or nested too deep; `entries` are those that were seen."""

    def __init__(self, root: Path, entries: tuple[TreeEntry, ...] = (), deep: PurePosixPath | None = None) -> None:
        super().__init__(str(root))
        self.entries = entries
        self.deep = deep


@dataclass(frozen=True, slots=True)
class Bounds:
    """Say how much a tree may be."""

    most_bytes: int
    most_files: int
    most_depth: int


@dataclass(frozen=True, slots=True)
class Tree:
    """Know one file or folder, links of its path resolved, `beneath` a resolved folder.

    `leaves_out` says of a path whether it is left out; of a folder, whether nobody need look into it.
    """

    root: Path
    beneath: Path
    withheld: Withheld
    bounds: Bounds
    leaves_out: LeavesOut = lambda _path, _is_folder: False
    counts_root: bool = True

    def take(self, target: Path | None = None) -> str:
        """Return the hash of content, names and modes, and copy it to a new place.

        Not owners: who is not root cannot keep them, and all who share a place must call a content by the same name.
        Raises TooLargeError, ComposePolicyError, ComposeFileError, OSError.
        """
        self.withheld.refuse(self.root)
        entries = sorted(self._entries(), key=lambda entry: entry.path.parts)
        if sum(entry.status.st_size for entry in entries) > self.bounds.most_bytes:
            raise TooLargeError(self.root, tuple(entries))
        digest = hashlib.sha256()
        taken = []
        for entry in entries:
            body = self._take(entry, target / entry.path if target is not None else None)
            if body is None:
                continue
            taken.append(entry)
            mode = entry.status.st_mode
            name = "" if entry.path == ROOT else str(entry.path)
            head = (name, f"{stat.S_IFMT(mode) | mode & PERMISSIONS:o}", body)
            if self.counts_root or name:
                digest.update("\0".join(head).encode(errors="surrogateescape") + b"\n")
        if target is not None:
            _set_status(target, taken)
        return digest.hexdigest()

    def _entries(self) -> Iterator[TreeEntry]:
        with held(self.root, self.beneath) as descriptor:
            root = TreeEntry(ROOT, os.fstat(descriptor))
            yield root
            if root.is_folder:
                yield from self._below(descriptor)

    def _below(self, descriptor: int) -> Iterator[TreeEntry]:
        seen: list[TreeEntry] = []
        for place, folders, files, opened in os.fwalk(".", dir_fd=descriptor, onerror=_raise):
            here = PurePosixPath(place)
            if len(here.parts) > self.bounds.most_depth:
                raise TooLargeError(self.root, deep=here)
            wanted = []
            for name in sorted((*folders, *files)):
                entry = TreeEntry(here / name, os.stat(name, dir_fd=opened, follow_symlinks=False))
                hidden = self.withheld.is_named(self.root / entry.path)
                if hidden or self.leaves_out(entry.path, entry.is_folder):
                    continue
                if entry.is_folder:
                    wanted.append(name)
                if stat.S_IFMT(entry.status.st_mode) in KINDS:
                    seen.append(entry)
                    yield entry
            if len(seen) > self.bounds.most_files:
                raise TooLargeError(self.root, tuple(seen))
            folders[:] = wanted

    def _take(self, entry: TreeEntry, target: Path | None) -> str | None:
        """Return what says what an entry holds, and copy it; None where it holds what no stack is given."""
        source = self.root / entry.path
        if entry.is_folder:
            if target is not None:
                target.mkdir(mode=PRIVATE)
            return ""
        if stat.S_ISLNK(entry.status.st_mode):
            with held(source.parent, self.beneath) as parent:
                link = os.readlink(source.name, dir_fd=parent)
            if target is not None:
                target.symlink_to(link)
            return link
        with held(source, self.beneath) as descriptor:
            body = _take_file(open_regular(descriptor, source), target, TokenSearch(self.withheld.token))
        if body is None and entry.path == ROOT:
            self.withheld.refuse(source, self.withheld.token)
        return body


def _take_file(opened: int, target: Path | None, search: TokenSearch) -> str | None:
    digest = hashlib.sha256()
    with ExitStack() as stack:
        source = stack.enter_context(os.fdopen(opened, "rb", buffering=0))
        copy = stack.enter_context(target.open("xb", buffering=0)) if target is not None else None
        while part := source.read(CHUNK):
            digest.update(part)
            search.take(part)
            if copy is not None:
                copy.write(part)
    if not search.has_found:
        return digest.hexdigest()
    if target is not None:
        target.unlink()
    return None


def _set_status(target: Path, entries: list[TreeEntry]) -> None:
    """Set owners, modes and times, folders last: one may be read-only, and what is put into it changes its time."""
    for entry in reversed(entries):
        place, status = target / entry.path, entry.status
        with suppress(PermissionError):  # only root may change the owner of a file; it then stays ours
            os.chown(place, status.st_uid, status.st_gid, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            place.chmod(stat.S_IMODE(status.st_mode))
        os.utime(place, ns=(status.st_mtime_ns, status.st_mtime_ns), follow_symlinks=False)


def _raise(error: OSError) -> None:
    raise error
