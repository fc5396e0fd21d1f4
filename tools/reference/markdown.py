"""Write and read the little Markdown that the reference pages are made of."""

import re
from collections.abc import Iterable, Sequence

CODE_SPAN = re.compile(r"(`[^`]*`)")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a cell may hold Markdown, and what would end it is escaped."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def code(text: object) -> str:
    """Return a text as code; nothing for an empty one."""
    return f"`{text}`" if str(text) else ""


def plain(text: str) -> str:
    """Return a text without line breaks in which nothing outside of code spans is taken for HTML."""
    pieces = CODE_SPAN.split(" ".join(text.split()))
    return "".join(p if p.startswith("`") else p.replace("<", "&lt;").replace(">", "&gt;") for p in pieces)


def section(page: str, title: str) -> str:
    """Return the text below a heading of the second level. Raises ValueError where there is no such heading."""
    _, found, rest = f"\n{page}".partition(f"\n## {title}\n")
    if not found:
        raise ValueError(f"the page has no section {title!r}")
    return rest.partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the first table in a text, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])] for line in lines[2:]]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
