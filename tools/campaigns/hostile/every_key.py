"""Put values of every kind into every key of the Compose Specification's schema that no list of values covers.

A key that is refused on request has to be refused whatever it says. A key that concerns the stack alone may say
anything, and has to stay what it is: Compose must not make another key of it, which could be a power.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from roas.stack.model.service_keys import KeyPolicy
from roas.stack.policy.keys import KEYS

# The keys of schema/compose-spec.json (github.com/compose-spec/compose-spec, a08f8d51 of 2025-10-28, Apache-2.0).
SCHEMA = Path(__file__).with_name("schema_keys.txt")
TEXTS = (
    "/etc/shadow",
    "../../../etc/shadow",
    "./link/shadow",
    "./fifo",
    "./device",
    "./state/journal",
    "/run/docker.sock",
    "host",
    "container:prod-db-1",
    "169.254.169.254",
    "https://example.test/x.git",
    "|/bin/sh -c id",
    "--privileged",
    "$(id)",
    "-1",
    "1g",
    "87600h",
    "a" * 5000,
)
# What is a number or a switch is read by Compose, which refuses other texts.
TEXTS_FOR_NUMBERS = ("/etc/shadow", "-1", "true")
NUMBERS = (-1, 0, 1, 2**31, 2**63 - 1)
# What a key needs beside it, for Compose to take the file.
BESIDE: Mapping[str, Mapping[str, Any]] = {
    "services.*.build": {"context": "./app"},
    "services.*.ports": {"target": 80},
    "services.*.volumes": {"type": "volume", "target": "/t"},
    "services.*.volumes.bind": {},
    "services.*.secrets": {"source": "own"},
    "services.*.configs": {"source": "own"},
    "services.*.build.secrets": {"source": "own"},
    "services.*.healthcheck": {"test": ["CMD", "true"]},
    "services.*.devices": {"source": "/dev/null", "target": "/dev/x"},
    "services.*.gpus": {"count": 1},
    "services.*.post_start": {"command": "x"},
    "services.*.pre_stop": {"command": "x"},
    "services.*.provider": {"type": "x"},
    "services.*.deploy.resources.reservations.devices": {"capabilities": ["gpu"]},
    "services.*.deploy.resources.reservations.generic_resources.discrete_resource_spec": {"kind": "x", "value": 1},
    "services.*.blkio_config.device_read_bps": {"path": "/dev/x", "rate": 1},
    "services.*.blkio_config.device_read_iops": {"path": "/dev/x", "rate": 1},
    "services.*.blkio_config.device_write_bps": {"path": "/dev/x", "rate": 1},
    "services.*.blkio_config.device_write_iops": {"path": "/dev/x", "rate": 1},
    "services.*.blkio_config.weight_device": {"path": "/dev/x", "weight": 10},
    "services.*.develop.watch": {"path": "./app", "action": "sync", "target": "/t"},
    "services.*.develop.watch.exec": {"command": "x"},
    "services.*.depends_on.*": {"condition": "service_started"},
    "networks.*.ipam.config": {"subnet": "10.9.0.0/24"},
    "secrets.*": {"file": "./own.txt"},
    "configs.*": {"file": "./own.txt"},
}
# A kind of mount has its own options.
TYPES = {"bind": {"type": "bind", "source": "./data"}, "tmpfs": {"type": "tmpfs"}, "image": {"type": "image"}}
# The file of the cases has these.
NAMES = {"services.*.depends_on": "base", "services.*.networks": "default", "services.*.ulimits": "nofile"}
# Which test judges the keys that need an engine, another policy or a file of their own.
JUDGED_ELSEWHERE: Mapping[str, str] = {
    "include": "tests/integration/stack/policy/test_raw_spellings.py",
    "services.*.container_name": "tests/integration/stack/policy/test_host_gained.py",
    "services.*.ports.host_ip": "tests/unit/stack/policy/test_policy.py",
}
# Why no value of a key is hostile, for those to which nothing can be put here.
NOTHING_HOSTILE: Mapping[str, str] = {
    "name": "the project's name: the bot gives its own by `-p`, which wins",
    "version": "Compose ignores it",
    "configs.*.external.name": "external configs are Swarm's: Compose refuses them, and so does the bot",
    "secrets.*.external.name": "external secrets are Swarm's: Compose refuses them, and so does the bot",
}


def schema_keys() -> list[tuple[str, frozenset[str]]]:
    """Return every key of the schema, `*` for names that the file chooses, and the types of its values."""
    lines = (line.partition(" ") for line in SCHEMA.read_text(encoding="utf-8").splitlines())
    return [(path, frozenset(types.split(",")) - {""}) for path, _, types in lines]


def judgement_of(path: str) -> KeyPolicy | None:
    """Return what the policy thinks of a key of the schema; None for one whose own keys have their judgements."""
    above = (path[:at] for at, sign in enumerate(path + ".") if sign == ".")
    return next((KEYS[place] for place in above if place in KEYS), None)


def every_key() -> Iterator[tuple[str, str, Any, KeyPolicy]]:
    """Yield each key with a value: its path, the field that has it, that field's value, and the key's judgement."""
    types = dict(schema_keys())
    for path, kinds in types.items():
        judgement = judgement_of(path)
        section, _, below = path.partition(".*.")
        if judgement not in {KeyPolicy.CONTAINED, KeyPolicy.ON_REQUEST} or not below:
            continue
        for value in _values(kinds):
            field, whole = _around(path, value, types)
            yield path, f"{section}.{field}" if section == "services" else section, whole, judgement


def _values(kinds: frozenset[str]) -> Iterator[Any]:
    for kind in sorted(kinds):
        name, _, choices = kind.partition(":")
        match name:
            case "string" if kinds & {"boolean", "integer", "number"}:
                yield from TEXTS_FOR_NUMBERS
            case "string":
                yield from TEXTS
            case "texts":
                yield from ([text] for text in TEXTS)
            case "map":
                yield from ({"a": text} for text in TEXTS[:8])
                yield {"/etc/shadow": "x"}
            case "boolean":
                yield True
            case "integer" | "number":
                yield from NUMBERS
            case "numbers":
                yield from ([number] for number in NUMBERS)
            case "enum":
                yield from choices.split("|")


def _around(path: str, value: Any, types: Mapping[str, frozenset[str]]) -> tuple[str, Any]:
    """Return the field of the service or resource that a key is in, and the field's value with the key in it."""
    parts = path.split(".")
    inner = value
    for depth in range(len(parts) - 1, 2, -1):
        place = ".".join(parts[:depth])
        key = NAMES.get(place, "x") if parts[depth] == "*" else parts[depth]
        beside = dict(BESIDE.get(place, {}))
        if place == "services.*.volumes":
            beside |= TYPES.get(key, {})
        inner = {**beside, key: inner}
        if "mappings" in types.get(place, ()):
            inner = [inner]
    if parts[0] == "services":
        return parts[2], inner
    return parts[2], {**BESIDE.get(f"{parts[0]}.*", {}), parts[2]: inner}


def reached(values: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys of the schema that a list of values says something of."""
    known = {path for path, _ in schema_keys()}
    found: set[str] = set()
    for key, every in values.items():
        section, _, field = key.partition(".")
        place = f"{section}.*" + (f".{field}" if field else "")
        for value in every:
            found |= {path for path in _paths(value, place, known) if path in known}
    return frozenset(found)


def _paths(value: Any, place: str, known: set[str]) -> Iterator[str]:
    yield place
    if isinstance(value, list):
        for item in value:
            yield from _paths(item, place, known)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            path = f"{place}.{key}"
            yield from _paths(item, path if path in known else f"{place}.*", known)
