"""Find what an image is built from, hash it, and copy it: the image is built from the copy.

Only what BuildKit would take counts: `.dockerignore` is read as BuildKit reads it. Links in a context stay links.
"""

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from docker.utils.build import Pattern
from docker.utils.fnmatch import translate

from roas.errors import ComposeFileError
from roas.messages.message import said
from roas.stack.sources.opening import held, open_regular
from roas.stack.sources.withheld import TokenSearch, Withheld

LONGEST = 1000
# With so many, regular expressions are quick, whatever they are asked.
FEW_STARS = 2
STAR = re.compile(r"\*\*?")
TOKEN = re.compile(r"(?P<deep>\*\*/?)|(?P<star>\*)|(?P<one>\?)|(?P<among>\[!?\]?[^\]]*\])|(?P<plain>.)", re.DOTALL)
MOST_BYTES = 4 << 30
MOST_FILES = 200_000
MOST_DEPTH = 256
MOST_RULES = 2000
# To tell what is built; reading it has no such bound.
MOST_SECONDS = 120.0
CHUNK = 1 << 20
NAMED_FOLDERS = 3


class IgnorePattern:
    """Hold one cleaned pattern. Raises ComposeFileError for one that is none, or too long."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise ComposeFileError(said("A `.dockerignore` has too many patterns, or too long ones."))
        self._text = text
        self._is_quick = len(STAR.findall(text)) <= FEW_STARS
        try:
            self._expression = re.compile(translate(text))
        except re.error as error:
            raise ComposeFileError(
                said("A `.dockerignore` has the pattern {text}, which is none.", text=repr(text)),
            ) from error

    def matches(self, path: str) -> bool:
        """Return whether a path is meant, all of it."""
        return self._expression.match(path) is not None if self._is_quick else walk(self._text, path)


def walk(text: str, path: str) -> bool:
    """Return what the regular expression for a pattern does, in a time that grows with both lengths alone."""
    places = {0}
    for token in TOKEN.finditer(text):
        places = set(_after(token, places, path)) if places else places
    return len(path) in places


def _after(token: re.Match[str], places: set[int], path: str) -> Iterator[int]:
    """Yield the places of a path that one part of a pattern leads to from these."""
    match token.lastgroup:
        case "deep" if token.end() == len(token.string):
            yield from range(min(places), len(path) + 1)
        case "deep":  # any folders, or none
            yield from places
            yield from (at + 1 for at in range(min(places), len(path)) if path[at] == "/")
        case "star":
            # Of the places in one folder's name, the first one leads to all that the others do.
            first = {path.count("/", 0, at): at for at in sorted(places, reverse=True)}
            yield from (end for at in first.values() for end in range(at, at + len(path[at:].partition("/")[0]) + 1))
        case kind:
            takes = re.compile("[^/]" if kind == "one" else translate(token[0]))
            yield from (at + 1 for at in places if at < len(path) and takes.match(path[at]))


@dataclass(frozen=True, slots=True)
class ContextEntry:
    """A file, folder or link of a context, by its path in it."""

    path: PurePosixPath
    status: os.stat_result


class IgnoreRules:
    """Tell what a `.dockerignore` leaves out: a later line wins, and what leaves a folder out leaves out all in it."""

    def __init__(self, text: str, kept: frozenset[PurePosixPath] = frozenset()) -> None:
        lines = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
        patterns = [Pattern(line) for line in lines if line and not line.startswith("#")]
        if len(patterns) > MOST_RULES:
            raise ComposeFileError(
                said("A `.dockerignore` has too many patterns, or too long ones."),
            )
        # The library's own comparison takes capitals for small letters; BuildKit does not.
        self._rules = [
            (IgnorePattern(pattern.cleaned_pattern), pattern.exclusion)
            for pattern in patterns
            if pattern.cleaned_pattern
        ]
        self._kept = kept
        self._until = time.monotonic() + MOST_SECONDS
        self._includes_again = any(includes for _, includes in self._rules)

    def leaves_out(self, path: PurePosixPath) -> bool:
        """Return whether a file, folder or link is left out."""
        if path in self._kept:
            return False
        names = [str(path), *map(str, path.parents)]
        left_out = False
        for pattern, includes in self._rules:
            if left_out == includes and any(map(pattern.matches, names)):
                left_out = not includes
        if time.monotonic() > self._until:
            raise ComposeFileError(
                said("A `.dockerignore` has too many patterns, or too long ones."),
            )
        return left_out

    def leaves_out_all_in(self, folder: PurePosixPath) -> bool:
        """Return whether nothing in a folder can be wanted, so that nobody need look."""
        has_kept = any(kept.is_relative_to(folder) for kept in self._kept)
        return not self._includes_again and not has_kept and self.leaves_out(folder)


@dataclass(frozen=True, slots=True)
class BuildContext:
    """One folder that is built from, links of its path resolved; `folder` is the stack's."""

    root: Path
    folder: Path
    rules: IgnoreRules
    withheld: Withheld

    def take(self, target: Path | None = None) -> str:
        """Return the hash of what is in it, and copy that to a new folder. Raises ComposeFileError, OSError."""
        entries = sorted(self._entries(), key=lambda entry: entry.path.parts)
        self._refuse_large(entries)
        digest = hashlib.sha256()
        if target is not None:
            target.mkdir(parents=True, mode=0o700)
        taken = []
        for entry in entries:
            body = self._take(entry, target / entry.path if target is not None else None)
            if body is None:
                continue
            taken.append(entry)
            head = (str(entry.path), f"{entry.status.st_mode:o}", body)
            digest.update("\0".join(head).encode(errors="surrogateescape") + b"\n")
        if target is not None:
            _set_modes(target, taken)
        return digest.hexdigest()

    def _entries(self) -> Iterator[ContextEntry]:
        with held(self.root, self.folder) as descriptor:
            for place, folders, files, opened in os.fwalk(".", dir_fd=descriptor, onerror=_raise):
                here = PurePosixPath(place)
                self._refuse_deep(here)
                wanted = []
                for name in sorted((*folders, *files)):
                    entry = ContextEntry(here / name, os.stat(name, dir_fd=opened, follow_symlinks=False))
                    is_folder = stat.S_ISDIR(entry.status.st_mode)
                    if self.withheld.is_named(self.root / entry.path) or self._is_left_out(entry, is_folder=is_folder):
                        continue
                    if is_folder:
                        wanted.append(name)
                    if stat.S_IFMT(entry.status.st_mode) in {stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK}:
                        yield entry
                folders[:] = wanted

    def _is_left_out(self, entry: ContextEntry, *, is_folder: bool) -> bool:
        """A folder that is left out may hold what is not."""
        return self.rules.leaves_out_all_in(entry.path) if is_folder else self.rules.leaves_out(entry.path)

    def _take(self, entry: ContextEntry, target: Path | None) -> str | None:
        """Return what says what an entry holds, and copy it; None where it holds what no stack is given."""
        source = self.root / entry.path
        mode = entry.status.st_mode
        if stat.S_ISDIR(mode):
            if target is not None:
                target.mkdir(mode=0o700)
            return ""
        with held(source.parent, self.folder) as parent:
            if stat.S_ISLNK(mode):
                link = os.readlink(source.name, dir_fd=parent)
                if target is not None:
                    target.symlink_to(link)
                return link
        with held(source, self.folder) as descriptor:
            return _take_file(open_regular(descriptor, source), target, TokenSearch(self.withheld.token))

    def _refuse_deep(self, place: PurePosixPath) -> None:
        if len(place.parts) > MOST_DEPTH:
            raise ComposeFileError(
                said(
                    "{path} is nested more than {most_depth} folders deep.",
                    path=self.root / place.parts[0],
                    most_depth=MOST_DEPTH,
                ),
                hint=said("Leave out what is not needed by a `.dockerignore`."),
            )

    def _refuse_large(self, entries: list[ContextEntry]) -> None:
        size = sum(entry.status.st_size for entry in entries)
        if size <= MOST_BYTES and len(entries) <= MOST_FILES:
            return
        sizes: dict[str, int] = {}
        for entry in entries:
            if stat.S_ISREG(entry.status.st_mode):
                first = entry.path.parts[0]
                sizes[first] = sizes.get(first, 0) + entry.status.st_size
        largest = sorted(sizes.items(), key=lambda folder: -folder[1])[:NAMED_FOLDERS]
        named = ", ".join(f"{name} ({_readable(size)})" for name, size in largest)
        raise ComposeFileError(
            said(
                "The build context {root} is too large ({size}, {entries} {entries|file|files}). Largest: {named}.",
                root=self.root,
                size=_readable(size),
                entries=len(entries),
                named=named,
            ),
            hint=said("Leave out what is not needed by a `.dockerignore`."),
        )


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


def _set_modes(target: Path, entries: list[ContextEntry]) -> None:
    """Set modes and times, folders last: one may be read-only, and what is put into it changes its time."""
    for entry in reversed(entries):
        place, status = target / entry.path, entry.status
        if not stat.S_ISLNK(status.st_mode):
            place.chmod(stat.S_IMODE(status.st_mode))
        os.utime(place, ns=(status.st_mtime_ns, status.st_mtime_ns), follow_symlinks=False)


def _readable(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"


def _raise(error: OSError) -> None:
    raise error
