"""Write to the terminal, or to a file or pipe: there without control characters and without cutting lines."""

import os
import sys
from contextlib import suppress
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from roas.redaction import hide

WIDTH_WITHOUT_TERMINAL = 200


class SteadyConsole(Console):
    """Continue without output when the reader has gone: a closed pipe must not end the running deployment."""

    def on_broken_pipe(self) -> None:
        """Write nothing more."""
        self.quiet = True
        discard(self.file)


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
        self.out = _console(sys.stdout)
        self.err = _console(sys.stderr)
        # With --json nothing but the document goes to stdout.
        self.talk = self.err if as_json else self.out

    def say(self, text: str | Text, *, console: Console | None = None) -> None:
        """Write one paragraph; lines are not cut where there is no terminal."""
        line = text if isinstance(text, Text) else Text(printable(text))
        (console or self.talk).print(line, soft_wrap=True)

    def document(self, text: str) -> None:
        """Write the JSON document."""
        from roas.state.document_texts import hide_in_document

        self.out.print(Text(str(hide_in_document(text, hide))), soft_wrap=True)


def printable(text: str) -> str:
    """Leave out what could steer a terminal, and secrets: logs and names come from elsewhere."""
    text = hide(text)
    return "".join(char for char in text if char in "\n\t" or char.isprintable())


def _console(stream: IO[str]) -> Console:
    is_terminal = stream.isatty() and os.environ.get("TERM", "") != "dumb"
    reconfigure: Any = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
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
