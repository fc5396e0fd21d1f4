"""Tell whether a service that was adopted is already what a compose file wants: the same container, written otherwise.

Both are brought to one form: what the image says already is filled in, defaults are left out. A field that is not
known here counts as a difference, so that nothing that was asked for is left out.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from posixpath import normpath
from types import MappingProxyType
from typing import Any

from roas.stack.adopting.defaults import HEALTH_CHECK, HEALTH_TIMES, NANO, without_defaults
from roas.stack.adopting.mounts import DEFAULT_PROPAGATION
from roas.stack.containers.snapshots import is_nameless
from roas.stack.model.durations import read_duration
from roas.stack.model.key_values import number
from roas.stack.model.service_keys import SERVICE_KEYS, UNLIMITED
from roas.stack.model.services import MOUNTED_SECRETS, borrowed_targets, real_name, restart_policy, restart_text

RESERVED = "devices reserved"
DEFAULT_SIGNAL = "SIGTERM"
# What is compared apart, and what no engine on Linux heeds.
OF_MOUNT = frozenset({"type", "source", "target", "read_only", "consistency"})


def differences(
    wanted: Mapping[str, Any],
    wanted_model: Mapping[str, Any],
    real: Mapping[str, Any],
    real_model: Mapping[str, Any],
    image: Mapping[str, Any],
    engine: Mapping[str, Any] = MappingProxyType({}),
    *,
    name: str = "",
) -> dict[str, tuple[str, ...]]:
    """Return the fields in which a service is another than the wanted one, and what of each, where it has names.

    `image` is that of both, and `engine` what it says of itself: its own defaults may be written out. Each service has
    its own `name` as an alias.
    """
    config = image.get("Config") or {}
    left, right = (
        without_defaults(_common_form(fields, model, config, name), image, engine)
        for fields, model in ((wanted, wanted_model), (real, real_model))
    )
    _forgive(left, right, borrowed_targets(wanted))
    unlike = sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))
    return {key: _differing_names(left.get(key), right.get(key)) for key in unlike}


def _forgive(left: dict[str, Any], right: Mapping[str, Any], borrowed: Collection[str]) -> None:
    """Make what is wanted (`left`) the same as what there is, where Compose leaves no choice.

    Some versions do not tell the engine all of it. `borrowed` are the places of volumes of another service, read-only:
    it forgets the `:ro` of `volumes_from`.
    """
    if "mac_address" not in right:
        left.pop("mac_address", None)
    if not any(item[-1] for item in right.get(RESERVED) or ()) and RESERVED in left:
        left[RESERVED] = [(*item[:-1], []) for item in left[RESERVED]]
    wanted, there = left.get("volumes") or {}, right.get("volumes") or {}
    for target in wanted.keys() & there.keys() & set(borrowed):
        wanted[target] = (*wanted[target][:2], there[target][2], *wanted[target][3:])


def _differing_names(left: object, right: object) -> tuple[str, ...]:
    one, other = ({} if side is None else side for side in (left, right))
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return ()
    return tuple(sorted(str(name) for name in one.keys() | other.keys() if one.get(name) != other.get(name)))


def usual_name(project: str, service: str) -> re.Pattern[str]:
    """Return the names that Compose gives to the containers of a service; older versions, with underlines."""
    return re.compile(rf"{re.escape(project)}[-_]{re.escape(service)}[-_]\d+")


def network_names(fields: Mapping[str, Any], model: Mapping[str, Any]) -> frozenset[str]:
    """Return the engine's names of the networks that a service joins."""
    return frozenset(_networks(dict(fields), model, ""))


def _common_form(
    fields: Mapping[str, Any], model: Mapping[str, Any], config: Mapping[str, Any], name: str
) -> dict[str, Any]:
    given = {key: value for key, value in fields.items() if key not in SERVICE_KEYS or SERVICE_KEYS[key].is_compared}
    given = {key: value for key, value in given.items() if not key.startswith("x-")}
    deploy = given.pop("deploy", None) or {}
    if usual_name(str(model.get("name")), name).fullmatch(str(given.get("container_name"))):
        del given["container_name"]
    form: dict[str, Any] = {
        **_process(given, config),
        "volumes": _mounts(given, model, config),
        "networks": _networks(given, model, name),
        "ports": _ports(given.pop("ports", None) or ()),
        "expose": _exposed(given, fields, config),
        **_limits(given, deploy),
    }
    for key, known in SERVICE_KEYS.items():
        if known.normal is not None and key in given:
            form[key] = known.normal(given.pop(key))
    return {key: value for key, value in {**given, **form}.items() if value not in (None, "", False, [], {}, ())}


