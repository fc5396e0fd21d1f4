"""Find in a resolved model what the policy refuses: rights, drivers, and what is not the stack's own."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from roas.engine.places import Places
from roas.engine.raw_files import as_written
from roas.engine.violation import Violation

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
    "external_links": "external_links",
}
HARMLESS_SECURITY_OPTIONS = frozenset({"no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"})
BUILD_RIGHTS = ("privileged", "entitlements", "ssh")
# These write only to the engine's own folder; other drivers connect to whatever the stack's author names.
LOGGING_DRIVERS = frozenset({"", "json-file", "local", "none"})
VOLUME_DRIVERS = frozenset({"", "local"})
NETWORK_DRIVERS = frozenset({"", "bridge"})
# Any other mode is the name of a network, which may be somebody else's.
NETWORK_MODES = frozenset({"", "none", "bridge", "default"})
BUILD_NETWORKS = frozenset({"", "none", "default"})
HARMLESS_NETWORK_OPTIONS = frozenset({"com.docker.network.driver.mtu"})
ADDRESS_DRIVERS = frozenset({"", "default"})
# Where a value may be in any encoding: it is passed on and means nothing to the engine.
FREE_VALUES = frozenset({"environment", "args", "labels"})


def judge_service(name: str, service: Mapping[str, Any], places: Places, *, strict: bool) -> Iterator[Violation]:
    """Find what a service may not have."""
    yield from _fields(name, service)
    yield from _namespaces(name, service)
    yield from _networks_of(name, service)
    yield from _build(name, service.get("build"), places)
    if strict:
        yield from _ports(name, service)
    for volume in service.get("volumes") or ():
        if volume.get("type") in {"bind", "npipe"}:
            yield from places.judge_bind(name, str(volume.get("source", "")), "binds")
    if _hides_bytes(service):
        yield Violation(f"{name} has a value that is no UTF-8 text", "")


def judge_resources(model: Mapping[str, Any], project: str, places: Places) -> Iterator[Violation]:
    """Find what a stack's volumes, networks, secrets and configs may not be."""
    for kind in ("secrets", "configs"):
        for name, definition in (model.get(kind) or {}).items():
            if source := (definition or {}).get("file"):
                who = f"the {kind.removesuffix('s')} {name}"
                yield from places.judge_bind(who, str(source), "is taken from", name=str(name))
    yield from _volumes(model, project)
    yield from _networks(model, project)
    if _hides_bytes({kind: value for kind, value in model.items() if kind != "services"}):
        yield Violation("the compose file has a value that is no UTF-8 text", "")


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
    driver = str((service.get("logging") or {}).get("driver") or "")
    if driver not in LOGGING_DRIVERS:
        yield Violation(f"{name} logs by `{driver}`", f"logging:{name}")


def _namespaces(name: str, service: Mapping[str, Any]) -> Iterator[Violation]:
    for field in NAMESPACES:
        value = str(service.get(field) or "")
        is_refused = value == "host" or value.startswith("container:")
        if field == "network_mode":
            is_refused = value not in NETWORK_MODES and not value.startswith("service:")
        if is_refused:
            yield Violation(f"{name} has `{field}: {value}`", f"{field}:{name}")


def _networks_of(name: str, service: Mapping[str, Any]) -> Iterator[Violation]:
    networks = service.get("networks") or {}
    for network, fields in networks.items() if isinstance(networks, Mapping) else ():
        if (fields or {}).get("driver_opts"):
            yield Violation(f"{name} joins the network {network} with `driver_opts`", f"network:{network}")


def _ports(name: str, service: Mapping[str, Any]) -> Iterator[Violation]:
    for port in service.get("ports") or ():
        if not _is_loopback(str(port.get("host_ip") or "")):
            yield Violation(f"{name} publishes its port {port.get('target')} beyond loopback", f"ports:{name}")


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _build(name: str, build: Mapping[str, Any] | None, places: Places) -> Iterator[Violation]:
    if not build:
        return
    context = str(build.get("context", "."))
    for used in map(str, [context, *_values(build.get("additional_contexts"))]):
        if used.startswith(("service:", "docker-image:")):
            continue
        if not used.startswith("/") or not Path(used).resolve().is_relative_to(places.folder):
            yield Violation(f"{name} is built from {used}, outside the stack's folder", f"build:{name}")
        if used.startswith("/"):
            yield from places.judge_state(name, used, "is built from")
            yield from places.judge_replaceable(name, used, "is built from")
    yield from _dockerfile(name, context, str(build.get("dockerfile") or "Dockerfile"), places)
    for right in BUILD_RIGHTS:
        if build.get(right):
            yield Violation(f"{name} is built with `{right}`", f"build:{name}")
    if str(build.get("network") or "") not in BUILD_NETWORKS:
        yield Violation(f"{name} is built in the network `{build['network']}`", f"build:{name}")
    for tag in build.get("tags") or ():
        yield Violation(f"{name} tags what it builds as {tag}", f"build_tags:{name}")


