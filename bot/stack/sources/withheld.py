"""What no stack is given: the bot's own files, those of other environments, and the repository's own folder.

The settings say where these are. A file that holds the bot's token is one of them wherever it lies: it is known by
value.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from roas.errors import ComposePolicyError
from roas.messages.message import said
from roas.stack.sources.opening import is_there

# Who writes in there decides what the next `git status` on the host runs.
REPOSITORY = ".git"
# What is shorter could be anywhere by chance.
SHORTEST_TOKEN = 16


@dataclass(frozen=True, slots=True)
class Withheld:
    """Hold the resolved paths of what is withheld, and the bot's token."""

    paths: frozenset[Path] = frozenset()
    token: bytes = field(default=b"", repr=False)
    hides_repository: bool = True
    state: frozenset[Path] = frozenset()

    @classmethod
    def of(cls, state: Path, paths: Iterable[Path], token: str) -> "Withheld":
        """Return what is withheld, the bot's state first; a token that is too short to be one is not searched for."""
        known = token.encode() if len(token) >= SHORTEST_TOKEN else b""
        return cls(frozenset({state, *paths}), known, state=frozenset({state}))

    def beside(self, state: frozenset[Path]) -> "Withheld":
        """Return the same with more places of the bot's state, which may be where nobody can look at from here."""
        return replace(self, paths=self.paths | state, state=self.state | state)

    def is_named(self, path: Path) -> bool:
        """Return whether an entry of a folder that is walked is withheld, with all that is below it."""
        return (self.hides_repository and path.name == REPOSITORY) or path in self.paths

    def hides(self, path: Path) -> bool:
        """Return whether a resolved path is withheld, or lies in what is."""
        return any(map(self.is_named, (path, *path.parents)))

    def owns(self, path: Path) -> bool:
        """Return whether a resolved path is, or lies in, what the bot or another environment has for itself."""
        return not self.paths.isdisjoint((path, *path.parents))

    def within(self, folder: Path) -> Path | None:
        """Return what is withheld below a resolved folder: the bot's state, or what is there of what settings name."""
        below = (path for path in sorted(self.paths) if path.is_relative_to(folder))
        return next((path for path in below if path in self.state or is_there(path)), None)

    def holds_token(self, content: bytes) -> bool:
        """Return whether a content has the bot's token in it."""
        return bool(self.token) and self.token in content

    def refuse(self, path: Path, content: bytes = b"") -> None:
        """Raise ComposePolicyError where a path that a stack names, or what it holds, is withheld."""
        if self.hides(path) or self.holds_token(content):
            raise _refusal(path)


NOTHING_WITHHELD = Withheld(hides_repository=False)


def _refusal(path: Path) -> ComposePolicyError:
    return ComposePolicyError(
        said("{path} is the bot's own, another environment's or the repository's: no stack is given that.", path=path),
    )


class TokenSearch:
    """Search for the token in a content that is read in parts."""

    def __init__(self, token: bytes) -> None:
        self._token = token
        self._end = b""
        self.has_found = False

    def take(self, part: bytes) -> None:
        """Search the next part, across its beginning."""
        if self._token and not self.has_found:
            self.has_found = self._token in self._end + part
            self._end = (self._end + part)[-len(self._token) :]