def _process(given: dict[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    own = dict(entry.partition("=")[::2] for entry in config.get("Env") or ())
    variables = {
        name: str(value) for name, value in (given.pop("environment", None) or {}).items() if value is not None
    }
    entrypoint, command = given.pop("entrypoint", None), given.pop("command", None)
    if not entrypoint:  # an empty one leaves the image's command, `[""]` does not
        command = command or config.get("Cmd")
    if entrypoint is None:
        entrypoint = config.get("Entrypoint")
    grace = given.pop("stop_grace_period", None)
    return {
        "environment": own | variables,
        "labels": {**(config.get("Labels") or {}), **(given.pop("labels", None) or {})},
        "entrypoint": [item for item in entrypoint or () if item],
        "command": list(command or ()),
        "healthcheck": _health_check(given.pop("healthcheck", None) or {}, config.get("Healthcheck") or {}),
        "user": given.pop("user", None) or config.get("User"),
        "working_dir": given.pop("working_dir", None) or config.get("WorkingDir"),
        "stop_signal": given.pop("stop_signal", None) or config.get("StopSignal") or DEFAULT_SIGNAL,
        "stop_grace_period": None if grace is None else read_duration(grace),
    }


def _health_check(own: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any] | str:
    test = own.get("test") or image.get("Test") or []
    if own.get("disable") or list(test)[:1] == ["NONE"]:
        return "disabled"
    times = {
        name: read_duration(own[name]) if own.get(name) else (image.get(key) or 0) / NANO
        for name, key in HEALTH_TIMES.items()
    }
    found = {"test": list(test), "retries": int(own.get("retries") or image.get("Retries") or 0), **times}
    given = {name: value for name, value in found.items() if value}
    return {**HEALTH_CHECK, **given} if given else given


def _mounts(given: dict[str, Any], model: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    declared = set(map(normpath, config.get("Volumes") or ()))
    found: dict[str, Any] = {}
    for volume in given.pop("volumes", None) or ():
        source, target = _source(volume, model), normpath(volume["target"])
        if source is None and target in declared:
            continue  # the image says so
        options = {key: value for key, value in volume.items() if key not in OF_MOUNT}
        bind = dict(options.pop("bind", None) or {})
        if not bind.pop("create_host_path", False):
            # Compose sends none for a volume or a bind in long form; for a volume, the engine shows one by itself.
            bind.pop("selinux", None)
        if bind.get("propagation") in DEFAULT_PROPAGATION:
            del bind["propagation"]
        tmpfs = {key: str(value) for key, value in (options.pop("tmpfs", None) or {}).items()}
        plain = {key: value for key, value in options.items() if value not in ({}, None)}
        found[target] = (volume["type"], source, bool(volume.get("read_only")), bind, tmpfs, plain)
    for secret in given.pop("secrets", None) or ():
        file = ((model.get("secrets") or {}).get(secret["source"]) or {}).get("file")
        found[secret_path(secret)] = ("bind", file, True, {}, {}, {})
    return found


def secret_path(secret: Mapping[str, Any]) -> str:
    """Return where a service finds a secret."""
    target = str(secret.get("target") or secret["source"])
    return target if target.startswith("/") else MOUNTED_SECRETS + target


def _source(volume: Mapping[str, Any], model: Mapping[str, Any]) -> str | None:
    """Return what is mounted; None for a volume without a name."""
    source = volume.get("source")
    if volume["type"] != "volume" or not source:
        return normpath(str(source)) if source else None
    name = str(((model.get("volumes") or {}).get(source) or {}).get("name") or source)
    return None if is_nameless(name) else name


def network_name(key: str, model: Mapping[str, Any]) -> str:
    """Return the engine's name of a model's network."""
    return real_name(key, (model.get("networks") or {}).get(key), str(model.get("name")))


def _networks(given: dict[str, Any], model: Mapping[str, Any], service: str) -> dict[str, Any]:
    found = {}
    for key, endpoint in (given.pop("networks", None) or {}).items():
        # The order in which networks are joined is none of what a container has.
        fields = {item: value for item, value in (endpoint or {}).items() if value and item != "priority"}
        if mac_address := fields.get("mac_address"):
            fields["mac_address"] = str(mac_address).lower()
        aliases = sorted(set(fields.get("aliases") or ()) - {service})
        found[network_name(key, model)] = {**fields, "aliases": aliases}
    return found


def _ports(ports: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    keys = ("host_ip", "published", "target", "protocol")
    return sorted(tuple(str(port.get(key) or "") for key in keys) for port in ports)


def _exposed(given: dict[str, Any], fields: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    known = set(config.get("ExposedPorts") or ())
    known |= {f"{port['target']}/{port.get('protocol') or 'tcp'}" for port in fields.get("ports") or ()}
    ports = (str(port) for port in given.pop("expose", None) or ())
    return sorted({port if "/" in port else f"{port}/tcp" for port in ports} - known)


def _limits(given: dict[str, Any], deploy: Mapping[str, Any]) -> dict[str, Any]:
    resources = deploy.get("resources") or {}
    limits, reserved = resources.get("limits") or {}, resources.get("reservations") or {}
    memory = number(given.pop("mem_limit", None) or limits.get("memory"))
    swap = number(given.pop("memswap_limit", None))
    usual_swap = 2 * memory if memory else UNLIMITED  # what the engine sets by itself
    return {
        "mem_limit": memory,
        "memswap_limit": None if swap == usual_swap else swap,
        "mem_reservation": number(given.pop("mem_reservation", None) or reserved.get("memory")),
        "cpus": round(float(given.pop("cpus", None) or limits.get("cpus") or 0), 3),  # Compose calculates roughly
        "pids_limit": number(given.pop("pids_limit", None) or limits.get("pids")),
        RESERVED: _reserved(reserved.get("devices") or (), given.pop("gpus", None) or ()),
        "restart": restart_text(*restart_policy({"restart": given.pop("restart", None), "deploy": deploy})),
    }


def _reserved(devices: Iterable[Mapping[str, Any]], gpus: Iterable[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Return the devices that a driver gives; `gpus` is another way to write some of them."""
    every = [*devices, *({**device, "capabilities": [*(device.get("capabilities") or ()), "gpu"]} for device in gpus)]
    return sorted(
        (
            str(entry.get("driver") or ""),
            -1 if entry.get("count") == "all" else int(entry.get("count") or 0),
            sorted(entry.get("device_ids") or ()),
            sorted(set(entry.get("capabilities") or ())),
            sorted((entry.get("options") or {}).items()),
        )
        for entry in every
    )
