"""Convert errors to documents and back to the same typed errors."""

from collections.abc import Iterator

from roas.control.documents import FaultDocument
from roas.errors import InvalidRequestError, RoasError, StateError
from roas.held_environment import LockHeldError
from roas.messages.message import said


class ControlUnavailableError(StateError):
    """A bot lives, but does not answer on its control socket."""

    key = "control_unavailable"
    transient = True


class ControlSocketHeldError(StateError):
    """Another running bot answers on the control socket."""

    key = "control_socket_held"


def to_document(error: RoasError) -> FaultDocument:
    """Return a fault as plain data."""
    lock = error.lock if isinstance(error, LockHeldError) else None
    return FaultDocument(error.key, error.message, error.hint, error.service, error.report, lock)


def from_document(document: FaultDocument) -> RoasError:
    """Return the typed error of a document; a key that is not known here becomes a plain RoasError."""
    if document.lock is not None:
        return LockHeldError(document.lock)
    kinds = {kind.key: kind for kind in reversed(list(_kinds(RoasError))) if kind is not LockHeldError}
    kind = kinds.get(document.key, RoasError)
    error = kind(document.message, hint=document.hint, service=document.service, report=document.report)
    error.key = document.key
    return error


def invalid_document() -> InvalidRequestError:
    """Create the error for a body that cannot be parsed."""
    return InvalidRequestError(
        said("The bot does not understand this request."),
        hint=said("Use the command line of the same version as the bot."),
    )


def _kinds(kind: type[RoasError]) -> Iterator[type[RoasError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _kinds(child)
