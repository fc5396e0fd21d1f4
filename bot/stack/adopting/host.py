"""Read what a container may do and use on its host."""

from collections.abc import Mapping
from typing import Any

from roas.stack.adopting.defaults import NANO, usual_cgroup
from roas.stack.model.service_keys import SERVICE_KEYS, SHM_BYTES
from roas.stack.model.services import restart_text

# Of the devices of blocks, by the name of the list: what it says of each.
BLOCKS = {
    "BlkioWeightDevice": ("weight_device", "weight"),
    "BlkioDeviceReadBps": ("device_read_bps", "rate"),
    "BlkioDeviceWriteBps": ("device_write_bps", "rate"),
    "BlkioDeviceReadIOps": ("device_read_iops", "rate"),
    "BlkioDeviceWriteIOps": ("device_write_iops", "rate"),
}


def host_fields(host: Mapping[str, Any], engine: Mapping[str, Any]) -> dict[str, Any]:
    """Return a service's fields from its HostConfig; what is the engine's own default is left out."""
    fields: dict[str, Any] = {name: host.get(key.host) for name, key in SERVICE_KEYS.items() if key.host}
    policy = host.get("RestartPolicy") or {}
    fields |= {name: _size(host.get(key.size) or 0) for name, key in SERVICE_KEYS.items() if key.size}
    fields |= {
        "restart": restart_text(policy.get("Name") or "no", policy.get("MaximumRetryCount") or 0),
        "cpus": host["NanoCpus"] / NANO if host.get("NanoCpus") else None,
        "shm_size": str(host["ShmSize"]) if host.get("ShmSize") not in (None, 0, SHM_BYTES) else None,
        "ulimits": {
            ulimit["Name"]: {"soft": ulimit["Soft"], "hard": ulimit["Hard"]} for ulimit in host.get("Ulimits") or ()
        },
        "devices": [_device(device) for device in host.get("Devices") or ()],
        "logging": _logging(host.get("LogConfig") or {}, engine),
        "runtime": host["Runtime"] if host.get("Runtime") not in (None, "", engine.get("DefaultRuntime")) else None,
        "tmpfs": [f"{path}:{options}" if options else path for path, options in (host.get("Tmpfs") or {}).items()],
        "cgroup": mode if (mode := host.get("CgroupnsMode")) != usual_cgroup(engine) else None,
        "blkio_config": _blocks(host),
        "deploy": _reservations(host.get("DeviceRequests") or []),
    }
    # `init: false` matters where the engine's default is true; an empty list or a zero does not.
    return {name: value for name, value in fields.items() if value or (name == "init" and value is False)}


def _size(number: int) -> str | int | None:
    """Write a size as Compose does, but for one below zero (without limit), which Compose reads as a number only."""
    return number if number < 0 else str(number) if number else None


def _device(device: Mapping[str, Any]) -> str:
    return f"{device['PathOnHost']}:{device['PathInContainer']}:{device['CgroupPermissions']}"


def _logging(log: Mapping[str, Any], engine: Mapping[str, Any]) -> dict[str, Any] | None:
    driver, options = log.get("Type"), log.get("Config") or {}
    if not driver or (driver == engine.get("LoggingDriver") and not options):
        return None
    return {"driver": driver, "options": options} if options else {"driver": driver}


def _blocks(host: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a container may do with devices of blocks."""
    found: dict[str, Any] = {"weight": host["BlkioWeight"]} if host.get("BlkioWeight") else {}
    for key, (name, says) in BLOCKS.items():
        if devices := host.get(key):
            found[name] = [{"path": device["Path"], says: device[says.capitalize()]} for device in devices]
    return found or None


def _reservations(requests: list[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return reserved devices (GPUs) as Compose writes them."""
    if not requests:
        return None
    devices = []
    for request in requests:
        device: dict[str, Any] = {
            "capabilities": [name for names in request.get("Capabilities") or () for name in names]
        }
        device |= {"driver": request["Driver"]} if request.get("Driver") else {}
        device |= {"options": request["Options"]} if request.get("Options") else {}
        device |= (
            {"device_ids": request["DeviceIDs"]} if request.get("DeviceIDs") else {"count": request.get("Count", -1)}
        )
        devices.append(device)
    return {"resources": {"reservations": {"devices": devices}}}
