"""Write a model in the words of another one, where containers were read back: what differs by more than words is left.

An adopted service says the same as the file that its containers were made of, and says it as the engine does:
`container_name` for a place, `mem_limit` for `deploy.resources`, nothing for what its image has.
"""

from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from posixpath import normpath
from typing import Any

from roas.stack.adopting.sameness import differences
from roas.stack.model.common_form import network_name, secret_path
from roas.stack.model.key_values import is_nameless
from roas.stack.model.rollout_policy import SECTIONS
from roas.stack.model.service_keys import HOOKS, SERVICE_KEYS
from roas.stack.model.services import WRITTEN, adopted_hash, replicas_of, services_of

# Where else a file may say what a service's own key says, as a path below `deploy`.
BELOW_DEPLOY = {key: tuple(known.deploy.split(".")) for key, known in SERVICE_KEYS.items() if known.deploy}
# What a release pins or leaves out, and what runs beside a container's own start.
AS_WRITTEN = frozenset({"image", "build", "pull_policy", "x-deploy", *HOOKS})
APART = frozenset({"deploy", "scale", "volumes", "secrets", "networks"})
# What an engine gives to a network and a volume without being asked.
USUAL: Mapping[str, Mapping[str, Any]] = {
    "networks": {"driver": "bridge"},
    "volumes": {"driver": "local", "external": True},
}
BESIDE = frozenset({"name", "labels"})


def was_read_back(fields: Mapping[str, Any]) -> bool:
    """Return whether a service was read back from containers, and not from files."""
    return bool(adopted_hash(fields)) and WRITTEN not in (fields.get("x-deploy") or {})


def read_back_services(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return those services of both models of which one was read back, as they were read."""
    before, after = services_of(old), services_of(new)
    return {
        name: fields
        for name in before.keys() & after.keys()
        for fields in (before[name] if was_read_back(before[name]) else after[name],)
        if was_read_back(fields)
    }


def respelled(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    images: Mapping[str, Mapping[str, Any]],
    engine: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Return an old model in the words of a new one; `images` are those of the services that were read back."""
    if not images:
        return old
    after = services_of(new)
    services = {
        name: _respelled(name, (fields, old), (after[name], new), images[name], engine) if name in images else fields
        for name, fields in services_of(old).items()
    }
    shared = {kind: _shared(kind, old.get(kind) or {}, new.get(kind) or {}) for kind in USUAL}
    return {**old, **shared, "services": services}


def _respelled(
    name: str,
    old: tuple[Mapping[str, Any], Mapping[str, Any]],
    new: tuple[Mapping[str, Any], Mapping[str, Any]],
    image: Mapping[str, Any],
    engine: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a service of one model as another has it, but for what `differences` tells of the two."""
    (before, old_model), (after, new_model) = old, new
    wanted, real = (new, old) if was_read_back(before) else (old, new)
    unlike = differences(*wanted, *real, image, engine, name=name)
    found = dict(before)
    for key in (before.keys() | after.keys()) - AS_WRITTEN - APART:
        _take(found, after, key, unlike.get(key))
    mounts, networks = unlike.get("volumes", ()), unlike.get("networks", ())
    found |= {
        "deploy": _deploy(before, after, unlike),
        "volumes": _entries(before.get("volumes"), after.get("volumes"), mounts, _target),
        "secrets": _entries(before.get("secrets"), after.get("secrets"), mounts, secret_path),
        "networks": _networks(before, after, networks, old_model, new_model),
    }
    if replicas_of(before) == replicas_of(after):
        found["scale"] = after.get("scale")
    return {key: value for key, value in found.items() if value is not None}


def _take(found: dict[str, Any], other: Mapping[str, Any], key: str, unlike: tuple[str, ...] | None) -> None:
    """Take a key over from another service: all of it, or what is not `unlike` where that has names."""
    there, value = other.get(key), found.get(key)
    if unlike is None:
        found[key] = there
    elif unlike and isinstance(value, Mapping) and isinstance(there, Mapping):
        found[key] = _without(there, unlike) | {name: value[name] for name in unlike if name in value}


def _without(fields: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def _deploy(
    before: Mapping[str, Any], after: Mapping[str, Any], unlike: Mapping[str, tuple[str, ...]]
) -> dict[str, Any] | None:
    own, found = before.get("deploy") or {}, deepcopy(dict(after.get("deploy") or {}))
    # What no container shows is compared as it is written. The rest of `deploy` counts on a Swarm alone.
    paths: list[tuple[str, ...]] = [(key,) for key in SECTIONS]
    paths += [path for key, path in BELOW_DEPLOY.items() if key in unlike]
    paths += [("replicas",)] if replicas_of(before) != replicas_of(after) else []
    for path in paths:
        value: Mapping[str, Any] = own
        place = found
        for part in path[:-1]:
            value, place = value.get(part) or {}, place.setdefault(part, {})
        if (written := value.get(path[-1])) is not None:
            place[path[-1]] = written
        else:
            place.pop(path[-1], None)
    return found or after.get("deploy")


def _target(volume: Mapping[str, Any]) -> str:
    return normpath(str(volume["target"]))


def _entries(own: Any, other: Any, unlike: Collection[str], place: Callable[[Any], str]) -> list[Any] | None:
    """Return the entries of a list as another one has them, but for those at some places."""
    found = {at: entry for entry in other or () if (at := place(entry)) not in unlike}
    found |= {at: entry for entry in own or () if (at := place(entry)) in unlike}
    return list(found.values()) or other


def _networks(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    unlike: Collection[str],
    old_model: Mapping[str, Any],
    new_model: Mapping[str, Any],
) -> dict[str, Any] | None:
    """Return the networks of a service by their keys; `unlike` are names of the engine."""
    own, other = before.get("networks") or {}, after.get("networks") or {}
    found = {key: end for key, end in other.items() if network_name(key, new_model) not in unlike}
    found |= {key: end for key, end in own.items() if network_name(key, old_model) in unlike}
    return found or None


def _shared(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the networks or volumes of a model as another one has those of the same name on the engine.

    Volumes without a name are there for what was read back alone.
    """
    there = [(_name(key, definition), definition or {}) for key, definition in old.items()]
    found = {
        key: definition
        for key, definition in new.items()
        if is_nameless(key)
        or any(name == _name(key, definition) and _is_same(kind, own, definition or {}) for name, own in there)
    }
    same = {_name(key, definition) for key, definition in found.items()}
    kept = {key: value for key, value in old.items() if _name(key, value) not in same and not is_nameless(key)}
    return {**kept, **found}


def _name(key: str, definition: Mapping[str, Any] | None) -> str:
    return str((definition or {}).get("name") or key)


def _is_same(kind: str, found: Mapping[str, Any], written: Mapping[str, Any]) -> bool:
    """Return whether two say the same of what the engine has; a network that was read back may not tell its range."""
    left, right = (
        {key: value for key, value in fields.items() if key not in BESIDE and value and USUAL[kind].get(key) != value}
        for fields in (found, written)
    )
    if not ("ipam" in left and "ipam" in right):
        left.pop("ipam", None)
        right.pop("ipam", None)
    return left == right
