"""`status --json` where a bot of this version runs: pass on what it says, and load nothing else for it.

The bot has hidden its secrets already. Whatever is unusual is left to the command itself, which says what is wrong:
other arguments, no bot, another version, a fault, settings that take more to read.
"""

import errno
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from roas.configuration.state_folder import find_state_folder
from roas.control.quick_question import quick_answer
from roas.version import __version__

COMMAND, AS_JSON = "status", "--json"
GREETING_SECONDS, SILENT_SECONDS, ANSWER_SECONDS = 2.0, 1.0, 30.0
SUCCEEDED, UNAVAILABLE, INTERRUPTED = 0, 69, 130
NOBODY_READS = (errno.EPIPE, errno.EIO)


def pass_on_status(arguments: Sequence[str]) -> int | None:
    """Print the bot's document and return the exit code; None where that is not all there is to do."""
    names = [one for one in arguments[1:] if one != AS_JSON]
    is_plain = len(names) <= 1 and not any(one.startswith("-") or not one for one in names)
    if list(arguments[:1]) != [COMMAND] or AS_JSON not in arguments or not is_plain:
        return None
    try:
        document = _ask(names)
        if document is None:
            return None
        code = UNAVAILABLE if all(one["fault"] for one in json.loads(document)["environments"]) else SUCCEEDED
    except (OSError, ValueError, LookupError, TypeError):
        return None
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return INTERRUPTED
    _print(document)
    return code


def _ask(names: Sequence[str]) -> str | None:
    folder = find_state_folder(os.environ)
    greeting = None if folder is None else _greeting(folder)
    if folder is None or greeting is None or json.loads(greeting)["version"] != __version__:
        return None
    target = f"/v1/status{''.join(map(_query, names))}"
    return quick_answer(
        folder, target, ANSWER_SECONDS, silent_seconds=SILENT_SECONDS, lives=lambda: _greeting(folder) is not None
    )


def _greeting(folder: Path) -> str | None:
    """Return how the bot introduces itself, which one that hangs does not. Raises OSError, ValueError."""
    return quick_answer(folder, "/v1/greeting", GREETING_SECONDS)


def _query(name: str) -> str:
    from urllib.parse import quote

    return f"?environment={quote(name, safe='')}"


def _print(document: str) -> None:
    """Print to whoever still reads."""
    try:
        sys.stdout.buffer.write(f"{document}\n".encode())
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in NOBODY_READS:
            raise
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
