"""Find what a model asks for and Swarm has no word for: all of it at once, each with what to do instead."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from roas.errors import ComposeFileError
from roas.messages.message import joined, said
from roas.models.environment import Environment
from roas.stack.model.definitions import read_definitions
from roas.stack.model.service_keys import BY_GENERIC_RESOURCES, SERVICE_KEYS, ServiceKey, use_instead
from roas.stack.model.services import ENGINE_SOCKETS, services_of
from roas.stack.swarm.normal_form import LONGEST_NAME, stack_name
from roas.stack.swarm.writing.external_objects import SECRETS, is_external

UNPINNED_VOLUME, NODE_BIND = "unpinned_volume", "node_bind"
# File systems that every node reaches, as `mount -t` calls them.
NETWORK_TYPES = ("nfs", "cifs", "smb", "ceph", "gluster")
UNKNOWN_KEY = ServiceKey()
NO_WORD = said("remove it: a Swarm has nothing like it")


def _has(name: str, shown: str) -> str:
    return said("{name} has `{shown}`", name=name, shown=shown)


# Of a value in `deploy`, what Swarm takes.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "mode": ("replicated", "global"),
    "endpoint_mode": ("vip", "dnsrr"),
    "restart_policy.condition": ("none", "on-failure", "any"),
}
NETWORK_KEYS = ("ipv4_address", "ipv6_address", "link_local_ips", "mac_address", "driver_opts", "interface_name")
PINNING = ("node.hostname==", "node.id==", "node.labels.")
Found = tuple[str, str]  # what is asked for, and what to do instead


def refuse_unsupported(
    model: Mapping[str, Any], environment: Environment, allows: Callable[[str], bool], contents: Path
) -> None:
    """Raise ComposeFileError that lists all that a Swarm cannot do of a model, whose files are kept in `contents`."""
    found = [
        *_too_long_names(model, environment),
        *(item for name in services_of(model) for item in _of_service(name, model, contents, allows)),
        *_of_definitions(model),
        *_of_networks(model),
        *_unpinned_volumes(model, allows),
    ]
    if found:
        raise unsupported(found, environment)


def unsupported(found: Iterable[Found], environment: Environment) -> ComposeFileError:
    """Create the error that lists all of it."""
    lines = [said("  - {what}: {instead}", what=what, instead=instead) for what, instead in found]
    text = said("{environment} runs on a Swarm, which cannot do all of this:", environment=environment.name)
    return ComposeFileError(joined("\n", (text, *lines)))


def _too_long_names(model: Mapping[str, Any], environment: Environment) -> Iterator[Found]:
    """Yield the services whose names no Swarm takes: the project's name is a part of them."""
    for name in services_of(model):
        full = stack_name(environment.project, name)
        if len(full) > LONGEST_NAME:
            text = said(
                "{service} would be called {name}, of {count} characters", service=name, name=full, count=len(full)
            )
            yield text, said("give it a shorter name: Swarm takes {most} characters", most=LONGEST_NAME)


def _of_service(name: str, model: Mapping[str, Any], contents: Path, allows: Callable[[str], bool]) -> Iterator[Found]:
    fields = model["services"][name]
    yield from _of_fields(name, fields)
    for volume in fields.get("volumes") or ():
        yield from _of_volume(name, volume, contents, allows)
    for entry in fields.get("secrets") or ():
        if is_external(model, SECRETS, entry):
            continue
        text = said("{service} takes the secret {secret} from where it lies", service=name, secret=entry.get("source"))
        yield text, said("let the bot's user read the file, so that it becomes a secret of the Swarm")


def _of_fields(name: str, fields: Mapping[str, Any]) -> Iterator[Found]:
    for key in sorted(fields):
        known = SERVICE_KEYS.get(key, UNKNOWN_KEY)
        if fields[key] and known.swarm is None and not key.startswith("x-"):
            yield _has(name, key), known.instead or NO_WORD
    backup = (fields.get("x-deploy") or {}).get("backup")
    if backup and not backup.get("command"):
        yield _has(name, "x-deploy.backup"), use_instead("x-deploy.backup.command")
    if fields.get("build") and not fields.get("image"):
        yield (
            _has(name, "build"),
            said("push its image to a registry that every node reaches, and name it by `image`"),
        )
    yield from _of_deploy(name, fields.get("deploy") or {})
    for network, own in (fields.get("networks") or {}).items():
        for key in NETWORK_KEYS:
            if own and own.get(key):
                yield _has(name, f"networks.{network}.{key}"), NO_WORD
    yield from _of_ports(name, fields)


