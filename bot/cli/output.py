"""Write to a terminal, a file or a pipe: text, tables, errors, and JSON documents."""

import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from functools import cached_property
from typing import IO, Any

from pydantic_core import to_jsonable_python
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from roas.api.documents import FaultDocument
from roas.models.actor import Actor
from roas.models.deployment import Problem
from roas.redaction import hide
from roas.state.documents import hide_in_document
from roas.terminals import can_draw
from roas.ui.translation import translate
from roas.ui.units import known_name

WIDTH_WITHOUT_TERMINAL = 200
LEGIBLE = 12
SHORT_ID = 12
REPORT_LINES = 40


class SteadyConsole(Console):
    """Continue without output when the reader has gone: a closed pipe must not end the running deployment."""

    def on_broken_pipe(self) -> None:
        """Write nothing more."""
        self.quiet = True
        discard(self.file)


def console_on(stream: IO[str]) -> SteadyConsole:
    """Create the console of a stream."""
    is_terminal = can_draw(stream)
    return SteadyConsole(
        file=stream,
        force_terminal=is_terminal,
        no_color=not is_terminal or "NO_COLOR" in os.environ,
        width=None if is_terminal else WIDTH_WITHOUT_TERMINAL,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
    )


def discard(stream: IO[str]) -> None:
    """Send whatever is still written to a stream nowhere: its reader has gone."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


class Terminal:
    """Hold where a command writes: `out` is for results, `err` for everything else."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._stdout = _best_effort(sys.stdout)
        self._stderr = _best_effort(sys.stderr)

    @cached_property
    def out(self) -> SteadyConsole:
        """Return the console on stdout."""
        return console_on(self._stdout)

    @cached_property
    def err(self) -> SteadyConsole:
        """Return the console on stderr."""
        return console_on(self._stderr)

    @property
    def talk(self) -> SteadyConsole:
        """Return where a person is talked to: with --json nothing but the document goes to stdout."""
        return self.err if self.as_json else self.out

    @property
    def draws(self) -> bool:
        """Return whether a person who is talked to sees what is drawn."""
        return can_draw(self._stderr if self.as_json else self._stdout)

    def say(self, text: str | Text, *, style: str = "", lead: tuple[str, str] = ("", ""), on_err: bool = False) -> None:
        """Write one paragraph, after a `lead` of another style; lines are not cut where there is no terminal."""
        to_err = on_err or self.as_json
        stream = self._stderr if to_err else self._stdout
        if can_draw(stream) or not isinstance(text, str):
            self._draw(text, style, lead, self.err if to_err else self.out)
            return
        try:
            stream.write(f"{lead[0]}{printable(text).expandtabs()}\n")
            stream.flush()
        except BrokenPipeError:
            (self.err if to_err else self.out).on_broken_pipe()

    def _draw(self, text: str | Text, style: str, lead: tuple[str, str], console: SteadyConsole) -> None:
        drawn = Text(printable(text), style=style or "default") if isinstance(text, str) else text
        console.print(Text(*lead) + drawn, soft_wrap=True)

    def document(self, text: str) -> None:
        """Write the JSON document."""
        try:
            self._stdout.write(f"{hide_in_document(text, hide)}\n")
            self._stdout.flush()
        except BrokenPipeError:
            self.out.on_broken_pipe()


def printable(text: str) -> str:
    """Return it in the reader's language, without secrets and what could steer a terminal; show what is no text."""
    text = hide(translate(text).encode(errors="replace").decode())
    return "".join(char for char in text if char in "\n\t" or char.isprintable())


def _best_effort(stream: IO[str]) -> IO[str]:
    """Let a stream write something for what its encoding has no letter for."""
    reconfigure: Any = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    return stream


class FittingTable(Table):
    """Draw a table, or, where its columns would be too narrow to read, each row as lines of header and text."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it in one of the two ways."""
        needed = Measurement.get(console, options.update(max_width=10_000), self).maximum
        if needed <= options.max_width or options.max_width >= LEGIBLE * len(self.columns):
            yield from super().__rich_console__(console, options)
            return
        for cells in zip(*(column.cells for column in self.columns), strict=True):
            for column, cell in zip(self.columns, cells, strict=True):
                if isinstance(cell, Text) and cell.plain.strip():
                    is_first = column is self.columns[0]
                    lead = Text("" if is_first else f"  {column.header}: ", style="dim")
                    yield Text.assemble(lead, Text(cell.plain.strip(), style=cell.style))


def make_table(*headers: str) -> Table:
    """Begin a table without frame."""
    table = FittingTable(box=None, pad_edge=False, header_style="dim")
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def add_row(table: Table, cells: Iterable[str], styles: Iterable[str] = ()) -> None:
    """Add a row of plain texts; styles are for the first cells."""
    texts = list(cells)
    given = [*styles][: len(texts)]
    padded = given + [""] * (len(texts) - len(given))
    table.add_row(*(Text(printable(text), style=style) for text, style in zip(texts, padded, strict=True)))


def at(moment: datetime | None) -> str:
    """Write a moment in the time zone of this machine, and name the zone."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S %Z}" if moment else ""


def image(reference: str | None) -> str:
    """Shorten the hashes in an image reference to what distinguishes two of them."""
    if not reference:
        return "-"
    name, mark, digest = reference.rpartition("sha256:")
    return f"{name}{mark}{digest[:SHORT_ID]}" if mark else known_name(reference)


def person(actor: Actor) -> str:
    """Name who did something, and where from."""
    return f"{actor.name} ({actor.kind})"


def release(number: int | None) -> str:
    """Write a release as people do: `r12`."""
    return f"r{number}" if number is not None else "-"


def print_error(terminal: Terminal, fault: FaultDocument | Problem) -> None:
    """Write a fault to stderr; with --json its document to stdout, too."""
    if terminal.as_json:
        terminal.document(fault_json(fault))
    describe(terminal, fault)


def describe(terminal: Terminal, fault: FaultDocument | Problem) -> None:
    """Print an error to stderr."""
    terminal.say(fault.message, lead=("error: ", "bold red"), on_err=True)
    for line in _hints(fault):
        terminal.say(line, lead=("  → ", "cyan"), on_err=True)
    for line in fault.report.splitlines()[-REPORT_LINES:]:
        terminal.say(f"  | {line}", on_err=True)


def _hints(fault: FaultDocument | Problem) -> list[str]:
    lines = fault.hint.splitlines()
    if isinstance(fault, FaultDocument) and fault.lock is not None:
        lines.append(f"To cancel it: roas cancel {fault.lock.environment}")
    return lines


def fault_json(fault: FaultDocument | Problem) -> str:
    """Return `{"error": …}`."""
    return json.dumps({"error": to_jsonable_python(asdict(fault))})
