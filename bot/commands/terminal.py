"""Write to the terminal, or to a file or pipe: there without control characters and without cutting lines.

What draws is loaded where something is drawn: neither a JSON document nor a file nor a pipe needs it.
"""

import sys
from functools import cached_property
from typing import IO, Any

from rich.text import Text

from roas.commands.console import SteadyConsole, console_on
from roas.redaction import hide
from roas.state.document_texts import hide_in_document
from roas.terminals import can_draw


class Terminal:
    """Hold where a command writes: `out` is for results, `err` for everything else."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._stdout = _forgiving(sys.stdout)
        self._stderr = _forgiving(sys.stderr)

    @cached_property
    def out(self) -> SteadyConsole:
        """Return the console on stdout."""
        return _console(self._stdout)

    @cached_property
    def err(self) -> SteadyConsole:
        """Return the console on stderr."""
        return _console(self._stderr)

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
    """Leave out what could steer a terminal, and secrets; show where there is what is no text."""
    text = hide(text.encode(errors="replace").decode())
    return "".join(char for char in text if char in "\n\t" or char.isprintable())


def _forgiving(stream: IO[str]) -> IO[str]:
    """Let a stream write something for what its encoding has no letter for."""
    reconfigure: Any = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    return stream


def _console(stream: IO[str]) -> SteadyConsole:
    return console_on(stream)
