"""Use the secrets and configs that a compose file calls external: the Swarm has them, and a release names them.

Swarm changes no secret. Another value of `NAME` is another secret, `NAME_v2`, whose label says of what it is a version.
A release has the version that was the newest when it was drafted; a way back takes today's, as with all credentials.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from roas.errors import InvalidRequestError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.stack import Obstacle, ObstacleKind
from roas.stack.docker.labels import STACK
from roas.stack.model.services import MOUNTED_SECRETS, OBJECT, services_of
from roas.stack.swarm.calls import OutOfSequenceError, SwarmCalls
from roas.stack.swarm.normal_form import LONGEST_NAME

Json = dict[str, Any]
SECRETS, CONFIGS = "secrets", "configs"
KINDS = (SECRETS, CONFIGS)
# Of a secret: which external one it is a version of.
VERSION_OF = "io.roas.secret"
MODE = 0o444
VERSION = re.compile(r"_v(\d{1,9})\Z")
# By kind and the name in the compose file, what the Swarm calls the newest; what is missing has no entry.
Newest = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class ExternalFile:
    """Name a secret or config of the Swarm's own that a service is given, and the version of it; and as which file."""

    kind: str
    name: str
    called: str
    file: Json

    def reference(self, ids: Mapping[str, str]) -> Json:
        """Return how a task's spec mentions it; `ids` are Swarm's, by name."""
        kind = self.kind.removesuffix("s").capitalize()
        return {"File": self.file, f"{kind}ID": ids.get(self.called, ""), f"{kind}Name": self.called}


def is_external(model: Mapping[str, Any], kind: str, entry: Mapping[str, Any]) -> bool:
    """Return whether what a service is given is the Swarm's own."""
    return bool(((model.get(kind) or {}).get(entry.get("source")) or {}).get("external"))


def external_files(model: Mapping[str, Any], service: Mapping[str, Any]) -> tuple[ExternalFile, ...]:
    """Return what a service of a model is given of the Swarm's own."""
    return tuple(
        ExternalFile(kind, name, str(entry.get(OBJECT) or name), _file(kind, entry))
        for kind in KINDS
        for entry in service.get(kind) or ()
        if is_external(model, kind, entry)
        for name in (_name(model, kind, entry),)
    )


def read_newest(calls: SwarmCalls, model: Mapping[str, Any]) -> Newest:
    """Ask a manager for the newest version of each external secret of a model, and for its external configs."""
    files = [file for service in services_of(model).values() for file in external_files(model, service)]
    found: dict[tuple[str, str], str] = {}
    for kind in KINDS:
        names = sorted({file.name for file in files if file.kind == kind})
        there = calls.beginning_with(kind, names) if names else {}
        for name in names:
            if (called := newest_version(name, there)) is not None:
                found[kind, name] = called
    return found


