"""Name the keys in which containers are other than a model wants them: hands make them again, or change them."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from roas.models.health import ALIVE, ContainerState
from roas.stack.adopting.sameness import container_fields, differences
from roas.stack.containers.repair import WRONG_NAME
from roas.stack.containers.snapshots import inspect_each, list_ids, snapshot
from roas.stack.docker.engine import Engine
from roas.stack.docker.labels import SERVICE
from roas.stack.images.lookup import find_image
from roas.stack.model.common_form import network_name, usual_name
from roas.stack.model.read_back import ShownContainer
from roas.stack.model.service_keys import SERVICE_KEYS
from roas.stack.model.services import services_of
from roas.stack.service_comparison import ContainerDifference

SHOWN_OF_ENDPOINT = frozenset({"aliases", "ipv4_address", "ipv6_address", "link_local_ips", "driver_opts"})
# A container that was stopped shows the same as one that runs.
COMPARED = ALIVE | {ContainerState.EXITED}
# Networks that have no aliases.
PREDEFINED = frozenset({"bridge", "host", "none"})
UNPRINTABLE = re.compile(r"[^\w./:@+-]")
LONGEST_NAME = 60


async def find_container_differences(engine: Engine, model: Mapping[str, Any]) -> Mapping[str, ContainerDifference]:
    """Return, by id, the containers of which a key differs from a pinned model; what never ran is left out."""
    ids = await engine.call(lambda client: list_ids(client, engine.project))
    inspected = await inspect_each(engine, ids)
    shown = [entry for entry in inspected if snapshot(entry).state in COMPARED]
    if not shown:
        return {}
    image_ids = list({str(entry["Image"]) for entry in shown})
    images = dict(zip(image_ids, await engine.each(find_image, image_ids), strict=True))
    says_of_itself = await engine.call(lambda client: client.info())
    siblings = {entry["Id"]: entry for entry in inspected}
    comparison = _Comparison(model, engine.project, says_of_itself, images, siblings, services_of(model))
    found = {entry["Id"]: comparison.of(entry) for entry in shown}
    return {
        container_id: difference for container_id, difference in found.items() if difference != ContainerDifference()
    }


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Compare the containers of one look."""

    model: Mapping[str, Any] = field(repr=False)
    project: str
    engine: Mapping[str, Any]
    images: Mapping[str, Mapping[str, Any] | None]
    siblings: Mapping[str, Mapping[str, Any]]
    wanted: Mapping[str, Mapping[str, Any]] = field(repr=False)

    def of(self, inspected: dict[str, Any]) -> ContainerDifference:
        """Return in what a container differs from what is wanted of its service."""
        name = str((inspected["Config"].get("Labels") or {}).get(SERVICE, ""))
        wanted = self.wanted.get(name)
        image = self.images[inspected["Image"]]
        if wanted is None or image is None:
            return ContainerDifference()
        real = container_fields(ShownContainer(inspected, image, self.engine, self.siblings))
        names = {key: {"name": key} for key in real.get("networks") or ()}
        real_model = {"name": self.project, "networks": names}
        found = differences(_as_shown(wanted), self.model, real, real_model, image, self.engine, name=name)
        keys = [key for key in found if key in SERVICE_KEYS and SERVICE_KEYS[key].is_told]
        changed = [key for key in keys if self._can(SERVICE_KEYS[key].updated)]
        if "mem_limit" in changed and "memswap_limit" in changed:
            changed.remove("memswap_limit")  # by default it follows from the other
        networks = _networks_changed(
            frozenset(network_name(key, self.model) for key in wanted.get("networks") or ()), inspected, name
        )
        renamed = ["container_name"] if self._is_renamed(name, wanted, inspected["Name"].lstrip("/")) else []
        return ContainerDifference(
            keys=tuple(_written(keys, found)),
            changed=(
                *_written(changed, found),
                *(f"networks: {_printable(network)}" for network in networks),
                *renamed,
            ),
        )

    def _is_renamed(self, service: str, wanted: Mapping[str, Any], name: str) -> bool:
        """Return whether a container has another name than Compose gives it; one that is repaired anyway has not."""
        passing = WRONG_NAME.fullmatch(name)
        known = passing["name"] if passing else name
        given = wanted.get("container_name")
        return known != given if given else not usual_name(self.project, service).fullmatch(known)

    def _can(self, ability: str | None) -> bool:
        """Return whether `docker update` changes it: an engine that cannot leaves it out."""
        return ability is not None and (not ability or self.engine.get(ability) is not False)


def _as_shown(wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out what a container shows nowhere of its place in a network, such as an address of its own on the link."""
    networks = {
        name: {key: value for key, value in (end or {}).items() if key in SHOWN_OF_ENDPOINT}
        for name, end in (wanted.get("networks") or {}).items()
    }
    return {**wanted, "networks": networks}


def _networks_changed(wanted: frozenset[str], inspected: Mapping[str, Any], service: str) -> list[str]:
    """Return the networks that a container lacks, or is in without being asked; one without its name there lacks it."""
    if not wanted:
        return []  # it has another's network, or the host's
    there: Mapping[str, Any] = inspected["NetworkSettings"].get("Networks") or {}
    named = {
        value for value, end in there.items() if value in PREDEFINED or service in ((end or {}).get("Aliases") or ())
    }
    return sorted((wanted - named) | (there.keys() - wanted))


def _written(keys: Collection[str], names: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for key in keys:
        yield from (f"{key}: {_printable(name)}" for name in names[key]) if names[key] else (key,)


def _printable(name: str) -> str:
    return UNPRINTABLE.sub("?", name)[:LONGEST_NAME]
