"""Match paths by the patterns of a `.dockerignore`, in a time that grows with their lengths alone.

Python's regular expressions try every way in which several stars can share a name, and nothing else of the process runs
meanwhile: a line of ten stars would stop the bot. So a pattern with more than a few of them is walked along, with all
the places in it that may be reached at once.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from docker.utils.fnmatch import translate

from roas.errors import ComposeFileError
from roas.messages.message import said

LONGEST = 1000
# With so many, regular expressions are quick, whatever they are asked.
FEW_STARS = 2
STAR = re.compile(r"\*\*?")
CLASS = re.compile(r"\[!?\]?[^\]]*\]")


@dataclass(frozen=True, slots=True)
class _Step:
    """Take one character and go on, or stay on what a star takes; an entry takes none, and may skip the next."""

    takes: re.Pattern[str] | None = None
    stays: re.Pattern[str] | None = None
    is_entry: bool = False


ANY, NO_SLASH, SLASH = re.compile("(?s:.)"), re.compile("[^/]"), re.compile("/")


class IgnorePattern:
    """Hold one cleaned pattern. Raises ComposeFileError for one that is none, or too long."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise ComposeFileError(
                said("A pattern of a `.dockerignore` is too long."), hint=said("Write several shorter ones.")
            )
        try:
            self._expression = re.compile(translate(text))
            self._steps = None if len(STAR.findall(text)) <= FEW_STARS else tuple(_steps(text))
        except re.error as error:
            raise ComposeFileError(
                said("A `.dockerignore` has the pattern {text}, which is none.", text=repr(text)),
                hint=said("Correct it, or leave it out."),
            ) from error

    def matches(self, path: str) -> bool:
        """Return whether a path is meant, all of it."""
        if self._steps is None:
            return self._expression.match(path) is not None
        return _walk(self._steps, path)


def _steps(text: str) -> Iterator[_Step]:
    """Read a pattern as the regular expression for it does."""
    at = 0
    while at < len(text):
        if text.startswith("**", at):
            at += 3 if text.startswith("**/", at) else 2
            if at >= len(text):
                yield _Step(stays=ANY)
            else:  # any folders, or none
                yield from (_Step(is_entry=True), _Step(takes=SLASH, stays=ANY))
            continue
        found = CLASS.match(text, at)
        if text[at] == "*":
            yield _Step(stays=NO_SLASH)
        elif text[at] == "?":
            yield _Step(takes=NO_SLASH)
        elif found:
            yield _Step(takes=re.compile(translate(found[0])))
        else:
            yield _Step(takes=re.compile(re.escape(text[at])))
        at = found.end() if found and text[at] == "[" else at + 1


def _walk(steps: tuple[_Step, ...], path: str) -> bool:
    places = _reached(steps, {0})
    for char in path:
        following: set[int] = set()
        for place in places:
            if place < len(steps):
                step = steps[place]
                if step.stays and step.stays.match(char):
                    following.add(place)
                if step.takes and step.takes.match(char):
                    following.add(place + 1)
        places = _reached(steps, following)
        if not places:
            return False
    return len(steps) in places


def _reached(steps: tuple[_Step, ...], places: set[int]) -> set[int]:
    """Add the places that are reached from these without a character."""
    pending, found = list(places), set(places)
    while pending:
        place = pending.pop()
        if place >= len(steps):
            continue
        step = steps[place]
        onward = (place + 1, place + 2) if step.is_entry else () if step.takes else (place + 1,)
        pending += [one for one in onward if one not in found]
        found |= set(onward)
    return found
