"""Inspect a container without what every new container has of its own."""

from typing import Any

import docker

OWN = (
    "Id",
    "Created",
    "State",
    "Name",
    "ResolvConfPath",
    "HostnamePath",
    "HostsPath",
    "LogPath",
    "GraphDriver",
    "ExecIDs",
)
OWN_OF_NETWORK = ("EndpointID", "NetworkID", "Gateway", "IPAddress", "IPPrefixLen", "MacAddress", "GlobalIPv6Address")


def normalised(client: docker.DockerClient, container_id: str) -> dict[str, Any]:
    """Return what matters of a container: what it runs, as whom, with which rights, mounts, ports and names."""
    found = client.api.inspect_container(container_id)
    config, host = found["Config"], found["HostConfig"]
    labels = {k: v for k, v in (config["Labels"] or {}).items() if not k.startswith("com.docker.compose.")}
    mounts = sorted(found["Mounts"], key=lambda mount: mount["Destination"])
    host["Ulimits"] = sorted(host["Ulimits"] or (), key=lambda ulimit: str(ulimit["Name"]))
    for key in ("CapAdd", "CapDrop"):  # Engine 28 may show the same one by either name
        host[key] = [name.removeprefix("CAP_") for name in host[key] or ()]
    networks = found["NetworkSettings"]["Networks"] or {}
    return {
        **{key: value for key, value in found.items() if key not in {*OWN, "Config", "HostConfig", "NetworkSettings"}},
        "Mounts": [{key: value for key, value in mount.items() if key != "Mode"} for mount in mounts],
        "Config": {
            **{key: value for key, value in config.items() if key not in {"Hostname", "Image", "Labels", "Env"}},
            "Env": sorted(config["Env"] or ()),
            "Labels": labels,
            "OwnHostname": None if config["Hostname"] in _given(found) else config["Hostname"],
        },
        "HostConfig": {k: v or None for k, v in host.items() if k not in {"Binds", "Mounts", "VolumesFrom"}},
        "Networks": {name: _endpoint(end, found) for name, end in networks.items()},
    }


def _given(found: dict[str, Any]) -> set[str]:
    """Return the host names that an engine gives: the id, or that of the container whose network is shared."""
    return {found["Id"][:12], found["HostConfig"]["NetworkMode"].removeprefix("container:")[:12]}


def _endpoint(endpoint: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in endpoint.items() if key not in OWN_OF_NETWORK}
    for key in ("Aliases", "DNSNames"):
        kept[key] = sorted(set(endpoint.get(key) or ()) - {found["Id"][:12]})
    kept["Links"] = sorted(endpoint.get("Links") or ())
    return kept
