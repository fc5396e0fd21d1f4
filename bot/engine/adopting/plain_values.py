"""Read the value of one key of a service plainly: what is the same, written in several ways, is then the same."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def read_number(value: object) -> int | None:
    """Return a number that may be written as a text; None for none and for zero."""
    return int(str(value)) if value not in (None, "", 0) else None


def _ulimits(ulimits: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    return {
        name: (int(one["soft"]), int(one["hard"])) if isinstance(one, Mapping) else (int(one), int(one))
        for name, one in ulimits.items()
    }


def _devices(devices: Iterable[Any]) -> list[str]:
    return sorted(
        f"{one['source']}:{one.get('target') or one['source']}:{one.get('permissions') or 'rwm'}"
        if isinstance(one, Mapping)
        else str(one)
        for one in devices
    )


def _blocks(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what may be done with devices of blocks; Compose writes rates as texts."""
    lists = {
        name: sorted((str(one["path"]), int(one.get("rate") or one.get("weight") or 0)) for one in devices)
        for name, devices in config.items()
        if name != "weight" and devices
    }
    return {**lists, **({"weight": int(weight)} if (weight := config.get("weight")) else {})}


def _texts(values: Any) -> list[str]:
    return sorted(map(str, [values] if isinstance(values, str) else values or ()))


def _link(link: str) -> str:
    """Leave out a link's alias where it is the service's own name."""
    service, _, alias = link.partition(":")
    return service if alias == service else link


def _capabilities(values: Iterable[str]) -> list[str]:
    return sorted(value.upper().removeprefix("CAP_") for value in values or ())


def _hosts(values: Any) -> list[str]:
    entries = [f"{name}:{one}" for name, one in values.items()] if isinstance(values, Mapping) else values or ()
    return sorted(str(entry).replace("=", ":", 1) for entry in entries)


READERS: Mapping[str, Callable[[Any], object]] = {
    "ulimits": lambda value: _ulimits(value or {}),
    "devices": lambda value: _devices(value or ()),
    "cap_add": _capabilities,
    "cap_drop": _capabilities,
    "extra_hosts": _hosts,
    "shm_size": read_number,
    "mem_swappiness": lambda value: None if value is None else int(value),
    "blkio_config": lambda value: _blocks(value or {}),
    "sysctls": lambda value: {name: str(one) for name, one in (value or {}).items()},
    "group_add": _texts,
    "security_opt": _texts,
    "dns": list,
    "dns_search": list,
    "dns_opt": _texts,
    "tmpfs": _texts,
    "links": lambda value: sorted(_link(str(one)) for one in value or ()),
    "external_links": lambda value: sorted(one if ":" in one else f"{one}:{one}" for one in value or ()),
    "cpu_shares": read_number,
}
