"""Tame words that somebody else wrote before they are kept: no control signs, no endless lines."""

import unicodedata

KEPT_CONTROL = frozenset("\n\t")
LONGEST_LINE = 500


def tame(text: str, limit: int) -> str:
    """Return a text without signs that steer terminals or turn the direction of writing, clipped."""
    # What is cut away need not be looked at: a text may be as long as a request.
    seen = text[: 8 * limit].replace("\r\n", "\n")
    clean = "".join(sign for sign in seen if sign in KEPT_CONTROL or unicodedata.category(sign)[0] != "C")
    lines = (line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…" for line in clean.split("\n"))
    joined = "\n".join(lines).strip()
    return joined if len(joined) <= limit else joined[: limit - 1] + "…"