def _of_deploy(name: str, deploy: Mapping[str, Any]) -> Iterator[Found]:
    for key, choices in CHOICES.items():
        place, _, last = key.rpartition(".")
        value = ((deploy.get(place) or {}) if place else deploy).get(last)
        if value and str(value) not in choices:
            yield _has(name, f"deploy.{key}: {value}"), said("use {allowed}", allowed=" | ".join(choices))
    if deploy.get("mode") == "global" and deploy.get("replicas") is not None:
        text = said("remove it, or `mode: global`, which gives the service a task on each node")
        yield _has(name, f"deploy.replicas: {deploy['replicas']}"), text
    if ((deploy.get("resources") or {}).get("reservations") or {}).get("devices"):
        yield _has(name, "deploy.resources.reservations.devices"), BY_GENERIC_RESOURCES


def _of_ports(name: str, fields: Mapping[str, Any]) -> Iterator[Found]:
    round_robin = (fields.get("deploy") or {}).get("endpoint_mode") == "dnsrr"
    for port in fields.get("ports") or ():
        published = str(port.get("published") or "")
        shown = f"ports: {published or port.get('target')}"
        if port.get("host_ip") not in {None, "", "0.0.0.0", "::"}:  # noqa: S104 - it is compared, nothing listens
            yield (
                _has(name, f"ports: {port['host_ip']}:{published or port.get('target')}"),
                said("a Swarm publishes at every address of a node: remove the address, and close it by a firewall"),
            )
        if "-" in published:
            yield _has(name, shown), said("name one port for each")
        if round_robin and port.get("mode") != "host":
            yield (
                _has(name, shown),
                said("give the port `mode: host`, or remove `endpoint_mode: dnsrr`"),
            )


def _of_volume(name: str, volume: Mapping[str, Any], contents: Path, allows: Callable[[str], bool]) -> Iterator[Found]:
    kind, source = volume.get("type"), str(volume.get("source") or "")
    if kind in {"volume", "tmpfs"} or source in ENGINE_SOCKETS:
        return
    entry = f"{NODE_BIND}:{source}"
    if kind == "bind" and source and allows(entry):
        return
    if kind == "bind" and Path(source).is_relative_to(contents):
        if Path(source).is_dir():
            yield (
                said("{service} binds the folder that is mounted at {target}", service=name, target=volume["target"]),
                said("a config is one file: name the files one by one"),
            )
        return
    yield (
        said("{service} binds {source} of the host", service=name, source=source or kind),
        said(
            "a task runs on any node, so put this into an image, a config, a secret or a volume; where every node has "
            "it, allow it by `{entry}`",
            entry=entry,
        ),
    )


def _of_definitions(model: Mapping[str, Any]) -> Iterator[Found]:
    for name, definition in read_definitions(model).items():
        if definition.proxy is not None:
            yield (
                _has(name, "x-deploy.proxy"),
                NO_WORD,
            )
        if definition.canary is not None:
            yield (
                _has(name, "x-deploy.canary"),
                NO_WORD,
            )
        for dependency in definition.dependencies:
            if dependency.restart:
                yield (
                    _has(name, f"depends_on.{dependency.on}.restart: true"),
                    NO_WORD,
                )


def _of_networks(model: Mapping[str, Any]) -> Iterator[Found]:
    for name, network in (model.get("networks") or {}).items():
        if str((network or {}).get("driver") or "overlay") not in {"overlay", "default"}:
            yield (
                said(
                    "the {kind} {name} has `{shown}`", kind="network", name=name, shown=f"driver: {network['driver']}"
                ),
                NO_WORD,
            )


def _unpinned_volumes(model: Mapping[str, Any], allows: Callable[[str], bool]) -> Iterator[Found]:
    """Find named volumes of a node's own disk that are used where the task may move: it would lose its data."""
    volumes = model.get("volumes") or {}
    for service, fields in services_of(model).items():
        for mount in fields.get("volumes") or ():
            name = str(mount.get("source") or "")
            entry = f"{UNPINNED_VOLUME}:{name}"
            is_local = mount.get("type") == "volume" and bool(name) and _is_local(volumes.get(name) or {})
            if not is_local or _is_pinned(fields) or allows(entry):
                continue
            yield (
                said(
                    "{service} may run on any node, and the volume {volume} stays on one", service=service, volume=name
                ),
                said(
                    "pin it by `deploy.placement.constraints`, such as `node.hostname == NAME`; use a volume "
                    "driver that every node reaches; or allow it by `{entry}`",
                    entry=entry,
                ),
            )


def _is_local(volume: Mapping[str, Any]) -> bool:
    options = volume.get("driver_opts") or {}
    return volume.get("driver") in {None, "", "local"} and not str(options.get("type") or "").startswith(NETWORK_TYPES)


def _is_pinned(fields: Mapping[str, Any]) -> bool:
    deploy = fields.get("deploy") or {}
    constraints = (
        str(constraint).replace(" ", "") for constraint in (deploy.get("placement") or {}).get("constraints") or ()
    )
    pinned = any(constraint.startswith(PINNING) and "==" in constraint for constraint in constraints)
    return pinned or deploy.get("mode") == "global"
