"""Find in a resolved model what services and builds have that the policy refuses.

A right, a namespace or a value is harmless where a list here says so; everything else is a power.
"""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from roas.messages.message import Message, said
from roas.models.environment import PolicyLevel
from roas.stack.docker.labels import COMPOSE_PREFIX
from roas.stack.images.reference import is_own
from roas.stack.model.power_values import isolation, ulimits
from roas.stack.model.raw_files import as_written
from roas.stack.model.service_keys import SERVICE_KEYS, KeyPolicy
from roas.stack.model.services import as_mapping
from roas.stack.policy.keys import keys_of, readable, shown_value
from roas.stack.policy.places import Places, only_reads
from roas.stack.policy.power import UNKNOWN, Power
from roas.stack.sources.opening import resolve

# Any other mode is the name of a network, which may be somebody else's.
NETWORK_MODES = frozenset({"", "none"})
# The engine's own network, in which the containers of others are, too.
SHARED_NETWORKS = frozenset({"bridge", "default"})
# At these, ports and subnets are powers, too, as they were not under `default`.
NAMES_ALL = frozenset({PolicyLevel.STRICT, PolicyLevel.ASK})
# Where a value may be in any encoding: it is passed on and means nothing to the engine.
FREE_VALUES = frozenset({"environment", "args", "labels"})
BUILD_NETWORKS = frozenset({"", "none", "default"})
EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - as Docker says it
OTHER_CONTEXTS = ("service:", "docker-image:")
# These write only to the engine's own folder; other drivers connect to whatever the stack's author names.
LOGGING_DRIVERS = frozenset({"", "json-file", "local", "none"})
LOGGING_OPTIONS = frozenset(
    {"compress", "env", "env-regex", "labels", "labels-regex", "max-buffer-size", "max-file", "max-size", "mode", "tag"}
)
MOUNT_TYPES = frozenset({"bind", "npipe", "volume", "tmpfs"})
OWN_PROPAGATION = frozenset({"", "private", "rprivate", "slave", "rslave"})


def judge_keys(model: Mapping[str, Any]) -> Iterator[Power]:
    """Find keys that are powers whatever they say, and those that nobody here knows: whoever gives one knows it."""
    for key in keys_of(model):
        if key.judgement is KeyPolicy.ON_REQUEST and key.is_said:
            yield Power(key.text, key.entry, values=key.reading)
        elif key.judgement is None:
            yield Power(key.text, f"{UNKNOWN}:{'.'.join(key.names)}", values=key.reading)
    if _hides_bytes(model):
        yield Power(said("the compose file has a value that is not UTF-8 text"), "")


def judge_service(name: str, service: Mapping[str, Any], places: Places, level: PolicyLevel) -> Iterator[Power]:
    """Find what a service may not have."""
    yield from _values(name, service)
    yield from _others(name, service, level)
    yield from _logging(name, service)
    yield from _mounts(name, service)
    yield from _labels(name, service)
    if build := service.get("build"):
        yield from _build(name, build, places)
    if level in NAMES_ALL:
        yield from _ports(name, service)
    for volume in service.get("volumes") or ():
        if volume.get("type") in {"bind", "npipe"}:
            source, read_only = str(volume.get("source", "")), only_reads(volume)
            does = said("reads") if read_only else said("binds")
            yield from places.judge_bind(name, source, does, read_only=read_only)
        for source in places.folders.get(str(volume.get("source")), ()):
            yield from places.judge_withheld(name, source, said("binds"))


def _build(name: str, build: Mapping[str, Any], places: Places) -> Iterator[Power]:
    yield from (Power(text, f"build:{name}") for text in _why_not_built(name, build, places))
    yield from judge_labels(name, build.get("labels"))
    yield from (_has(name, "ulimits", limit) for limit in ulimits(build.get("ulimits")))


def _why_not_built(name: str, build: Mapping[str, Any], places: Places) -> Iterator[Message]:
    """Say what a build may not have: places outside the stack's folder, the host's network, another isolation."""
    context = str(build.get("context", "."))
    for used in map(str, [context, *as_mapping(build.get("additional_contexts")).values()]):
        if used.startswith(OTHER_CONTEXTS):
            continue
        if not used.startswith("/") or not resolve(Path(used)).is_relative_to(places.folder):
            yield said("{name} is built from {used}, outside the stack's folder", name=name, used=used)
    path = Path(context) / str(build.get("dockerfile") or "Dockerfile")
    # BuildKit and the kernel may differ in where this leads.
    if not all(resolve(item).is_relative_to(places.folder) for item in (path, as_written(path))):
        yield said("{name} is built by {path}, outside the stack's folder", name=name, path=path)
    if str(build.get("network") or "") not in BUILD_NETWORKS:
        yield said("{name} is built in the network `{network}`", name=name, network=build["network"])
    for kind in isolation(build.get("isolation")):
        yield said("{name} is built with `isolation: {isolation}`", name=name, isolation=kind)


