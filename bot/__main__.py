"""`roas` runs the bot; `roas deploy|status|…` does without Discord."""

import atexit
import gc
import os
import sys
import warnings
from typing import NoReturn

from roas.early_interrupt import ended_by_ctrl_c
from roas.terminals import NOT_WRITTEN, open_missing_streams, outlive_terminals, say_what_was_lost

# Python looks for cycles after every 700 new objects by default, hundreds of times while the program is imported, and
# finds none; that is a sixth of the time that a command takes to start. All that is imported are 140,000.
OBJECTS_BETWEEN_COLLECTIONS = 200_000

UNUSED_BY_REQUESTS = ("charset_normalizer", "chardet")
UNUSED_BY_STRUCTLOG = ("better_exceptions", "colorama", "greenlet", "rich")


def run() -> NoReturn:
    """Run the command line as a program, and end without taking apart what was imported.

    That takes Python a twentieth of a command's time, and nothing comes of it. Before it, Python waits for threads,
    does what was left for the end of the process, and writes out what was printed: so does this. Where that fails,
    Python ends in its own way, and says so.
    """
    code = main()
    try:
        if (threading := sys.modules.get("threading")) is not None:
            threading._shutdown()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        code = NOT_WRITTEN if say_what_was_lost() else code
    except Exception:
        sys.exit(code)
    os._exit(code)


def main() -> int:
    """Run the command line and return its exit code."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    open_missing_streams()
    outlive_terminals()
    with ended_by_ctrl_c():
        from roas.commands import answer_quickly, run_command_line

        code = answer_quickly(sys.argv[1:])
        if code is not None:
            return code
        _import_without_extras()
        try:
            return run_command_line(sys.argv[1:])
        finally:
            # At the end Python looks for cycles in everything that was imported, which takes a quarter as long as the
            # import: the memory is the system's again in a moment.
            gc.freeze()


def _import_without_extras() -> None:
    """Keep libraries from loading what this program has no use for, only since it is there.

    structlog would draw tracebacks with rich, which only commands that draw need. requests would guess how an answer
    is encoded, where the engine always says so. pydantic would look through the metadata of all that is installed for
    plugins that watch how models are made.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    for unused in (*UNUSED_BY_REQUESTS, *UNUSED_BY_STRUCTLOG):
        sys.modules.setdefault(unused, None)  # type: ignore[arg-type]
    warnings.filterwarnings("ignore", message="Unable to find acceptable character detection dependency")
    import structlog  # noqa: F401

    for needed_later in UNUSED_BY_STRUCTLOG:
        if sys.modules[needed_later] is None:
            del sys.modules[needed_later]


if __name__ == "__main__":
    run()
