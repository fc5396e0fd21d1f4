"""Read the URLs that show whether a service is healthy: its own `x-deploy.probe`, and those of its dependents."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from roas.errors import ComposeFileError
from roas.messages.message import said
from roas.models.stack import Dependency, ServiceDefinition, ServiceProbe
from roas.stack.model.durations import read_duration

SCHEMES = frozenset({"http", "https", "redis", "rediss", "tcp"})
HINT = said("A probe is a URL, http(s)://, redis:// or tcp://, or a mapping of `url` and `startup_delay`.")


def probes_of(
    services: Mapping[str, Mapping[str, Any]], dependencies: Mapping[str, tuple[Dependency, ...]]
) -> dict[str, tuple[ServiceProbe, ...]]:
    """Return the probes of each service that has any; one URL is asked once. Raises ComposeFileError."""
    found: dict[str, dict[str, ServiceProbe]] = {}
    for name, service in services.items():
        if (own := (service.get("x-deploy") or {}).get("probe")) is not None:
            probe = _own(name, own)
            found.setdefault(name, {})[probe.url] = probe
    for edges in dependencies.values():
        for edge in edges:
            if edge.probe is not None and edge.on in services:
                probe = ServiceProbe(edge.probe, edge.startup_delay_seconds)
                found.setdefault(edge.on, {}).setdefault(probe.url, probe)
    return {name: tuple(probes.values()) for name, probes in found.items()}


def refuse_impossible_probes(definitions: Mapping[str, ServiceDefinition]) -> None:
    """Raise ComposeFileError for an invalid probe, without quoting its URL, which may hold a password."""
    for name, definition in definitions.items():
        if not all(can_be_asked(probe.url) for probe in definition.probes):
            raise ComposeFileError(
                said("x-deploy: a probe of {name} has an invalid scheme, host or port.", name=name), hint=HINT
            )


def can_be_asked(url: object) -> bool:
    """Return whether a probe's URL has a known scheme, a host, and a port that is one."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme in SCHEMES and bool(host) and (parts.scheme != "tcp" or port is not None)


def _own(name: str, written: object) -> ServiceProbe:
    entry = written if isinstance(written, Mapping) else {"url": written}
    url = entry.get("url")
    if not isinstance(url, str) or url.partition(":")[0] not in SCHEMES or set(entry) - {"url", "startup_delay"}:
        raise ComposeFileError(said("x-deploy of {name} is not valid: {reason}.", name=name, reason="probe"), hint=HINT)
    try:
        return ServiceProbe(url, read_duration(entry.get("startup_delay", 0.0)))
    except ValueError as error:
        raise ComposeFileError(
            said(
                "x-deploy of {name} is not valid: {reason}.",
                name=name,
                reason=said("{key}: {error}", key="probe.startup_delay", error=error),
            ),
            hint=HINT,
        ) from error
