"""Read how the data of a service is backed up and restored: `x-deploy.backup`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from roas.limits import DATA_TIMEOUT_SECONDS, LONGEST_DATA_TIMEOUT_SECONDS
from roas.messages.message import said
from roas.models.stack import BackupRule, ServiceDefinition
from roas.models.windows import read_cron
from roas.stack.model.durations import write_duration
from roas.stack.model.services import replicas_of, services_of
from roas.stack.model.x_deploy.entry import Entry

OF_BOTH = frozenset({"keep", "verify", "before", "every", "key", "timeout"})
# What only one of both ways has.
OF_COMMANDS, OF_VOLUMES = ("command", "restore"), ("while", "helper")
ENTRY = Entry("backup", OF_BOTH.union(OF_COMMANDS, OF_VOLUMES, {"volume"}))
USUALLY_KEPT, MOST_KEPT = 5, 100
DEPLOY, JOB = "deploy", "job:"
STOPPED, PAUSED = "stopped", "paused"


def backup_of(name: str, model: Mapping[str, Any], *, one_shot: bool) -> BackupRule | None:
    """Return how a service's data is backed up, or None where nobody asks for that. Raises ComposeFileError."""
    service = services_of(model)[name]
    if (found := ENTRY.written_in(service)) is None:
        return None
    written = ENTRY.require_mapping(name, found)
    is_global = (service.get("deploy") or {}).get("mode") == "global"
    if one_shot or is_global or replicas_of(service) > 1:
        raise ENTRY.wrong(name, said("a job and a service of several replicas have no data of their own"))
    keep = written.get("keep", USUALLY_KEPT)
    if not isinstance(keep, int) or isinstance(keep, bool) or not 1 <= keep <= MOST_KEPT:
        raise ENTRY.has_to_be(name, f"1–{MOST_KEPT}", within="keep")
    by_volume = "volume" in written
    for key in OF_COMMANDS if by_volume else OF_VOLUMES:
        if key in written:
            why = said("not with {key}", key="`volume`") if by_volume else said("only with {key}", key="`volume`")
            raise ENTRY.wrong(name, why, within=key)
    every = _every(name, written.get("every"))
    key = _key(name, written) if "key" in written else ""
    verify = _command(name, written, "verify") if "verify" in written else ()
    before = _before(name, written.get("before", [DEPLOY]), may_be_empty=bool(every))
    rule = BackupRule(
        (),
        (),
        keep,
        verify=verify,
        before_deploy=DEPLOY in before,
        before_jobs=tuple(item.removeprefix(JOB) for item in before if item != DEPLOY),
        every=every,
        key=key,
        timeout_seconds=_timeout(name, written) if "timeout" in written else DATA_TIMEOUT_SECONDS,
    )
    if by_volume:
        return _by_volume(name, model, written, rule)
    return replace(rule, command=_command(name, written, "command"), restore=_command(name, written, "restore"))


def _timeout(name: str, written: Mapping[str, Any]) -> float:
    """Return how many seconds a backup may take. Raises ComposeFileError."""
    seconds = ENTRY.read_seconds(name, "timeout", written["timeout"])
    if seconds > LONGEST_DATA_TIMEOUT_SECONDS:
        raise ENTRY.has_to_be(name, f"≤ {write_duration(LONGEST_DATA_TIMEOUT_SECONDS)}", within="timeout")
    return seconds


def _key(name: str, written: Mapping[str, Any]) -> str:
    """Return where the key lies. Raises ComposeFileError; an empty one would leave backups open to read."""
    path = written["key"]
    if not isinstance(path, str) or not path.startswith("/"):
        raise ENTRY.has_to_be(name, "/PATH/TO/FILE", within="key")
    return path


def _every(name: str, written: object) -> str:
    """Return the cron expression by which a service is backed up; empty for none. Raises ComposeFileError."""
    if written is None:
        return ""
    try:
        return read_cron(str(written))
    except ValueError as error:
        raise ENTRY.wrong(name, error, within="every") from error


def _before(name: str, written: object, *, may_be_empty: bool) -> list[str]:
    """Return before what a service is backed up. Raises ComposeFileError."""
    items = written if isinstance(written, list) else [None]
    if (items or may_be_empty) and all(item == DEPLOY or (str(item).startswith(JOB) and item != JOB) for item in items):
        return list(dict.fromkeys(map(str, items)))
    raise ENTRY.has_to_be(name, "[deploy, job:NAME]", within="before")


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


def _by_volume(name: str, model: Mapping[str, Any], written: Mapping[str, Any], rule: BackupRule) -> BackupRule:
    # In the middle of a deployment, others that write into it may be about to start.
    if rule.before_jobs:
        raise ENTRY.wrong(
            name, said("a volume is copied before all of a deployment, not before a job"), within="before"
        )
    still, helper = written.get("while", STOPPED), written.get("helper", name)
    if still not in (STOPPED, PAUSED):
        raise ENTRY.has_to_be(name, f"{STOPPED} | {PAUSED}", within="while")
    if helper not in services_of(model):
        raise ENTRY.has_to_be(name, " | ".join(sorted(services_of(model))), within="helper")
    volumes = _volumes(name, model, written["volume"])
    return replace(rule, volumes=volumes, pauses=still == PAUSED, helper=helper)


def _volumes(name: str, model: Mapping[str, Any], written: object) -> tuple[str, ...]:
    """Return the volumes, one or a list of them, as the engine calls them: those that the service itself mounts."""
    keys = [written] if isinstance(written, str) else written
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
        raise ENTRY.has_to_be(name, "[VOLUME]", within="volume")
    mounts = services_of(model)[name].get("volumes") or ()
    sources = {mount["source"] for mount in mounts if mount.get("type") == "volume" and mount.get("source")}
    mounted = {_volume_name(model, source) for source in sources}
    names = {key: _volume_name(model, key) for key in keys}
    if unknown := sorted(key for key in names if names[key] not in mounted):
        raise ENTRY.wrong(
            name, said("{service} mounts no volume {volume}", service=name, volume=", ".join(unknown)), within="volume"
        )
    return tuple(dict.fromkeys(names.values()))


def _volume_name(model: Mapping[str, Any], key: str) -> str:
    """Return how the engine calls a volume of a model."""
    defined = (model.get("volumes") or {}).get(key) or {}
    return str(defined.get("name") or usual_name(model, key))


def usual_name(model: Mapping[str, Any], key: str) -> str:
    """Return how the engine calls a volume whose definition does not say that."""
    return f"{model.get('name', '')}_{key}"


def _command(name: str, written: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return a command as a list; one that is a text is given to a shell, as Compose gives that of a health check."""
    command = written.get(key)
    if isinstance(command, str) and command.strip():
        return ("/bin/sh", "-c", command)
    if isinstance(command, list) and command and all(isinstance(part, str) for part in command) and command[0]:
        return tuple(command)
    raise ENTRY.has_to_be(name, '["COMMAND", "ARGUMENT"]', within=key)
