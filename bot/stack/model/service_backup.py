"""Read how the data of a service is backed up and restored: `x-deploy.backup`."""

from collections.abc import Mapping
from typing import Any

from roas.errors import ComposeFileError
from roas.messages.message import said
from roas.models.stack import BackupRule
from roas.stack.model.services import replicas_of

KNOWN = frozenset({"command", "restore", "keep"})
USUALLY_KEPT, MOST_KEPT = 5, 100
HINT = said("See `{place}` in the documentation: {keys}.", place="x-deploy.backup", keys=", ".join(sorted(KNOWN)))


def backup_of(name: str, service: Mapping[str, Any], *, one_shot: bool) -> BackupRule | None:
    """Return how a service's data is backed up, or None where nobody asks for that. Raises ComposeFileError."""
    extension = service.get("x-deploy")
    written = extension.get("backup") if isinstance(extension, Mapping) else None
    if written is None:
        return None
    if not isinstance(written, Mapping):
        raise _wrong(name, "backup", said("it is no mapping"))
    if unknown := sorted(map(str, set(written) - KNOWN)):
        raise _wrong(name, "backup", said("unknown keys {unknown}", unknown=", ".join(unknown)))
    if one_shot or replicas_of(service) > 1:
        raise _wrong(name, "backup", said("a job and a service of several replicas have no data of their own"))
    keep = written.get("keep", USUALLY_KEPT)
    if not isinstance(keep, int) or isinstance(keep, bool) or not 1 <= keep <= MOST_KEPT:
        raise _wrong(name, "backup.keep", said("a number from {least} to {most}", least=1, most=MOST_KEPT))
    return BackupRule(_command(name, written, "command"), _command(name, written, "restore"), keep)


def _command(name: str, written: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return a command as a list; one that is a text is given to a shell, as Compose gives that of a health check."""
    command = written.get(key)
    if isinstance(command, str) and command.strip():
        return ("/bin/sh", "-c", command)
    if isinstance(command, list) and command and all(isinstance(part, str) for part in command) and command[0]:
        return tuple(command)
    raise _wrong(name, f"backup.{key}", said("a command: a text, or a list of texts"))


def _wrong(name: str, key: str, error: str) -> ComposeFileError:
    reason = said("{key}: {error}", key=key, error=error)
    return ComposeFileError(said("x-deploy of {name} is not valid: {reason}.", name=name, reason=reason), hint=HINT)