def _values(name: str, service: Mapping[str, Any]) -> Iterator[Power]:
    """Find the values that the table of keys calls powers."""
    for key, known in SERVICE_KEYS.items():
        for value in known.powers(service.get(key)) if known.powers is not None else ():
            # Whose processes these are, a name or an id does not say: perhaps the bot's, and nobody is given those.
            yield _has(name, key, value, is_asked_for=key != "pid" or value == "host")


def _others(name: str, service: Mapping[str, Any], level: PolicyLevel) -> Iterator[Power]:
    """Find what concerns others by more than a value alone: volumes and networks of others, the host's memory."""
    for source in service.get("volumes_from") or ():
        if str(source).startswith("container:"):
            text = said("{name} takes the volumes of {source}", name=name, source=source)
            yield Power(text, f"volumes_from:{name}", is_asked_for=False)  # perhaps the bot's, as with processes
    mode = str(service.get("network_mode") or "")
    harmless = NETWORK_MODES if level is PolicyLevel.ASK else NETWORK_MODES | SHARED_NETWORKS
    if mode not in harmless and not mode.startswith("service:"):
        yield _has(name, "network_mode", mode)
    if service.get("oom_kill_disable") or _number(service.get("oom_score_adj")) < 0:
        yield Power(said("{name} would be spared when memory runs out", name=name), f"oom:{name}")


def judge_labels(who: str, labels: object) -> Iterator[Power]:
    """Find labels by which Compose, and so the bot, would take something for what it is not."""
    for key in map(str, as_mapping(labels)):
        if key.startswith(COMPOSE_PREFIX):
            yield Power(said("{who} has the label {key}, which is Compose's own", who=who, key=key), "")


def _logging(name: str, service: Mapping[str, Any]) -> Iterator[Power]:
    logging = service.get("logging") or {}
    driver = str(logging.get("driver") or "")
    if driver not in LOGGING_DRIVERS:
        values = driver
        if options := logging.get("options"):  # where it connects to
            driver += f" {shown_value(options)}"
            values += f" {readable(options)}"
        yield Power(said("{name} logs by `{driver}`", name=name, driver=driver), f"logging:{name}", values=values)
        return
    # Not what they say: it may be a password.
    if unknown := sorted(set(map(str, logging.get("options") or ())) - LOGGING_OPTIONS):
        yield Power(
            said("{name} has the logging options {unknown}", name=name, unknown=", ".join(unknown)), f"logging:{name}"
        )


def _mounts(name: str, service: Mapping[str, Any]) -> Iterator[Power]:
    for volume in service.get("volumes") or ():
        kind = str(volume.get("type") or "")
        bind = volume.get("bind") or {}
        if kind == "image" and is_own(str(volume.get("source") or "")):
            yield Power(
                said("{name} has the image {image}, which is the bot's own", name=name, image=volume["source"]), ""
            )
        elif kind not in MOUNT_TYPES:
            yield Power(
                said("{name} mounts the {kind} {source}", name=name, kind=kind, source=volume.get("source")),
                f"mount:{name}",
            )
        if (propagation := str(bind.get("propagation") or "")) not in OWN_PROPAGATION:
            yield Power(
                said("{name} has `bind.propagation: {propagation}`", name=name, propagation=propagation),
                f"mount:{name}",
            )


def _labels(name: str, service: Mapping[str, Any]) -> Iterator[Power]:
    yield from judge_labels(name, service.get("labels"))
    yield from judge_labels(name, (service.get("deploy") or {}).get("labels"))
    for volume in service.get("volumes") or ():
        yield from judge_labels(name, (volume.get("volume") or {}).get("labels"))


def _ports(name: str, service: Mapping[str, Any]) -> Iterator[Power]:
    for port in service.get("ports") or ():
        if not _is_loopback(str(port.get("host_ip") or "")):
            yield Power(
                said("{name} publishes its port {port} beyond loopback", name=name, port=_port(port)),
                f"ports:{name}",
            )


def _port(port: Mapping[str, Any]) -> str:
    """Return `443`, `10.0.0.1:443`, `53/udp`, or `any:80` where the engine chooses the port."""
    number = str(port.get("published") or f"any:{port.get('target')}")
    address, protocol = str(port.get("host_ip") or ""), str(port.get("protocol") or "tcp")
    host = "" if address in EVERYWHERE else f"{f'[{address}]' if ':' in address else address}:"
    return f"{host}{number}" if protocol == "tcp" else f"{host}{number}/{protocol}"


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _number(value: object) -> float:
    try:
        return float(str(value or 0))
    except ValueError:
        return -1.0  # what is no number is not known to be harmless


def _has(name: str, key: str, value: object, *, is_asked_for: bool = True) -> Power:
    text = said("{name} has `{shown}`", name=name, shown=f"{key}: {value}")
    return Power(text, f"{key}:{name}", is_asked_for=is_asked_for)


def _hides_bytes(value: object) -> bool:
    """Return whether there is a value that Compose could only print in base64, where it could mean something."""
    if isinstance(value, Mapping):
        return any(
            isinstance(key, bytes) or (key not in FREE_VALUES and _hides_bytes(item)) for key, item in value.items()
        )
    if isinstance(value, list):
        return any(map(_hides_bytes, value))
    return isinstance(value, bytes)
