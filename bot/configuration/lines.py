"""Find the line of every key of a TOML text: `tomllib` reads the values and does not say where they stood."""

import re
import tomllib
from bisect import bisect_left

KeyPath = tuple[str | int, ...]

BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
ONE_LINE = {'"': re.compile(r'"(?:[^"\\]|\\.)*"'), "'": re.compile(r"'[^']*'")}
# Up to two quotes may come just before the three that end such a text.
MANY_LINES = {
    '"""': re.compile(r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}', re.DOTALL),
    "'''": re.compile(r"'''(?:[^']|'{1,2}(?!'))*'{3,5}"),
}
# A number, a date, `true`: up to what ends a value. A date may have a space before its time.
PLAIN = re.compile(r"[^,\]}#\n]*")


def lines_of(text: str) -> dict[KeyPath, int]:
    """Return the line, counted from 1, on which each key, table and item of an array begins.

    The text must be TOML that `tomllib` has read.
    """
    walk = _Walk(text)
    walk.run()
    return walk.lines


class _Walk:
    """Go through the text once, from key to key."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._items: dict[KeyPath, int] = {}  # how many tables an array of tables has so far

    def run(self) -> None:
        """Read header after header, and key after key."""
        table: KeyPath = ()
        self._skip()
        while self._at < len(self._text):
            if self._sees("["):
                table = self._header()
            else:
                self._pair(table)
            self._skip()

    def _header(self) -> KeyPath:
        """Read `[a.b]` or `[[a.b]]`; returns the path of the keys that follow."""
        start, is_item = self._at, self._text.startswith("[[", self._at)
        self._at += 2 if is_item else 1
        *parents, last = self._key()
        self._at = self._text.index("]" * (2 if is_item else 1), self._at) + (2 if is_item else 1)
        path: KeyPath = ()
        for part in parents:
            path = self._newest_item((*path, part))
            self._note(path, start)
        path = (*path, last)
        if not is_item:
            path = self._newest_item(path)
        else:
            self._note(path, start)
            self._items[path] = self._items.get(path, 0) + 1
            path = (*path, self._items[path] - 1)
        self._note(path, start)
        return path

    def _newest_item(self, path: KeyPath) -> KeyPath:
        return (*path, self._items[path] - 1) if path in self._items else path

    def _pair(self, table: KeyPath) -> None:
        """Read `key = value`."""
        start = self._at
        path = table
        for part in self._key():
            path = (*path, part)
            self._note(path, start)
        self._at = self._text.index("=", self._at) + 1
        self._value(path)

    def _key(self) -> list[str]:
        """Read a key with its dots."""
        parts = []
        while True:
            self._skip()
            quote = self._text[self._at]
            raw = self._match(ONE_LINE.get(quote, BARE_KEY))
            parts.append(next(iter(tomllib.loads(f"{raw} = 0"))) if quote in ONE_LINE else raw)
            self._skip()
            if not self._sees("."):
                return parts
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        self._skip()
        if (pattern := MANY_LINES.get(self._text[self._at : self._at + 3])) is not None:
            self._match(pattern)
        elif self._text[self._at] in ONE_LINE:
            self._match(ONE_LINE[self._text[self._at]])
        elif self._sees("["):
            self._inside("]", path)
        elif self._sees("{"):
            self._inside("}", path)
        else:
            self._match(PLAIN)

    def _inside(self, end: str, path: KeyPath) -> None:
        """Read the items of an array, or the keys of a table written on one line."""
        self._at += 1
        self._skip()
        number = 0
        while not self._sees(end):
            if end == "]":
                self._note((*path, number), self._at)
                self._value((*path, number))
                number += 1
            else:
                self._pair(path)
            self._skip()
            if self._sees(","):
                self._at += 1
                self._skip()
        self._at += 1

    def _skip(self) -> None:
        """Go over spaces, ends of lines and comments."""
        self._match(BLANK)

    def _sees(self, char: str) -> bool:
        return self._text.startswith(char, self._at)

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:  # tomllib has parsed it, so only a fault of ours leads here
            raise ValueError(f"unexpected TOML at line {self._line(self._at)}")
        self._at = found.end()
        return found.group()

    def _note(self, path: KeyPath, at: int) -> None:
        self.lines.setdefault(path, self._line(at))

    def _line(self, at: int) -> int:
        return bisect_left(self._ends, at) + 1
