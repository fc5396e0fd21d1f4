"""Say which of our faults an error of the system is: what ran out for a while, and what passes by itself."""

import errno

from roas.errors import (
    EngineError,
    EnginePartAwayError,
    EngineUnavailableError,
    InternalFaultError,
    RoasError,
    ShortageError,
    StateError,
)
from roas.messages.message import said

SHORT_OF = {
    errno.EAGAIN: said("processes or threads"),
    errno.ENOMEM: said("memory"),
    errno.EMFILE: said("open files"),
    errno.ENFILE: said("open files"),
    errno.ENOSPC: said("disk space"),
    errno.EDQUOT: said("disk space"),
}
# What Python raises where the system has no thread for it.
NO_THREAD = (("can't start new thread",),)


def find_shortage(error: BaseException) -> ShortageError | None:
    """Return what ran out for a while where that is what an error of the system says, else None."""
    number = None
    if isinstance(error, MemoryError):
        number = errno.ENOMEM
    elif isinstance(error, RuntimeError) and error.args in NO_THREAD:
        number = errno.EAGAIN
    elif isinstance(error, OSError):
        number = error.errno
    if number not in SHORT_OF:
        return None
    return shortage(SHORT_OF[number], str(getattr(error, "strerror", "") or error or type(error).__name__))


def find_passing(error: BaseException | None) -> EngineUnavailableError | None:
    """Return what passes by itself where that is what an error is, or came of: no release or file is to blame then."""
    seen: set[int] = set()  # a fault that is raised again may be its own cause
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, EnginePartAwayError | ShortageError):
            return error
        if (short := find_shortage(error)) is not None:
            return short
        error = error.__cause__
    return None


def shortage(what: str, reason: str, service: str | None = None) -> ShortageError:
    """Create the error for what ran out for a while."""
    return ShortageError(
        said("Out of {what} for the moment: {reason}.", what=what, reason=reason.rstrip(".")),
        hint=said(
            "Find what uses it up, or raise the limit (`pids_limit`, `ulimits`, memory, disk space), then try again."
        ),
        service=service,
    )


def fault_of(error: Exception) -> RoasError:
    """Return any error as one of ours: what passes by itself, where it came of that, or one that nobody foresaw."""
    if isinstance(error, StateError):  # it says where, and what stops for it
        return error
    if (passing := find_passing(error)) is not None:
        return passing
    if isinstance(error, RoasError):
        return error
    return InternalFaultError(
        said("Unexpected internal error ({name}).", name=type(error).__name__),
        hint=said("See the bot's log, and report it."),
    )


def unusable_state(error: OSError) -> EngineError:
    """Create the error for a file of the state that cannot be read or written."""
    return find_shortage(error) or EngineError(
        said(
            "The state folder {folder} cannot be used: {strerror}",
            folder="STATE_DIR",
            strerror=f"{error.strerror or error} ({error.filename})",
        ),
        hint=said("The bot's user must own all that is in STATE_DIR."),
    )
