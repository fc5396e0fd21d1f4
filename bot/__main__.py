"""`roas` runs the bot; `roas deploy|status|…` does without Discord."""

import os
import sys
from typing import NoReturn

from roas.terminals import NOT_WRITTEN, open_missing_streams, outlive_terminals, say_what_was_lost

INTERRUPTED = 130


def run() -> NoReturn:
    """Run the command line as a program."""
    open_missing_streams()
    outlive_terminals()
    # pydantic would look through the metadata of all that is installed for plugins that watch how models are made.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from roas.cli import run_command_line  # takes a moment, in which Ctrl-C ends it like any other program

        code = run_command_line(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(NOT_WRITTEN if say_what_was_lost() else code)


if __name__ == "__main__":
    run()
