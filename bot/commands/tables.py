"""Draw tables: on a terminal they fit its width, elsewhere no line is cut."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from roas.commands.terminal import printable


def make_table(*headers: str, title: str | None = None) -> Table:
    """Begin a table without frame."""
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold", header_style="dim")
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def add_row(table: Table, cells: Iterable[str], styles: Iterable[str] = ()) -> None:
    """Add a row of plain texts; styles are for the first cells."""
    texts = list(cells)
    given = [*styles][: len(texts)]
    padded = given + [""] * (len(texts) - len(given))
    table.add_row(*(Text(printable(text), style=style) for text, style in zip(texts, padded, strict=True)))
