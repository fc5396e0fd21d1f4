"""Read how the data of a service is backed up and restored: `x-deploy.backup`."""

from collections.abc import Mapping
from typing import Any

from roas.messages.message import said
from roas.models.stack import BackupRule
from roas.stack.model.services import replicas_of
from roas.stack.model.x_deploy import Entry

ENTRY = Entry("backup", frozenset({"command", "restore", "keep", "verify"}))
USUALLY_KEPT, MOST_KEPT = 5, 100


def backup_of(name: str, service: Mapping[str, Any], *, one_shot: bool) -> BackupRule | None:
    """Return how a service's data is backed up, or None where nobody asks for that. Raises ComposeFileError."""
    if (found := ENTRY.written_in(service)) is None:
        return None
    written = ENTRY.require_mapping(name, found)
    if one_shot or replicas_of(service) > 1:
        raise ENTRY.wrong(name, said("a job and a service of several replicas have no data of their own"))
    keep = written.get("keep", USUALLY_KEPT)
    if not isinstance(keep, int) or isinstance(keep, bool) or not 1 <= keep <= MOST_KEPT:
        raise ENTRY.wrong(name, said("a number from {least} to {most}", least=1, most=MOST_KEPT), within="keep")
    return BackupRule(
        _command(name, written, "command"),
        _command(name, written, "restore"),
        keep,
        verify=_command(name, written, "verify") if "verify" in written else (),
    )


def _command(name: str, written: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return a command as a list; one that is a text is given to a shell, as Compose gives that of a health check."""
    command = written.get(key)
    if isinstance(command, str) and command.strip():
        return ("/bin/sh", "-c", command)
    if isinstance(command, list) and command and all(isinstance(part, str) for part in command) and command[0]:
        return tuple(command)
    raise ENTRY.wrong(name, said("a command: a text, or a list of texts"), within=key)
