"""Write to the terminal, or to a file or pipe: there without control characters and without cutting lines.

What draws is loaded where something is drawn: a JSON document needs none of it.
"""

import sys
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

from roas.redaction import hide

if TYPE_CHECKING:
    from rich.text import Text

    from roas.commands.console import SteadyConsole


class Terminal:
    """Hold where a command writes: `out` is for results, `err` for everything else."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._stdout = _forgiving(sys.stdout)
        self._stderr = _forgiving(sys.stderr)

    @cached_property
    def out(self) -> "SteadyConsole":
        """Return the console on stdout."""
        return _console(self._stdout)

    @cached_property
    def err(self) -> "SteadyConsole":
        """Return the console on stderr."""
        return _console(self._stderr)

    @property
    def talk(self) -> "SteadyConsole":
        """Return where a person is talked to: with --json nothing but the document goes to stdout."""
        return self.err if self.as_json else self.out

    def say(self, text: "str | Text", *, console: "SteadyConsole | None" = None) -> None:
        """Write one paragraph; lines are not cut where there is no terminal."""
        from rich.text import Text

        line = text if isinstance(text, Text) else Text(printable(text))
        (console or self.talk).print(line, soft_wrap=True)

    def document(self, text: str) -> None:
        """Write the JSON document."""
        from roas.state.document_texts import hide_in_document

        try:
            self._stdout.write(f"{hide_in_document(text, hide)}\n")
            self._stdout.flush()
        except BrokenPipeError:
            self.out.on_broken_pipe()


def printable(text: str) -> str:
    """Leave out what could steer a terminal, and secrets: logs and names come from elsewhere."""
    text = hide(text)
    return "".join(char for char in text if char in "\n\t" or char.isprintable())


def _forgiving(stream: IO[str]) -> IO[str]:
    """Let a stream write something for what its encoding has no letter for."""
    reconfigure: Any = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    return stream


def _console(stream: IO[str]) -> "SteadyConsole":
    from roas.commands.console import console_on

    return console_on(stream)
