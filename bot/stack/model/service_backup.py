"""Read how the data of a service is backed up and restored: `x-deploy.backup`."""

from collections.abc import Mapping
from typing import Any

from roas.messages.message import said
from roas.models.stack import BackupRule, ServiceDefinition
from roas.stack.model.services import replicas_of
from roas.stack.model.x_deploy import Entry

ENTRY = Entry("backup", frozenset({"command", "restore", "keep", "verify", "before"}))
USUALLY_KEPT, MOST_KEPT = 5, 100
DEPLOY, JOB = "deploy", "job:"


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
    before = _before(name, written.get("before", [DEPLOY]))
    return BackupRule(
        _command(name, written, "command"),
        _command(name, written, "restore"),
        keep,
        verify=_command(name, written, "verify") if "verify" in written else (),
        before_deploy=DEPLOY in before,
        before_jobs=tuple(item.removeprefix(JOB) for item in before if item != DEPLOY),
    )


def _before(name: str, written: object) -> list[str]:
    """Return before what a service is backed up. Raises ComposeFileError."""
    items = written if isinstance(written, list) else []
    if items and all(item == DEPLOY or (str(item).startswith(JOB) and item != JOB) for item in items):
        return list(dict.fromkeys(map(str, items)))
    raise ENTRY.wrong(name, said("a list of `deploy` and `job:NAME`"), within="before")


def check_jobs(definitions: Mapping[str, ServiceDefinition]) -> None:
    """Require that there are the jobs before which services are backed up, and that these run when the jobs do.

    Raises ComposeFileError.
    """
    for name, definition in definitions.items():
        for job in definition.backup.before_jobs if definition.backup is not None else ():
            if job not in definitions or not definitions[job].one_shot:
                raise ENTRY.wrong(name, said("{name} is no job of the stack", name=job), within="before")
            if name not in _needed_by(definitions, job):
                raise ENTRY.wrong(name, said("{job} has to depend on {name}", job=job, name=name), within="before")


def _needed_by(definitions: Mapping[str, ServiceDefinition], name: str) -> set[str]:
    """Return what a service depends on, directly or by others."""
    found, left = set[str](), [name]
    while left:
        needs = {dependency.on for dependency in definitions[left.pop()].dependencies} - found
        found |= needs
        left += needs & definitions.keys()
    return found


def _command(name: str, written: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return a command as a list; one that is a text is given to a shell, as Compose gives that of a health check."""
    command = written.get(key)
    if isinstance(command, str) and command.strip():
        return ("/bin/sh", "-c", command)
    if isinstance(command, list) and command and all(isinstance(part, str) for part in command) and command[0]:
        return tuple(command)
    raise ENTRY.wrong(name, said("a command: a text, or a list of texts"), within=key)
