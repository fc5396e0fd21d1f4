"""Bring the keys of a service to one form that depends on its image, its engine, its stack and its other keys.

What the image says is filled in, and what the engine discards or does by itself is left out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from posixpath import normpath
from typing import Any

from roas.stack.model.durations import read_duration
from roas.stack.model.key_values import (
    HEALTH_TIMES,
    NANO,
    UNLIMITED,
    USUAL_PROPAGATION,
    blocks,
    has_cgroup_v2,
    is_nameless,
    number,
    texts,
    whole,
)
from roas.stack.model.services import MOUNTED_SECRETS, real_name

# What the engine takes for what a health check leaves out.
USUAL_CHECK = {"interval": 30.0, "timeout": 30.0, "start_interval": 5.0, "retries": 3}
# The engine adds it to whatever shares the host's processes or memory.
OF_HOST = "label=disable"
# What is compared apart, and what no engine on Linux heeds.
OF_MOUNT = frozenset({"type", "source", "target", "read_only", "consistency"})


@dataclass(frozen=True, slots=True)
class WrittenService:
    """Hold a service as it is written in a model, with the image and the engine of its containers."""

    name: str
    fields: Mapping[str, Any]
    model: Mapping[str, Any]
    image: Mapping[str, Any]
    engine: Mapping[str, Any]

    @property
    def usual(self) -> Mapping[str, Any]:
        """Return what its image says that it runs."""
        return self.image.get("Config") or {}

    def below_deploy(self, path: str) -> Any:
        """Return what `deploy` says at a path; None where it says nothing."""
        value = self.fields.get("deploy")
        for key in path.split("."):
            value = (value or {}).get(key)
        return value


def environment(service: WrittenService) -> dict[str, str]:
    """Return all variables."""
    usual = dict(entry.partition("=")[::2] for entry in service.usual.get("Env") or ())
    own = (service.fields.get("environment") or {}).items()
    return usual | {name: str(value) for name, value in own if value is not None}


def labels(service: WrittenService) -> dict[str, Any]:
    """Return all labels."""
    return {**(service.usual.get("Labels") or {}), **(service.fields.get("labels") or {})}


def entrypoint(service: WrittenService) -> list[str]:
    """Return the entry point."""
    own = service.fields.get("entrypoint")
    return [item for item in (service.usual.get("Entrypoint") if own is None else own) or () if item]


def command(service: WrittenService) -> list[str]:
    """Return the command; an empty entry point leaves the image's, `[""]` does not."""
    own = service.fields.get("command")
    return list((own if service.fields.get("entrypoint") else own or service.usual.get("Cmd")) or ())


def healthcheck(service: WrittenService) -> dict[str, Any] | str:
    """Return the health check with all that it leaves to the image or to the engine."""
    own, image = service.fields.get("healthcheck") or {}, service.usual.get("Healthcheck") or {}
    test = own.get("test") or image.get("Test") or []
    if own.get("disable") or list(test)[:1] == ["NONE"]:
        return "disabled"
    times = {
        name: read_duration(own[name]) if own.get(name) else (image.get(key) or 0) / NANO
        for name, key in HEALTH_TIMES.items()
    }
    found = {"test": list(test), "retries": int(own.get("retries") or image.get("Retries") or 0), **times}
    given = {name: value for name, value in found.items() if value}
    return {**USUAL_CHECK, **given} if given else given


def logging(service: WrittenService) -> dict[str, Any] | None:
    """Return where it logs to; the engine's own driver is none that somebody asks for."""
    own, usual = service.fields.get("logging") or {}, {"driver": service.engine.get("LoggingDriver")}
    given = {key: value for key, value in {**usual, **own}.items() if value}
    return None if not own or given == usual else given


