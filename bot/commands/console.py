"""Draw on a terminal, or write plainly to a file or pipe: there without colours and without cutting lines."""

import os
from contextlib import suppress
from typing import IO

from rich.console import Console

from roas.terminals import can_draw

WIDTH_WITHOUT_TERMINAL = 200


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