def newest_version(name: str, there: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return what the newest version of a secret or config is called; None where the Swarm has none."""
    versions = {version_number(name, called): called for called, found in there.items() if _is_version(name, found)}
    return versions[max(versions)] if versions else None


def version_number(name: str, called: str) -> int:
    """Return which version a secret is by what it is called: the first has the name itself."""
    found = VERSION.fullmatch(called.removeprefix(name))
    return 1 if found is None else int(found[1])


def add_version(calls: SwarmCalls, name: str, value: bytes) -> str:
    """Give the Swarm a new version of a secret, or the first, and return what it is called.

    Raises InvalidRequestError where a stack has a secret of that name for itself, or the name is too long.
    """
    while True:
        there = calls.beginning_with(SECRETS, [name])
        if stack := (there.get(name, {}).get("Spec", {}).get("Labels") or {}).get(STACK):
            raise InvalidRequestError(
                said("The secret {name} belongs to the stack {stack}, which changes it itself.", name=name, stack=stack)
            )
        # What others called like a version is no version of it; but its name is taken.
        last = max((version_number(name, called) for called in there if _is_numbered(name, called)), default=0)
        called = f"{name}_v{last + 1}" if last else name
        if len(called) > LONGEST_NAME:
            raise InvalidRequestError(
                said("{name} has more characters than Swarm takes: {most}.", name=called, most=LONGEST_NAME)
            )
        data = base64.b64encode(value).decode()
        with suppress(OutOfSequenceError):  # somebody else was first
            calls.create(SECRETS, {"Name": called, "Labels": {VERSION_OF: name}, "Data": data})
            return called


def _is_numbered(name: str, called: str) -> bool:
    return called == name or VERSION.fullmatch(called.removeprefix(name)) is not None


def _is_version(name: str, found: Mapping[str, Any]) -> bool:
    called, labels = str(found["Spec"]["Name"]), found["Spec"].get("Labels") or {}
    return called == name or (_is_numbered(name, called) and labels.get(VERSION_OF) == name)


def superseded(model: Mapping[str, Any], newest: Newest) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return what services of a model have of which there is a newer version, each with that."""
    found = {
        name: tuple(
            (file.called, called)
            for file in external_files(model, service)
            if (called := newest.get((file.kind, file.name), file.called)) != file.called
        )
        for name, service in services_of(model).items()
    }
    return {name: pairs for name, pairs in found.items() if pairs}


def with_newest(model: Mapping[str, Any], newest: Newest) -> dict[str, Any]:
    """Return a model whose services have the newest of what is external; what is missing stays as it is."""
    services = services_of(model)
    changed = {
        name: {**service, **{kind: _renewed(model, kind, service[kind], newest) for kind in KINDS if service.get(kind)}}
        for name, service in services.items()
    }
    return {**model, "services": changed}


def _renewed(model: Mapping[str, Any], kind: str, entries: Iterable[Any], newest: Newest) -> list[Any]:
    return [
        {**entry, OBJECT: called}
        if is_external(model, kind, entry) and (called := newest.get((kind, _name(model, kind, entry))))
        else entry
        for entry in entries
    ]


def find_missing(model: Mapping[str, Any], newest: Newest, environment: Environment) -> Iterator[Obstacle]:
    """Yield the external secrets and configs of a model that the Swarm does not have."""
    wanted = {
        (file.kind, file.name) for service in services_of(model).values() for file in external_files(model, service)
    }
    for kind, name in sorted(wanted - newest.keys()):
        yield Obstacle(
            ObstacleKind.EXTERNAL,
            _missing(kind, name, environment.name),
            said("Create what is missing, or correct the compose file."),
        )


def _missing(kind: str, name: str, environment: str) -> str:
    if kind == CONFIGS:
        return said(
            "The external config {name} does not exist: create it by `docker config create {name} FILE`.", name=name
        )
    return said(
        "The external secret {name} does not exist: create it by `roas secret set {environment} {name}`.",
        name=name,
        environment=environment,
    )


def _name(model: Mapping[str, Any], kind: str, entry: Mapping[str, Any]) -> str:
    key = str(entry["source"])
    return str(model[kind][key].get("name") or key)


def _file(kind: str, entry: Mapping[str, Any]) -> Json:
    """Return as which file a task has it: as `docker stack deploy` does, where nothing else is written."""
    key = str(entry["source"])
    target = str(entry.get("target") or key)
    # Newer Compose writes out where one without a target is mounted.
    usual = f"/{key}" if kind == CONFIGS else f"{MOUNTED_SECRETS}{key}"
    return {
        "Name": key if target == usual else target,
        "UID": str(entry.get("uid") or "0"),
        "GID": str(entry.get("gid") or "0"),
        "Mode": _mode(entry.get("mode")),
    }


def _mode(written: object) -> int:
    """Return a mode: a number, or a text of octal digits, as newer Compose writes it."""
    if written is None or written == "":
        return MODE
    return written if isinstance(written, int) else int(str(written), 8)


def read_files(container: Mapping[str, Any], project: str) -> tuple[Json, Json]:
    """Return what containers of a stack that was found have of others, as a service says it, and what is their own.

    What is not named as `docker stack deploy` names a stack's own is external.
    """
    given: Json = {}
    own: Json = {}
    for kind in KINDS:
        key = kind.capitalize()
        for reference in container.get(key) or ():
            name = str(reference[f"{key.removesuffix('s')}Name"])
            if name.startswith(f"{project}_") or not reference.get("File"):
                own.setdefault(key, []).append(reference)
            else:
                given.setdefault(kind, []).append(_entry(name, reference["File"]))
    return given, own


def _entry(name: str, file: Mapping[str, Any]) -> Json:
    return {
        "source": name,
        "target": str(file["Name"]),
        "uid": str(file.get("UID") or "0"),
        "gid": str(file.get("GID") or "0"),
        "mode": int(file.get("Mode") or MODE),
    }


def external_definitions(services: Mapping[str, Mapping[str, Any]]) -> Json:
    """Return the definitions of what services that were found have of others."""
    found: Json = {}
    for service in services.values():
        for kind in KINDS:
            for entry in service.get(kind) or ():
                name = entry["source"]
                found.setdefault(kind, {})[name] = {"name": name, "external": True}
    return found
