"""Sanitize untrusted text before it is kept: no control characters, no secrets, no endless lines."""

import unicodedata
from collections.abc import Callable

from roas.messages.message import Message
from roas.secret_forms import without_control

KEPT_CONTROL = frozenset("\n\t")
LONGEST_LINE = 500
LONGEST_SECRET = 4096


def sanitize(text: str, limit: int, redact: Callable[[str], str] = str) -> str:
    """Return a text without secrets, terminal escapes or characters that change the writing direction, clipped.

    Characters that nobody sees may split a secret, or join it to the word before, so it is searched for with and
    without them. Clipping comes last, so that no part of a secret is left at the edge. What of a message has to be
    clipped is plain text.
    """
    if isinstance(text, Message):
        return text.hidden(
            lambda part: redact(_without_control(redact(part))), lambda whole: sanitize(whole, limit, redact)
        )
    # Text beyond the clip need not be searched: a text may be as long as a request.
    seen = text[: 8 * limit + LONGEST_SECRET]
    clean = redact(_without_control(redact(seen)))
    return _clip(clean if len(seen) == len(text) else clean[:-LONGEST_SECRET], limit)


def _without_control(text: str) -> str:
    return "".join(
        char for char in without_control(text) if char in KEPT_CONTROL or unicodedata.category(char)[0] != "C"
    )


def _clip(text: str, limit: int) -> str:
    lines = (line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…" for line in text.split("\n"))
    joined = "\n".join(lines).strip()
    return joined if len(joined) <= limit else joined[: limit - 1] + "…"
