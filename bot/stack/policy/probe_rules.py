"""Judge by a model alone whether its probes ask its own services.

What their addresses are is judged at each probe, by `probe_targets`.
"""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from roas.messages.message import said
from roas.stack.model.services import services_of
from roas.stack.policy.power import Power

PORTS = {"http": 80, "https": 443, "redis": 6379, "rediss": 6379}


def judge_probes(model: Mapping[str, Any]) -> Iterator[Power]:
    """Find the probes of a model that ask neither a service of it by name, nor a port that one publishes."""
    services = services_of(model)
    names = {str(name).lower() for key, service in services.items() for name in _names(key, service)}
    published = {str(port.get("published")) for service in services.values() for port in service.get("ports") or ()}
    for who, url in _probes(services):
        target = target_of(url)
        if target is None or target[0] in names:
            continue  # what is no probe is refused elsewhere
        host, port = target
        if not (_is_loopback(host) and str(port) in published):
            yield Power(
                said(
                    "a probe of {who} asks {host}:{port}, which is not a service of this stack",
                    who=who,
                    host=host,
                    port=port,
                ),
                f"probe:{host}:{port}",
            )


def target_of(url: object) -> tuple[str, int] | None:
    """Return the host and the port that a probe's URL names, or None where it names none."""
    try:
        parts = urlsplit(str(url))
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname and port else None


def _names(key: str, service: Mapping[str, Any]) -> Iterator[object]:
    yield from (key, service.get("container_name"), service.get("hostname"))
    networks = service.get("networks")
    for network in networks.values() if isinstance(networks, Mapping) else ():
        yield from (network or {}).get("aliases") or ()


def _probes(services: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, object]]:
    for name, service in services.items():
        own = service.get("x-deploy")
        fields = own if isinstance(own, Mapping) else {}
        edges = fields.get("depends_on")
        probe = fields.get("probe")
        yield name, probe.get("url") if isinstance(probe, Mapping) else probe
        for edge in edges.values() if isinstance(edges, Mapping) else ():
            if isinstance(edge, Mapping):
                yield name, edge.get("probe")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
