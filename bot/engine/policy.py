"""Refuse what a stack may not have unless the settings allow it by name.

Entries of COMPOSE_POLICY_ALLOW:

- `privileged:SERVICE`, `devices:SERVICE`, `cap_add:SERVICE`, `security_opt:SERVICE`, `runtime:SERVICE`,
  `cgroup_parent:SERVICE`, `volumes_from:SERVICE`, `provider:SERVICE`: that field of that service
- `pid:SERVICE`, `ipc:SERVICE`, `network_mode:SERVICE`, `userns_mode:SERVICE`, `uts:SERVICE`, `cgroup:SERVICE`:
  the host's namespace, or that of a container outside the stack
- `build:SERVICE`: a build from outside the stack's folder, or one with rights on the host
- `bind:PATH`: binding, or taking a secret or config from, that path or what is below it
- `docker_socket:SERVICE`: the engine's socket, or a folder that holds it
- `state_dir:SERVICE`: the bot's own state, or a folder that holds it
- `volume:NAME`: a named volume that is really a bind; `network:NAME`: a network that is really the host's
- `env_file:PATH`, `label_file:PATH`, `include:PATH`, `extends:PATH`, `compose_file:PATH`: reading that file, outside
  the stack's folder; the path is written as in the compose file
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.engine.client import engine_address
from bot.engine.model import services_of
from bot.errors import ComposePolicyError
from bot.models.environment import Environment

DOCKER_SOCKETS = (Path("/var/run/docker.sock"), Path("/run/docker.sock"))
NAMESPACES = ("pid", "ipc", "network_mode", "userns_mode", "uts", "cgroup")
# Fields that are refused whenever they say anything at all, and the entry that allows each.
FIELDS = {
    "privileged": "privileged",
    "devices": "devices",
    "device_cgroup_rules": "devices",
    "gpus": "devices",
    "cap_add": "cap_add",
    "runtime": "runtime",
    "cgroup_parent": "cgroup_parent",
    "credential_spec": "credential_spec",
    "provider": "provider",
    "use_api_socket": "docker_socket",
}
HARMLESS_SECURITY_OPTIONS = frozenset({"no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"})
BUILD_RIGHTS = ("privileged", "entitlements", "ssh")


@dataclass(frozen=True, slots=True)
class Violation:
    """Say what is refused, and which entry would allow it."""

    words: str
    entry: str


class ComposePolicy:
    """Judge resolved models by an allowlist."""

    def __init__(self, allowed: tuple[str, ...], state_dir: Path) -> None:
        self._allowed = frozenset(allowed)
        self._allowed_paths = tuple(
            Path(entry.partition(":")[2]).resolve() for entry in allowed if entry.startswith("bind:/")
        )
        self._state_dir = state_dir.resolve()

    def check(self, model: Mapping[str, Any], environment: Environment) -> None:
        """Raise ComposePolicyError that lists every violation."""
        self.refuse([violation for violation in self._violations(model, environment) if not self.allows(violation)])

    def allows(self, violation: Violation) -> bool:
        """Tell whether the settings allow it by name; an allowed path allows what is below it."""
        if violation.entry in self._allowed:
            return True
        kind, _, name = violation.entry.partition(":")
        return kind == "bind" and any(Path(name).is_relative_to(path) for path in self._allowed_paths)

    def refuse(self, violations: list[Violation]) -> None:
        """Raise ComposePolicyError where there is a violation."""
        if violations:
            unique = tuple(dict.fromkeys(violations))
            raise ComposePolicyError(
                "The compose file asks for what is not allowed here:\n"
                + "\n".join(f"  - {violation.words} (allowed by `{violation.entry}`)" for violation in unique),
                hint="Remove it, or add to COMPOSE_POLICY_ALLOW: " + " ".join(dict.fromkeys(v.entry for v in unique)),
            )

    def _violations(self, model: Mapping[str, Any], environment: Environment) -> Iterator[Violation]:
        places = _Places(environment.folder.resolve(), self._state_dir, _sockets(environment))
        for name, service in services_of(model).items():
            yield from _fields(name, service)
            yield from _namespaces(name, service)
            yield from _build(name, service.get("build"), places)
            for volume in service.get("volumes") or ():
                if volume.get("type") in {"bind", "npipe"}:
                    yield from places.judge(name, str(volume.get("source", "")), "binds")
        for kind in ("secrets", "configs"):
            for name, definition in (model.get(kind) or {}).items():
                if source := (definition or {}).get("file"):
                    yield from places.judge(f"the {kind.removesuffix('s')} {name}", str(source), "is taken from")
        yield from _volumes(model)
        yield from _networks(model)


@dataclass(frozen=True, slots=True)
class _Places:
    """Know which paths a stack may bind."""

    folder: Path
    state_dir: Path
    sockets: tuple[Path, ...]

    def judge(self, who: str, source: str, does: str) -> Iterator[Violation]:
        """Find what is wrong with a path: symbolic links count as where they lead."""
        path = Path(source).resolve()
        if not path.is_relative_to(self.folder):
            yield Violation(f"{who} {does} {source}, outside the stack's folder", f"bind:{path}")
        if any(socket.is_relative_to(path) for socket in self.sockets):
            yield Violation(f"{who} {does} {source}, which gives it the engine's socket", f"docker_socket:{who}")
        if self.state_dir.is_relative_to(path) or path.is_relative_to(self.state_dir):
            yield Violation(f"{who} {does} {source}, which gives it the bot's own state", f"state_dir:{who}")


def _sockets(environment: Environment) -> tuple[Path, ...]:
    address = engine_address(environment)
    own = (Path("/" + address.partition("://")[2].lstrip("/")),) if "unix://" in address else ()
    return tuple({path for socket in (*DOCKER_SOCKETS, *own) for path in (socket, socket.resolve())})


def _fields(name: str, service: Mapping[str, Any]) -> Iterator[Violation]:
    for field, entry in FIELDS.items():
        if service.get(field):
            yield Violation(f"{name} has `{field}`", f"{entry}:{name}")
    for option in service.get("security_opt") or ():
        if str(option) not in HARMLESS_SECURITY_OPTIONS:
            yield Violation(f"{name} has `security_opt: {option}`", f"security_opt:{name}")
    reserved = ((service.get("deploy") or {}).get("resources") or {}).get("reservations") or {}
    if reserved.get("devices"):
        yield Violation(f"{name} reserves devices", f"devices:{name}")
    for source in service.get("volumes_from") or ():
        if str(source).startswith("container:"):
            yield Violation(f"{name} takes the volumes of {source}", f"volumes_from:{name}")
    for hook in ("post_start", "pre_stop"):
        if any(isinstance(step, Mapping) and step.get("privileged") for step in service.get(hook) or ()):
            yield Violation(f"{name} has a privileged `{hook}`", f"privileged:{name}")


def _namespaces(name: str, service: Mapping[str, Any]) -> Iterator[Violation]:
    for field in NAMESPACES:
        value = str(service.get(field) or "")
        if value == "host" or value.startswith("container:"):
            yield Violation(f"{name} has `{field}: {value}`", f"{field}:{name}")


def _build(name: str, build: Mapping[str, Any] | None, places: _Places) -> Iterator[Violation]:
    if not build:
        return
    contexts = [build.get("context", "."), *_values(build.get("additional_contexts"))]
    for context in map(str, contexts):
        local = context.startswith("/") and Path(context).resolve().is_relative_to(places.folder)
        if not local and not context.startswith(("service:", "docker-image:")):
            yield Violation(f"{name} is built from {context}, outside the stack's folder", f"build:{name}")
    dockerfile = Path(str(build.get("context", "/"))) / str(build.get("dockerfile") or "Dockerfile")
    if not dockerfile.resolve().is_relative_to(places.folder):
        yield Violation(f"{name} is built by {dockerfile}, outside the stack's folder", f"build:{name}")
    for right in BUILD_RIGHTS:
        if build.get(right):
            yield Violation(f"{name} is built with `{right}`", f"build:{name}")
    if build.get("network") == "host" or str(build.get("network") or "").startswith("container:"):
        yield Violation(f"{name} is built in the network `{build['network']}`", f"build:{name}")


def _values(contexts: object) -> list[object]:
    if isinstance(contexts, Mapping):
        return list(contexts.values())
    return [str(entry).partition("=")[2] for entry in contexts] if isinstance(contexts, list) else []


def _volumes(model: Mapping[str, Any]) -> Iterator[Violation]:
    for name, definition in (model.get("volumes") or {}).items():
        options = {str(key): str(value) for key, value in ((definition or {}).get("driver_opts") or {}).items()}
        flags = options.get("o", "").split(",")
        if {"bind", "rbind"} & set(flags) or options.get("device", "").startswith("/"):
            yield Violation(f"the volume {name} is a bind of {options.get('device', '?')}", f"volume:{name}")


def _networks(model: Mapping[str, Any]) -> Iterator[Violation]:
    for name, definition in (model.get("networks") or {}).items():
        fields = definition or {}
        if fields.get("driver") == "host" or fields.get("name") == "host":
            yield Violation(f"the network {name} is the host's", f"network:{name}")
