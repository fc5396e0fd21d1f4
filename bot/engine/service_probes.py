"""Read which URLs tell whether a service is well: its own `x-deploy.probe`, and those that its dependents ask."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from bot.engine.durations import read_duration
from bot.errors import ComposeFileError
from bot.models.dependency import Dependency
from bot.models.stack import ServiceDefinition, ServiceProbe

SCHEMES = frozenset({"http", "https", "redis", "rediss", "tcp"})
HINT = "A probe is a URL, http(s)://, redis:// or tcp://, or a mapping of `url` and `startup_delay`."


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
    """Raise ComposeFileError for a probe that nobody could ask, before anything is touched."""
    for name, definition in definitions.items():
        for probe in definition.probes:
            if (problem := problem_of(probe.url)) is not None:
                raise ComposeFileError(f"x-deploy: the probe of {name} makes no sense: {problem}.", hint=HINT)


def problem_of(url: object) -> str | None:
    """Say why a probe's URL cannot be asked, without repeating it, since it may hold a password; None where it can."""
    if not isinstance(url, str):
        return "it is no URL"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "its host or port cannot be read"
    if parts.scheme not in SCHEMES:
        return "its scheme is none of " + ", ".join(sorted(SCHEMES))
    if not host:
        return "it names no host"
    return "it names no port" if parts.scheme == "tcp" and port is None else None


def _own(name: str, written: object) -> ServiceProbe:
    entry = written if isinstance(written, Mapping) else {"url": written}
    url = entry.get("url")
    if not isinstance(url, str) or url.partition(":")[0] not in SCHEMES or set(entry) - {"url", "startup_delay"}:
        raise ComposeFileError(f"x-deploy of {name}: its probe makes no sense.", hint=HINT)
    try:
        return ServiceProbe(url, read_duration(entry.get("startup_delay", 0.0)))
    except ValueError as error:
        raise ComposeFileError(f"x-deploy of {name}: its probe's startup_delay: {error}.", hint=HINT) from error
