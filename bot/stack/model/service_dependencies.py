"""Read what a service waits for: Compose's own `depends_on`, and what `x-deploy` adds to it."""

from collections.abc import Collection, Mapping
from typing import Any

from roas.errors import ComposeFileError
from roas.messages.message import said
from roas.models.stack import Dependency, DependencyCondition, DependencyKind
from roas.stack.model.durations import read_duration, write_duration

KNOWN = frozenset({"kind", "condition", "restart", "startup_delay", "timeout", "probe"})
HINT = said("See `{place}` in the documentation: {keys}.", place="x-deploy.depends_on", keys=", ".join(sorted(KNOWN)))


def dependencies_of(name: str, service: Mapping[str, Any], known: Collection[str]) -> tuple[Dependency, ...]:
    """Return a service's dependencies, by name; `x-deploy` wins over `depends_on`. Raises ComposeFileError."""
    entries = {on: _from_compose(entry or {}) for on, entry in _by_name(service.get("depends_on")).items()}
    extension = service.get("x-deploy") or {}
    if not isinstance(extension, Mapping):
        raise _wrong(name, said("use {allowed}", allowed="{…}"))
    for on, given in _by_name(extension.get("depends_on")).items():
        entry = {} if given is None else given
        if not isinstance(entry, Mapping):
            error = said("use {allowed}", allowed="{…}")
            raise _wrong(name, said("{key}: {error}", key=f"depends_on.{on}", error=error))
        if unknown := sorted(map(str, set(entry) - KNOWN)):
            error = said("unknown keys {unknown}", unknown=", ".join(unknown))
            raise _wrong(name, said("{key}: {error}", key=f"depends_on.{on}", error=error))
        entries[on] = {**entries.get(on, {}), **entry}
    read = (_read(name, on, entry) for on, entry in sorted(entries.items()))
    return tuple(dependency for dependency in read if _exists(dependency, known))


def _wrong(name: str, reason: str) -> ComposeFileError:
    return ComposeFileError(said("x-deploy of {name} is not valid: {reason}.", name=name, reason=reason), hint=HINT)


def written(dependencies: Collection[Dependency]) -> dict[str, dict[str, object]]:
    """Write dependencies as `x-deploy.depends_on`, from which dependencies_of reads the same."""
    return {dependency.on: _written(dependency) for dependency in dependencies}


def _by_name(entries: object) -> dict[str, Any]:
    if isinstance(entries, Mapping):
        return {str(on): entry for on, entry in entries.items()}
    return {str(on): {} for on in entries} if isinstance(entries, list) else {}


def _from_compose(entry: Mapping[str, Any]) -> dict[str, Any]:
    required = entry.get("required", True)
    return {
        "kind": DependencyKind.REQUIRED if required else DependencyKind.OPTIONAL,
        "condition": entry.get("condition", DependencyCondition.STARTED),
        "restart": bool(entry.get("restart", False)),
    }


def _read(service: str, on: str, entry: Mapping[str, Any]) -> Dependency:
    default = Dependency(service, on)
    try:
        return Dependency(
            service=service,
            on=on,
            kind=DependencyKind(entry.get("kind", default.kind)),
            condition=DependencyCondition(entry.get("condition", default.condition)),
            startup_delay_seconds=read_duration(entry.get("startup_delay", default.startup_delay_seconds)),
            timeout_seconds=read_duration(entry.get("timeout", default.timeout_seconds)),
            probe=entry.get("probe"),
            restart=bool(entry.get("restart", False)),
        )
    except ValueError as error:
        raise ComposeFileError(
            said("{service} depends on {on}: {error}.", service=service, on=on, error=error), hint=HINT
        ) from error


def _exists(dependency: Dependency, known: Collection[str]) -> bool:
    """Leave out what is not there (of an inactive profile, say), unless it is required."""
    if dependency.on in known:
        return True
    if dependency.kind is DependencyKind.REQUIRED:
        raise ComposeFileError(
            said(
                "{service} depends on {on}, which is not a service of this stack.",
                service=dependency.service,
                on=dependency.on,
            ),
            hint=said("Correct the name, or activate the profile that has it."),
        )
    return False


def _written(dependency: Dependency) -> dict[str, object]:
    entry: dict[str, object] = {
        "kind": dependency.kind.value,
        "condition": dependency.condition.value,
        "restart": dependency.restart,
        "startup_delay": write_duration(dependency.startup_delay_seconds),
        "timeout": write_duration(dependency.timeout_seconds),
    }
    return entry if dependency.probe is None else {**entry, "probe": dependency.probe}
