"""Draw tables: on a terminal they fit its width, elsewhere no line is cut."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from roas.commands.terminal import printable

# Below so many columns for each column of a table that does not fit, words would be broken every few letters.
LEGIBLE = 12


class FittingTable(Table):
    """Draw a table, or, where its columns would be too narrow to read, each row as lines of header and text."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it in one of the two ways."""
        needed = Measurement.get(console, options.update(max_width=10_000), self).maximum
        if needed <= options.max_width or options.max_width >= LEGIBLE * len(self.columns):
            yield from super().__rich_console__(console, options)
            return
        if self.title:
            yield Text(str(self.title), style="bold")
        for cells in zip(*(column.cells for column in self.columns), strict=True):
            for column, cell in zip(self.columns, cells, strict=True):
                if isinstance(cell, Text) and cell.plain.strip():
                    is_first = column is self.columns[0]
                    lead = Text("" if is_first else f"  {column.header}: ", style="dim")
                    yield Text.assemble(lead, Text(cell.plain.strip(), style=cell.style))


def make_table(*headers: str, title: str | None = None) -> Table:
    """Begin a table without frame."""
    table = FittingTable(
        box=None, pad_edge=False, title=title, title_justify="left", title_style="bold", header_style="dim"
    )
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def add_row(table: Table, cells: Iterable[str], styles: Iterable[str] = ()) -> None:
    """Add a row of plain texts; styles are for the first cells."""
    texts = list(cells)
    given = [*styles][: len(texts)]
    padded = given + [""] * (len(texts) - len(given))
    table.add_row(*(Text(printable(text), style=style) for text, style in zip(texts, padded, strict=True)))
