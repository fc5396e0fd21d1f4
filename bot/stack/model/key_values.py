"""Bring values of a service's keys to one form, so that they compare however they are written."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from roas.stack.model.durations import read_duration

NANO = 1_000_000_000
UNLIMITED = -1
# What a health check calls its times, and what the engine does.
HEALTH_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}
USUAL_PROPAGATION = ("", "rprivate")
OF_PORT = ("host_ip", "published", "target", "protocol")
UNNAMED = re.compile(r"[0-9a-f]{64}")


def is_nameless(volume: str) -> bool:
    """Return whether a volume has only the name that the engine gave it."""
    return UNNAMED.fullmatch(volume) is not None


def has_cgroup_v2(engine: Mapping[str, Any]) -> bool:
    """Return whether an engine says of itself that its kernel has the second version of cgroups."""
    return str(engine.get("CgroupVersion")) == "2"


def usual_cgroup(engine: Mapping[str, Any]) -> str:
    """Return the cgroup namespace that an engine gives to a container that asks for none."""
    return "private" if has_cgroup_v2(engine) else "host"


def number(value: object) -> int | None:
    """Return a number that may be written as a text; None for none and for zero."""
    return int(str(value)) if value not in (None, "", 0) else None


def whole(value: Any) -> int | None:
    """Return a number, of which zero is one."""
    return None if value is None else int(value)


def limits(ulimits: Mapping[str, Any] | None) -> dict[str, tuple[int, int]]:
    """Return limits, soft and hard, by name."""
    return {
        name: (int(value["soft"]), int(value["hard"])) if isinstance(value, Mapping) else (int(value), int(value))
        for name, value in (ulimits or {}).items()
    }


def devices(found: Iterable[Any] | None) -> list[str]:
    """Return devices in the short form."""
    return sorted(
        f"{device['source']}:{device.get('target') or device['source']}:{device.get('permissions') or 'rwm'}"
        if isinstance(device, Mapping)
        else str(device)
        for device in found or ()
    )


def blocks(config: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what may be done with devices of blocks; Compose writes rates as texts."""
    given = config or {}
    lists = {
        name: sorted((str(device["path"]), int(device.get("rate") or device.get("weight") or 0)) for device in found)
        for name, found in given.items()
        if name != "weight" and found
    }
    return {**lists, **({"weight": int(weight)} if (weight := given.get("weight")) else {})}


def settings(found: Mapping[str, Any] | None) -> dict[str, str]:
    """Return settings with their values as texts."""
    return {name: str(item) for name, item in (found or {}).items()}


def texts(found: Any) -> list[str]:
    """Return texts whose order means nothing; a single one may be written without a list."""
    return sorted(map(str, [found] if isinstance(found, str) else found or ()))


def links(found: Iterable[Any] | None) -> list[str]:
    """Return links, each without its alias where that is the service's own name."""
    pairs = (str(link).partition(":") for link in found or ())
    return sorted(service if alias == service else f"{service}{sign}{alias}" for service, sign, alias in pairs)


def external_links(found: Iterable[str] | None) -> list[str]:
    """Return links to containers of others, each with its alias."""
    return sorted(item if ":" in item else f"{item}:{item}" for item in found or ())


def capabilities(found: Iterable[str] | None) -> list[str]:
    """Return capabilities as the engine calls them."""
    return sorted(value.upper().removeprefix("CAP_") for value in found or ())


def hosts(found: Any) -> list[str]:
    """Return names and addresses of hosts."""
    entries = [f"{name}:{value}" for name, value in found.items()] if isinstance(found, Mapping) else found or ()
    return sorted(str(entry).replace("=", ":", 1) for entry in entries)


def processors(found: object) -> float:
    """Return how many processors may be used; Compose calculates roughly."""
    return round(float(str(found or 0)), 3)


def duration(found: object) -> float | None:
    """Return seconds."""
    return None if found is None else read_duration(found)


def ports(published: Iterable[Mapping[str, Any]] | None) -> list[tuple[str, ...]]:
    """Return the ports that are published."""
    return sorted(tuple(str(port.get(key) or "") for key in OF_PORT) for port in published or ())
