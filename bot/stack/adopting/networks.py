"""Read how a container is connected."""

from collections.abc import Mapping
from typing import Any

from roas.stack.docker.labels import NETWORK, NUMBER, PROJECT, SERVICE

SHORT_ID = 12


def port_fields(host: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a service's `ports`."""
    ports: list[dict[str, Any]] = []
    for port, bindings in sorted((host.get("PortBindings") or {}).items()):
        target, _, protocol = port.partition("/")
        anywhere: list[Mapping[str, Any]] = [{}]
        for binding in bindings or anywhere:
            fields: dict[str, Any] = {"mode": "ingress", "target": int(target), "protocol": protocol or "tcp"}
            if binding.get("HostIp"):
                fields["host_ip"] = binding["HostIp"]
            if binding.get("HostPort") not in (None, "", "0"):
                fields["published"] = binding["HostPort"]
            ports.append(fields)
    return ports


def network_fields(inspected: Mapping[str, Any], siblings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a service's `networks` (by the networks' names) or its `network_mode`, and its links.

    `siblings` are the project's containers by id.
    """
    mode = inspected["HostConfig"].get("NetworkMode") or "default"
    if mode.startswith("container:"):
        return {"network_mode": shared_namespace(mode, siblings)}
    if mode in {"host", "none", "bridge", "default"}:
        return {"network_mode": "bridge" if mode == "default" else mode}
    endpoints = inspected["NetworkSettings"].get("Networks") or {}
    fields: dict[str, Any] = {"networks": {name: _endpoint(inspected, end) for name, end in endpoints.items()}}
    links, external = _links(endpoints, siblings)
    fields |= {"links": links} if links else {}
    return fields | ({"external_links": external} if external else {})


def requested_addresses(
    inspected: Mapping[str, Any], service: Mapping[str, Any], model: Mapping[str, Any]
) -> dict[str, str]:
    """Return the addresses on the link that a service of the files asks for, and a container has, by network.

    A container does not say whether its address was asked for; while it is stopped, it shows none.
    """
    endpoints = inspected["NetworkSettings"].get("Networks") or {}
    definitions = model.get("networks") or {}
    found = {}
    for key, end in (service.get("networks") or {}).items():
        name = str((definitions.get(key) or {}).get("name") or key)
        asked = str((end or {}).get("mac_address") or "").lower()
        if asked and name in endpoints and str(endpoints[name].get("MacAddress") or asked).lower() == asked:
            found[name] = asked
    return found


def shared_namespace(mode: str, siblings: Mapping[str, Mapping[str, Any]]) -> str:
    """Write `container:<id>` as `service:<name>` where that is one of the project."""
    kind, _, container_id = mode.partition(":")
    sibling = siblings.get(container_id) if kind == "container" else None
    return f"service:{_service_of(sibling)}" if sibling is not None else mode


def network_definition(network: Mapping[str, Any], project: str, *, addressed: bool) -> tuple[str, dict[str, Any]]:
    """Return a network's key and definition; one that is not the project's own is external.

    `addressed` says that a container has an address of its own in it, so that the range matters.
    """
    labels = network.get("Labels") or {}
    if labels.get(PROJECT) != project or not labels.get(NETWORK):
        return network["Name"], {"name": network["Name"], "external": True}
    fields: dict[str, Any] = {"name": network["Name"]}
    if network.get("Driver") not in (None, "bridge"):
        fields["driver"] = network["Driver"]
    flags = {"Internal": "internal", "Attachable": "attachable", "EnableIPv6": "enable_ipv6"}
    fields |= {name: True for key, name in flags.items() if network.get(key)}
    if network.get("Options"):
        fields["driver_opts"] = network["Options"]
    if addressed:
        fields["ipam"] = _ipam(network.get("IPAM") or {})
    return labels[NETWORK], fields


def _endpoint(inspected: Mapping[str, Any], endpoint: Mapping[str, Any]) -> dict[str, Any] | None:
    given = {*_names(inspected), _service_of(inspected), inspected["Id"][:SHORT_ID]}
    requested = endpoint.get("IPAMConfig") or {}
    fields = {
        "aliases": [alias for alias in endpoint.get("Aliases") or () if alias not in given],
        "ipv4_address": requested.get("IPv4Address"),
        "ipv6_address": requested.get("IPv6Address"),
        "link_local_ips": requested.get("LinkLocalIPs"),
        "driver_opts": endpoint.get("DriverOpts"),
    }
    return {name: value for name, value in fields.items() if value} or None


def _links(endpoints: Mapping[str, Any], siblings: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Return links as a person wrote them, Compose adds names of its own to each; and those to other containers."""
    if not any(endpoint.get("Links") for endpoint in endpoints.values()):
        return [], []  # as nearly always: of a large stack, each would look at all others
    services = {sibling["Name"].lstrip("/"): _service_of(sibling) for sibling in siblings.values()}
    found: set[str] = set()
    external: set[str] = set()
    for endpoint in endpoints.values():
        for link in endpoint.get("Links") or ():
            container, _, alias = link.partition(":")
            service = services.get(container)
            if service and alias != container and not alias.startswith(f"{service}-"):
                found.add(service if alias == service else f"{service}:{alias}")
            elif not service:
                external.add(link)
    return sorted(found), sorted(external)


def _ipam(ipam: Mapping[str, Any]) -> dict[str, Any]:
    keys = {"Subnet": "subnet", "Gateway": "gateway", "IPRange": "ip_range"}
    ranges = [{name: entry[key] for key, name in keys.items() if entry.get(key)} for entry in ipam.get("Config") or ()]
    return {"config": ranges}


def _names(inspected: Mapping[str, Any]) -> set[str]:
    """Return the name of a container, and the one that Compose gave it: a renamed one keeps that as an alias."""
    labels = inspected["Config"].get("Labels") or {}
    parts = (str(labels.get(PROJECT)), _service_of(inspected), str(labels.get(NUMBER)))
    return {inspected["Name"].lstrip("/"), "-".join(parts), "_".join(parts)}


def _service_of(inspected: Mapping[str, Any]) -> str:
    return str((inspected["Config"].get("Labels") or {}).get(SERVICE, ""))
