"""Take over from the files how a service is updated and watched: no container shows that."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from roas.models.stack import DependencyKind
from roas.stack.model.rollout_policy import SECTIONS
from roas.stack.model.services import OF_RELEASE
from roas.stack.sources.opening import resolve

EXTENSION = "x-deploy"
NEEDS = "depends_on"
LIVE = "live_binds"


def with_rules(
    adopted: Mapping[str, Any], written: Mapping[str, Any], services: Collection[str], folder: Path
) -> dict[str, Any]:
    """Return an adopted service with what the files in a folder say of its updates, and in `x-deploy`.

    `services` are all that were adopted. What the containers themselves say wins.
    """
    fields, own = dict(adopted), dict(adopted.get(EXTENSION) or {})
    given = written.get(EXTENSION)
    given = given if isinstance(given, Mapping) else {}
    rules = {key: value for key, value in given.items() if key not in OF_RELEASE}
    if live := _live_binds(given.get(LIVE), adopted, folder):
        rules[LIVE] = live
    else:
        rules.pop(LIVE, None)
    if needs := _needs(own.get(NEEDS) or {}, given.get(NEEDS), services):
        own[NEEDS] = needs
    fields[EXTENSION] = {**rules, **own}
    updates = {key: value for key in SECTIONS if (value := (written.get("deploy") or {}).get(key))}
    if updates:
        fields["deploy"] = {**(fields.get("deploy") or {}), **updates}
    return fields


def _needs(own: Mapping[str, Any], given: object, services: Collection[str]) -> dict[str, Any]:
    """Return what a service waits for: as its container says, with what `x-deploy` adds to that.

    Of what only the files name, an order alone is taken over: more might close a cycle with what runs.
    """
    added = given if isinstance(given, Mapping) else {}
    entries = {str(on): value for on, value in added.items() if isinstance(value, Mapping)}
    soft = {on: entry for on, entry in entries.items() if entry.get("kind") == DependencyKind.SOFT and on in services}
    return soft | {on: {**value, **entries.get(on, {})} for on, value in own.items()}


def _live_binds(named: object, adopted: Mapping[str, Any], folder: Path) -> list[str]:
    """Return those of the places that the host renews that the containers bind, too."""
    bound = {
        resolve(Path(str(volume["source"]))) for volume in adopted.get("volumes") or () if volume.get("type") == "bind"
    }
    paths = named if isinstance(named, list) else []
    return [path for path in paths if isinstance(path, str) and resolve(folder / path) in bound]
