"""Say of each key of the Compose Specification what the policy thinks of it; any other is a power by its name.

A path has `*` where the compose file chooses the name; lists are not part of it. A key whose own keys are here stands
for them; all that is below any other one has its judgement.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from roas.messages.message import said
from roas.redaction import HIDDEN, is_credential
from roas.stack.model.service_keys import SERVICE_KEYS, KeyPolicy
from roas.stack.model.services import OF_BOT

# By judgement, and the place that has the keys; those of a service have a table of their own.
_TABLE: Mapping[KeyPolicy, Mapping[str, str]] = {
    KeyPolicy.CONTAINED: {
        "": "name version",
        "services.*.x-deploy": """
            backup canary critical depends_on home_only live_binds on_rollback one_shot probe proxy track""",
        "networks.*": "attachable enable_ipv4 enable_ipv6 internal",
        "networks.*.ipam.config": "aux_addresses gateway",
        "secrets.*": "driver driver_opts environment external labels name template_driver",
        "configs.*": "content environment external labels name template_driver",
    },
    KeyPolicy.BY_VALUE: {
        "networks.*": "driver driver_opts external labels name",
        "networks.*.ipam": "driver",
        "networks.*.ipam.config": "ip_range subnet",
        "secrets.*": "file",
        "configs.*": "file",
        "volumes.*": "driver driver_opts external labels name",
    },
    KeyPolicy.ON_REQUEST: {"": "models", "networks.*.ipam": "options"},
    KeyPolicy.READ: {"": "include"},
}


def _of_service(name: str, policy: KeyPolicy | Mapping[KeyPolicy, str]) -> dict[str, KeyPolicy]:
    """Return the judgement of a key of a service, or those of the keys below it."""
    if isinstance(policy, KeyPolicy):
        return {f"services.*.{name}": policy}
    return {f"services.*.{name}.{key}": judgement for judgement, keys in policy.items() for key in keys.split()}


KEYS: Mapping[str, KeyPolicy] = {
    **{
        f"{place}.{key}".lstrip("."): judgement
        for judgement, places in _TABLE.items()
        for place, keys in places.items()
        for key in keys.split()
    },
    **{f"services.*.x-deploy.{key}": KeyPolicy.CONTAINED for key in OF_BOT},
    **{path: found for name, key in SERVICE_KEYS.items() for path, found in _of_service(name, key.policy).items()},
}
# The entry that allows what is refused; where none is named, it is called like the key.
ENTRIES: Mapping[str, str] = {
    **{f"services.*.{name}": key.entry for name, key in SERVICE_KEYS.items() if key.entry},
    "services.*.build.entitlements": "build",
    "services.*.build.privileged": "build",
    "services.*.build.ssh": "build",
    "services.*.networks.*.driver_opts": "network",
    "networks.*.ipam.options": "network",
}
# Nothing allows it: Compose gives the service the logins to registries that it has itself, which are the bot's.
NEVER = frozenset({"services.*.use_api_socket"})
# The words of the specification: who takes one for a password has one that anybody guesses.
VOCABULARY = frozenset(part for path in KEYS for part in path.split(".")) | frozenset(ENTRIES.values())
_NAMED = "*"
PLAIN = re.compile(r"[\w./:@-]{1,60}", re.ASCII)
# Of a hash: so many that nobody finds two values of one.
DIGITS = 40
_PLACES = frozenset(path[:at] for path in KEYS for at, sign in enumerate(path) if sign == ".")


@dataclass(frozen=True, slots=True)
class FoundKey:
    """Hold a key that a model has: its path in the table, and in the model; and whether it says anything."""

    path: str
    names: tuple[str, ...]
    is_said: bool
    value: object = None

    @property
    def judgement(self) -> KeyPolicy | None:
        """Return what the policy thinks of it; None where nobody has said so."""
        return KEYS.get(self.path)

    @property
    def entry(self) -> str:
        """Return the entry that allows it: named after the network, or else the service or whatever has it."""
        if self.path in NEVER:
            return ""
        kind = ENTRIES.get(self.path, self.path.rpartition(".")[2])
        at = 3 if kind == "network" and self.names[0] == "services" else min(1, len(self.names) - 1)
        return f"{kind}:{self.names[at]}"

    def _shown(self, value: str) -> str:
        shown = ".".join(self.names[0 if len(self.names) == 1 else 2 :])
        is_of_value = shown and value and self.judgement in {KeyPolicy.ON_REQUEST, None}
        return f"{shown}: {value}" if is_of_value else shown

    @property
    def reading(self) -> str:
        """Return what it says, as a person reads it; empty where the text has it."""
        value = shown_value(self.value)
        return self._shown(readable(self.value, self.names[-1])) if value not in {"", str(self.value)} else ""

    @property
    def text(self) -> str:
        """Say in words who has it."""
        shown = self._shown(shown_value(self.value))
        match self.names[0]:
            case _ if len(self.names) == 1:  # such as `models`
                return said("the compose file has `{shown}`", shown=shown)
            case "services":
                name = self.names[1]
                return (
                    said("{name} has `{shown}`", name=name, shown=shown)
                    if shown
                    else said("{name} is not a service", name=name)
                )
            case kind if shown:
                return said(
                    "the {kind} {name} has `{shown}`", kind=kind.removesuffix("s"), name=self.names[1], shown=shown
                )
        return said("the compose file has `{shown}`", shown=".".join(self.names))


def shown_value(value: object) -> str:
    """Return a short text as it is, and of all else what tells it from others: it may hold a password."""
    if value is True or value is None:
        return ""
    if isinstance(value, str | int | float) and PLAIN.fullmatch(str(value)):
        return str(value)
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:DIGITS]


def readable(value: object, key: str = "") -> str:
    """Return a value as a person reads it: what a key calls a credential is hidden."""
    if is_credential(key.replace("-", "_")):
        return HIDDEN
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={readable(item, str(name))}" for name, item in sorted(value.items()))
    if isinstance(value, list):
        return ", ".join(map(readable, value))
    parts = (part.partition("=") for part in str(value).split(","))  # such as the options of a mount
    return ",".join(f"{name}{sign}{HIDDEN if sign and is_credential(name) else rest}" for name, sign, rest in parts)


def keys_of(model: Mapping[str, Any]) -> Iterator[FoundKey]:
    """Find every key of a model, down to where one judgement counts for all that is below."""
    yield from _keys(model, "", ())


def _keys(value: object, place: str, names: tuple[str, ...]) -> Iterator[FoundKey]:
    if isinstance(value, list):
        for item in value:
            yield from _keys(item, place, names)
    elif isinstance(value, Mapping):
        chosen = _join(place, _NAMED) in _PLACES
        for key, item in value.items():
            if not chosen and str(key).startswith("x-") and _join(place, str(key)) not in _PLACES:
                continue  # nobody acts upon an extension but ours; and a service may be called like one
            path = _join(place, _NAMED if chosen else str(key).replace(".", "/"))
            if path in _PLACES:
                yield from _keys(item, path, (*names, str(key)))
            elif isinstance(item, list) and KEYS.get(path) is KeyPolicy.ON_REQUEST:
                # An entry asks for something by being there: Compose reads `gpus: [{}]` as all of them.
                said_by = ((entry, bool(entry) or isinstance(entry, Mapping)) for entry in item)
                yield from (FoundKey(path, (*names, str(key)), is_said, entry) for entry, is_said in said_by)
            else:
                yield FoundKey(path, (*names, str(key)), bool(item), item)


def _join(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key
