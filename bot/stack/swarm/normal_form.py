"""Name what a stack has in a Swarm, and compare specs as they were sent with those that Swarm shows.

What says nothing is left out, and ids become names.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from roas.stack.docker.labels import STACK

STACK_IMAGE = "com.docker.stack.image"
SERVICE = "io.roas.service"
NONCE = "io.roas.write"  # another one with each write of ours: the API returns no version for an update
LOGIN = "io.roas.login"  # a keyed hash of the login that a write came with: none is kept by the Swarm for us to see
FENCE = "io.roas.fence"  # another one where a bot has taken the lead: what the one before still sends is refused
ROUND_LABEL = "io.roas.round"  # of one-shot services: another release runs them again
DIGITS = 12
LONGEST_NAME = 63


def stack_name(project: str, name: str) -> str:
    """Return what a service, network or volume of a stack is called, as `docker stack deploy` calls it."""
    return f"{project}_{name}"


def is_of(service: Mapping[str, Any] | None, project: str | None) -> bool:
    """Return whether a service, config or secret of the Swarm belongs to a stack."""
    return service is not None and (service["Spec"].get("Labels") or {}).get(STACK) == project


def is_job(spec: Mapping[str, Any]) -> bool:
    """Return whether a service's tasks are to end: Swarm updates none, and moves none from a node that is lost."""
    return "ReplicatedJob" in (spec.get("Mode") or {})


def force_of(spec: Mapping[str, Any] | None) -> int:
    """Return the counter of forced updates."""
    return int(((spec or {}).get("TaskTemplate") or {}).get("ForceUpdate") or 0)


def content_name(project: str, name: str, content: str) -> str:
    """Return what a config or secret is called: it cannot be changed, so that other content has another name."""
    suffix = f"-{content[:DIGITS]}"
    plain = "".join(text if text.isascii() and (text.isalnum() or text in "._-") else "-" for text in name)
    return f"{project}_{plain}"[: LONGEST_NAME - len(suffix)].rstrip("._-") + suffix


Json = dict[str, Any]
# What Swarm adds by itself, and what differs from write to write though nothing else does.
ADDED = {("Runtime", "container"), ("Isolation", "default"), ("Protocol", "tcp"), ("PublishMode", "ingress")}
OF_A_WRITE = frozenset({"ForceUpdate", NONCE, LOGIN, FENCE})
# By this label we know a service as written by us; and by its image's platforms Docker's command line limits the nodes.
UNASKED = frozenset({SERVICE, "Platforms"})
IDS = frozenset({"ConfigID", "SecretID"})
# Lists of files, whose order means nothing either.
FILES = frozenset({"Configs", "Secrets"})
# Lists of words whose order means something; that of the others is anybody's.
IN_ORDER = frozenset({"Command", "Args", "Test", "Nameservers", "Search"})


def normal_form(spec: Mapping[str, Any], networks: Mapping[str, str]) -> Json:
    """Return a spec as it can be compared; `networks` are names by id."""
    found: Json = _normal(spec, networks)
    return found


def spec_hash(spec: Mapping[str, Any], networks: Mapping[str, str]) -> str:
    """Hash a service's spec, or a task's, but for what belongs to a single write."""
    canonical = json.dumps(normal_form(spec, networks), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def task_hash(service: Mapping[str, Any], task: Mapping[str, Any], networks: Mapping[str, str]) -> str:
    """Hash what a task was made from, together with what its service is now."""
    return spec_hash({**service["Spec"], "TaskTemplate": task["Spec"]}, networks)


def differing_keys(old: Mapping[str, Any], new: Mapping[str, Any], networks: Mapping[str, str]) -> tuple[str, ...]:
    """Name the parts in which two specs differ, as Swarm's API calls them; never a value."""
    return tuple(sorted(_differing(normal_form(old, networks), normal_form(new, networks), "")))


def _differing(old: Json, new: Json, place: str) -> set[str]:
    found: set[str] = set()
    for key in old.keys() | new.keys():
        left, right = old.get(key), new.get(key)
        if left == right:
            continue
        path = f"{place}.{key}" if place else key
        deeper = isinstance(left, dict) and isinstance(right, dict) and key in {"TaskTemplate", "ContainerSpec"}
        found |= _differing(left, right, path if key != "TaskTemplate" else "") if deeper else {path}  # type: ignore[arg-type]
    return found


def _normal(value: Any, networks: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        found = {
            key: networks.get(str(item), item) if key == "Target" else _in_order(key, _normal(item, networks))
            for key, item in value.items()
            if key not in OF_A_WRITE | UNASKED | IDS and not (isinstance(item, str) and (key, item) in ADDED)
        }
        return {key: item for key, item in found.items() if _says_something(key, item)}
    if isinstance(value, list):
        return [_normal(item, networks) for item in value]
    return value


def _in_order(key: str, value: Any) -> Any:
    """Return a list of words or files sorted where two orders of them mean the same; anything else as it is."""
    if isinstance(value, list) and key in FILES:
        return sorted(value, key=lambda item: str((item.get("File") or {}).get("Name")))
    if isinstance(value, list) and key not in IN_ORDER and all(isinstance(item, str) for item in value):
        return sorted(value)
    return value


def _says_something(key: str, value: object) -> bool:
    """Return whether a value counts; a job, or a service on every node, is said by an empty object."""
    if key in {"Global", "GlobalJob", "ReplicatedJob", "Replicas"}:
        return value is not None
    return value not in (None, "", 0, False, [], {})
