"""Look at a text as its readers could decode it, and at a secret in the forms that others encode it in."""

import base64
import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

Span = tuple[int, int]

# A terminal's sequences, and characters that nobody sees.
_INVISIBLE = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Each pattern begins with one set of characters, by which the search for it is fast.
_UNSEEN = (
    r"(?<=\x1b)\[[0-?]*[ -/]*[@-~]|(?<=\x9b)[0-?]*[ -/]*[@-~]|(?<=\x1b)[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"
    rf"|(?<=\x1b)[ -/]*[0-~]|(?<=[{_INVISIBLE}])[{_INVISIBLE}]*"
)
UNSEEN = re.compile(rf"[{_INVISIBLE}](?:{_UNSEEN})")
ESCAPES = re.compile(
    rf"[\\%&{_INVISIBLE}](?:"
    r"(?P<utf16>(?<=\\)u[0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4})*)|(?P<utf8>(?<=\\)x[0-9a-fA-F]{2}(?:\\x[0-9a-fA-F]{2})*)"
    r"|(?P<percent>(?<=%)[0-9a-fA-F]{2}(?:%[0-9a-fA-F]{2})*)"
    r"|(?P<point>(?<=\\)u\{[0-9a-fA-F]{1,6}\}|(?<=\\)U[0-9a-fA-F]{8})"
    r"|(?P<octal>(?<=\\)[0-3][0-7]{2}(?:\\[0-3][0-7]{2})*)"
    r"|(?P<entity>(?<=&)(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos);)"
    rf"|(?P<unseen>{_UNSEEN})|(?P<other>(?<=\\)[^ux{_INVISIBLE}]))"
)
LINE_BREAKS = re.compile(r"\r?\n[ \t]*")
ESCAPED = {"n": "\n", "r": "\n", "t": "\t", "b": "", "f": "", "a": "", "v": "", "0": "", "e": "\x1b"}
# An escape may itself be escaped, as JSON in JSON is.
DEEPEST = 4
SHORTEST_ENCODED = 7


@dataclass(frozen=True, slots=True)
class View:
    """Hold a text as it reads once decoded, and where each part of it came from."""

    text: str
    starts: tuple[int, ...]
    origins: tuple[Span, ...]
    behind: "View | None" = None

    def original(self, span: Span) -> Span:
        """Return where a part of the view is in the text that was decoded; an escape counts as one character."""
        start, end = span
        if self.starts:
            start, end = self._place(start)[0], self._place(end - 1)[1]
        return self.behind.original((start, end)) if self.behind is not None else (start, end)

    def _place(self, position: int) -> Span:
        index = bisect_right(self.starts, position) - 1
        begin, end = self.origins[index]
        size = (self.starts[index + 1] if index + 1 < len(self.starts) else len(self.text)) - self.starts[index]
        if end - begin != size:  # an escape, which is taken as a whole
            return begin, end
        offset = position - self.starts[index]
        return begin + offset, begin + offset + 1


def views_of(text: str) -> Iterator[View]:
    """Yield the text decoded as far as it goes; itself, unchanged, is none of them."""
    view = View(text, (), ())
    for _ in range(DEEPEST):
        if not ("\\" in view.text or "%" in view.text or "&" in view.text or UNSEEN.search(view.text)):
            break
        plainer = _replaced(view, ESCAPES, _decode)
        if plainer is view:
            break
        view = plainer
        yield view


def joined(view: View) -> View:
    """Return a view whose lines follow each other without a break."""
    return _replaced(view, LINE_BREAKS, lambda _: "")


def decoded(text: str) -> str:
    """Return a text decoded as far as it goes."""
    return [whole(text), *views_of(text)][-1].text


def whole(text: str) -> View:
    """Return a text as a view of itself."""
    return View(text, (), ())


def without_control(text: str) -> str:
    """Return a text without terminal sequences and characters that nobody sees; line breaks and tabs stay."""
    return UNSEEN.sub("", text.replace("\r\n", "\n")).replace("\r", "\n")


def encoded_forms(value: str) -> Iterator[str]:
    """Yield how a value reads in base64 wherever it begins there, in hexadecimal, and in a URL."""
    raw = value.encode()
    for offset in range(3):
        # Bytes before it and after it decide on the characters at its edges: only those between are certain.
        first = -(-offset * 8 // 6)
        last = (offset + len(raw)) * 8 // 6
        standard = base64.b64encode(b"\0" * offset + raw).decode()[first:last]
        yield from _long_enough(standard, standard.replace("+", "-").replace("/", "_"))
    yield from _long_enough(raw.hex(), raw.hex().upper())
    for encode in (quote, quote_plus):
        yield from _long_enough(encode(value, safe=""))


def _long_enough(*forms: str) -> Iterator[str]:
    yield from (form for form in forms if len(form) >= SHORTEST_ENCODED)


def _replaced(view: View, pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str]) -> View:
    text, pieces = view.text, []
    starts: list[int] = []
    origins: list[Span] = []
    position = length = 0

    def keep(piece: str, begin: int, end: int) -> None:
        nonlocal length
        if piece:
            starts.append(length)
            origins.append((begin, end))
            pieces.append(piece)
            length += len(piece)

    for match in pattern.finditer(text):
        keep(text[position : match.start()], position, match.start())
        keep(replace(match), *match.span())
        position = match.end()
    if position == 0:
        return view
    keep(text[position:], position, len(text))
    return View("".join(pieces), tuple(starts), tuple(origins), view)


def _decode(match: re.Match[str]) -> str:
    found, kind = match.group(0), str(match.lastgroup)
    match kind:
        case "utf16":
            return bytes.fromhex(found.replace("\\u", "")).decode("utf-16-be", errors="replace")
        case "utf8" | "percent":
            return bytes.fromhex(found.replace("\\x", "").replace("%", "")).decode(errors="replace")
        case "octal":
            return bytes(int(part, 8) for part in found.split("\\")[1:]).decode(errors="replace")
        case "point":
            number = int(found.strip("\\uU{}"), 16)
            return chr(number) if number <= 0x10FFFF else ""
        case "entity":
            return html.unescape(found)
        case "other":
            return ESCAPED.get(found[1], found[1])
        case _:
            return ""
