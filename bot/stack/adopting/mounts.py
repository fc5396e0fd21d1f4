"""Read what is mounted into a container."""

from collections.abc import Mapping
from posixpath import normpath
from typing import Any

SELINUX_SIGNS = ("z", "Z")
OWN_LABEL = "Z"
DEFAULT_PROPAGATION = ("", "rprivate")


def mount_fields(inspected: Mapping[str, Any]) -> tuple[list[dict[str, Any]], frozenset[str]]:
    """Return a service's `volumes`, and the names of the engine's volumes among them.

    Anonymous volumes are named too: that way their data is found again after the container is gone.
    """
    requested = {normpath(request["Target"]): request for request in inspected["HostConfig"].get("Mounts") or ()}
    volumes: list[dict[str, Any]] = []
    names: set[str] = set()
    for mount in inspected.get("Mounts") or ():
        request = requested.get(mount["Destination"], {})
        if mount["Type"] == "volume":
            names.add(mount["Name"])
            volumes.append(_volume(mount, request))
        elif mount["Type"] == "bind":
            volumes.append(_bind(mount, request))
    volumes += [_tmpfs(request) for request in requested.values() if request.get("Type") == "tmpfs"]
    return sorted(volumes, key=lambda volume: str(volume["target"])), frozenset(names)


def _volume(mount: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    options = request.get("VolumeOptions") or {}
    nocopy = options.get("NoCopy") or "nocopy" in _signs(mount)
    fields: dict[str, Any] = {"type": "volume", "source": mount["Name"], "target": mount["Destination"]}
    fields |= {} if mount.get("RW", True) else {"read_only": True}
    # The other sign is what the engine shows of a volume for which nobody asked, too.
    if _selinux_sign(mount) == OWN_LABEL:
        fields["bind"] = {"selinux": OWN_LABEL}
    return {**fields, "volume": {"nocopy": True}} if nocopy else fields


def _bind(mount: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    bind: dict[str, Any] = {"create_host_path": True}
    # The engine gives `rslave` by itself to what holds its own folder, such as `/`.
    asked = {*_signs(mount), (request.get("BindOptions") or {}).get("Propagation")}
    if mount.get("Propagation", "") not in DEFAULT_PROPAGATION and mount["Propagation"] in asked:
        bind["propagation"] = mount["Propagation"]
    if sign := _selinux_sign(mount):
        bind["selinux"] = sign
    fields: dict[str, Any] = {
        "type": "bind",
        "source": mount["Source"],
        "target": mount["Destination"],
        "bind": bind,
    }
    return fields if mount.get("RW", True) else {**fields, "read_only": True}


def _signs(mount: Mapping[str, Any]) -> list[str]:
    return str(mount.get("Mode", "")).split(",")


def _selinux_sign(mount: Mapping[str, Any]) -> str:
    """Return the last of a mount's signs for SELinux, if it has any."""
    return next((sign for sign in reversed(SELINUX_SIGNS) if sign in _signs(mount)), "")


def _tmpfs(request: Mapping[str, Any]) -> dict[str, Any]:
    options = request.get("TmpfsOptions") or {}
    own: dict[str, Any] = {}
    if options.get("SizeBytes"):
        own["size"] = str(options["SizeBytes"])
    if options.get("Mode"):
        own["mode"] = options["Mode"]
    fields: dict[str, Any] = {"type": "tmpfs", "target": request["Target"]}
    return {**fields, "tmpfs": own} if own else fields