def _dockerfile(name: str, context: str, written: str, places: Places) -> Iterator[Violation]:
    """Judge a Dockerfile where its text leads and where its links lead: BuildKit and the kernel may differ."""
    for path in dict.fromkeys((Path(context) / written, as_written(Path(context) / written))):
        if not path.resolve().is_relative_to(places.folder):
            yield Violation(f"{name} is built by {path}, outside the stack's folder", f"build:{name}")
        if context.startswith("/"):
            yield from places.judge_state(name, str(path), "is built from")
            if not path.resolve().is_relative_to(Path(context).resolve()):
                yield from places.judge_replaceable(name, str(path), "is built from")


def _values(contexts: object) -> list[object]:
    if isinstance(contexts, Mapping):
        return list(contexts.values())
    return [str(entry).partition("=")[2] for entry in contexts] if isinstance(contexts, list) else []


def _volumes(model: Mapping[str, Any], project: str) -> Iterator[Violation]:
    for name, definition in (model.get("volumes") or {}).items():
        fields = definition or {}
        options, driver = fields.get("driver_opts"), str(fields.get("driver") or "")
        if driver not in VOLUME_DRIVERS:
            yield Violation(f"the volume {name} has the driver {driver}", f"volume:{name}")
        if options:
            # Not what they say: it may be a password.
            yield Violation(f"the volume {name} has `driver_opts`: {', '.join(options)}", f"volume:{name}")
        if (real := _foreign(name, fields, project)) is not None:
            yield Violation(f"the volume {name} is {real}, which is not the stack's own", f"external_volume:{real}")


def _networks(model: Mapping[str, Any], project: str) -> Iterator[Violation]:
    for name, definition in (model.get("networks") or {}).items():
        fields = definition or {}
        driver = str(fields.get("driver") or "")
        if driver == "host" or fields.get("name") == "host":
            yield Violation(f"the network {name} is the host's", f"network:{name}")
        elif driver not in NETWORK_DRIVERS:
            yield Violation(f"the network {name} has the driver {driver}", f"network:{name}")
        for option in (fields.get("driver_opts") or {}).keys() - HARMLESS_NETWORK_OPTIONS:
            yield Violation(f"the network {name} has the option {option}", f"network:{name}")
        if str((fields.get("ipam") or {}).get("driver") or "") not in ADDRESS_DRIVERS:
            yield Violation(f"the network {name} has the `ipam` driver {fields['ipam']['driver']}", f"network:{name}")
        for subnet in _public_subnets(fields):
            yield Violation(f"the network {name} takes the subnet {subnet}, which is not private", f"network:{name}")
        if (real := _foreign(name, fields, project)) is not None:
            yield Violation(f"the network {name} is {real}, which is not the stack's own", f"external_network:{real}")


def _public_subnets(fields: Mapping[str, Any]) -> Iterator[str]:
    """Find subnets of addresses that are others': the host's own traffic to them would end in this network."""
    for config in (fields.get("ipam") or {}).get("config") or ():
        for key in ("subnet", "ip_range"):
            text = str((config or {}).get(key) or "")
            if text and not _is_private(text):
                yield text


def _is_private(subnet: str) -> bool:
    try:
        network = ip_network(subnet, strict=False)
    except ValueError:
        return False
    return network.is_private and not network.is_link_local and not network.is_loopback


def _foreign(name: str, fields: Mapping[str, Any], project: str) -> str | None:
    """Return the real name of what is not the stack's own: made by others, or named otherwise than Compose does."""
    own = f"{project}_{name}"
    real = str(fields.get("name") or (name if fields.get("external") else own))
    return real if fields.get("external") or real != own else None


def _hides_bytes(value: object) -> bool:
    """Return whether there is a value that Compose could only print in base64, where it could mean something."""
    if isinstance(value, Mapping):
        return any(
            isinstance(key, bytes) or (key not in FREE_VALUES and _hides_bytes(item)) for key, item in value.items()
        )
    if isinstance(value, list):
        return any(map(_hides_bytes, value))
    return isinstance(value, bytes)
