"""Find what an image is built from, hash it, and copy it: the image is built from the copy.

Only what BuildKit would take counts: `.dockerignore` is read as BuildKit reads it. Links in a context stay links.
"""

import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from docker.utils.build import Pattern
from docker.utils.fnmatch import translate

from roas.errors import ComposeFileError
from roas.messages.message import said
from roas.stack.sources.trees import Bounds, TooLargeError, Tree
from roas.stack.sources.withheld import Withheld

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
                said("{shown} is not a valid path.", shown=f".dockerignore: {text!r}"),
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

    def leaves_out_entry(self, path: PurePosixPath, is_folder: bool) -> bool:
        """Return whether an entry is left out; a folder that is may hold what is not."""
        return self.leaves_out_all_in(path) if is_folder else self.leaves_out(path)


@dataclass(frozen=True, slots=True)
class BuildContext:
    """One folder that is built from, links of its path resolved; `folder` is the stack's."""

    root: Path
    folder: Path
    rules: IgnoreRules
    withheld: Withheld

    def take(self, target: Path | None = None) -> str:
        """Return the hash of what is in it, and copy that to a new folder. Raises ComposeFileError, OSError."""
        bounds = Bounds(MOST_BYTES, MOST_FILES, MOST_DEPTH)
        tree = Tree(self.root, self.folder, self.withheld, bounds, self.rules.leaves_out_entry, counts_root=False)
        try:
            return tree.take(target)
        except TooLargeError as error:
            raise _too_large(self.root, error) from error


def _too_large(root: Path, error: TooLargeError) -> ComposeFileError:
    hint = said("Leave out what is not needed by a `.dockerignore`.")
    if error.deep is not None:
        path = root / error.deep.parts[0]
        return ComposeFileError(
            said("{path} is more than {most_depth} folders deep.", path=path, most_depth=MOST_DEPTH), hint=hint
        )
    sizes: dict[str, int] = {}
    for entry in error.entries:
        if stat.S_ISREG(entry.status.st_mode):
            first = entry.path.parts[0]
            sizes[first] = sizes.get(first, 0) + entry.status.st_size
    largest = sorted(sizes.items(), key=lambda folder: -folder[1])[:NAMED_FOLDERS]
    return ComposeFileError(
        said(
            "The build context {root} is too large ({size}, {entries} {entries|file|files}). Largest: {named}.",
            root=root,
            size=_readable(sum(entry.status.st_size for entry in error.entries)),
            entries=len(error.entries),
            named=", ".join(f"{name} ({_readable(size)})" for name, size in largest),
        ),
        hint=hint,
    )


def _readable(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"