def volumes(service: WrittenService) -> dict[str, Any]:
    """Return what is mounted, by place, with secrets; a volume without a name is none where the image says so."""
    declared, model = set(map(normpath, service.usual.get("Volumes") or ())), service.model
    found: dict[str, Any] = {}
    for volume in service.fields.get("volumes") or ():
        source, target = _source(volume, model), normpath(volume["target"])
        if source is None and target in declared:
            continue
        options = {key: value for key, value in volume.items() if key not in OF_MOUNT}
        bind = dict(options.pop("bind", None) or {})
        if not bind.pop("create_host_path", False):
            # Compose sends none for a volume or a bind in long form; for a volume, the engine shows one by itself.
            bind.pop("selinux", None)
        if bind.get("propagation") in USUAL_PROPAGATION:
            del bind["propagation"]
        tmpfs = {key: str(value) for key, value in (options.pop("tmpfs", None) or {}).items()}
        plain = {key: value for key, value in options.items() if value not in ({}, None)}
        found[target] = (volume["type"], source, bool(volume.get("read_only")), bind, tmpfs, plain)
    for secret in service.fields.get("secrets") or ():
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


def networks(service: WrittenService) -> dict[str, Any]:
    """Return the places in networks, by the engine's names of these; the service's own name is always an alias."""
    found = {}
    for key, endpoint in (service.fields.get("networks") or {}).items():
        # The order in which networks are joined is none of what a container has.
        fields = {item: value for item, value in (endpoint or {}).items() if value and item != "priority"}
        if mac_address := fields.get("mac_address"):
            fields["mac_address"] = str(mac_address).lower()
        aliases = sorted(set(fields.get("aliases") or ()) - {service.name})
        found[network_name(key, service.model)] = {**fields, "aliases": aliases}
    return found


def expose(service: WrittenService) -> list[str]:
    """Return the ports that neither the image exposes nor the service publishes."""
    known = set(service.usual.get("ExposedPorts") or ())
    known |= {f"{port['target']}/{port.get('protocol') or 'tcp'}" for port in service.fields.get("ports") or ()}
    own = map(str, service.fields.get("expose") or ())
    return sorted({port if "/" in port else f"{port}/tcp" for port in own} - known)


def memswap_limit(service: WrittenService) -> int | None:
    """Return the limit of memory with swap; that of the memory alone makes the engine set it by itself."""
    memory = number(service.fields.get("mem_limit") or service.below_deploy("resources.limits.memory"))
    swap = number(service.fields.get("memswap_limit"))
    return None if swap == (2 * memory if memory else UNLIMITED) else swap


def reserved_devices(service: WrittenService) -> list[tuple[Any, ...]]:
    """Return the devices that a driver gives; `gpus` is another way to write some of them."""
    gpus, reserved = service.fields.get("gpus") or (), service.below_deploy("resources.reservations.devices") or ()
    every = [*reserved, *({**device, "capabilities": [*(device.get("capabilities") or ()), "gpu"]} for device in gpus)]
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


def container_name(service: WrittenService) -> str | None:
    """Return the name that a container is given, where it is not the one that Compose gives it anyway."""
    given = service.fields.get("container_name")
    return None if usual_name(str(service.model.get("name")), service.name).fullmatch(str(given)) else given


def usual_name(project: str, service: str) -> re.Pattern[str]:
    """Return the names that Compose gives to the containers of a service; older versions, with underlines."""
    return re.compile(rf"{re.escape(project)}[-_]{re.escape(service)}[-_]\d+")


def security_opt(service: WrittenService) -> list[str]:
    """Return the options of security, but for what the engine adds to what shares with the host."""
    found, fields = texts(service.fields.get("security_opt")), service.fields
    shares = "host" in (fields.get("pid"), fields.get("ipc")) or fields.get("privileged")
    return [option for option in found if not (shares and option == OF_HOST)]


# What an engine discards, with a warning, since its kernel cannot do it:


def mem_swappiness(service: WrittenService) -> int | None:
    """Return how readily memory is swapped: the second version of cgroups does not know."""
    return None if has_cgroup_v2(service.engine) else whole(service.fields.get("mem_swappiness"))


def blkio_config(service: WrittenService) -> dict[str, Any]:
    """Return what may be done with devices of blocks: no kernel has weights in the first version since 5.0."""
    found = blocks(service.fields.get("blkio_config"))
    v2 = has_cgroup_v2(service.engine)
    return {key: value for key, value in found.items() if v2 or not key.startswith("weight")}


def oom_kill_disable(service: WrittenService) -> Any:
    """Return whether it is spared when memory runs out."""
    return None if service.engine.get("OomKillDisable") is False else service.fields.get("oom_kill_disable")
