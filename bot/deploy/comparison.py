"""Hold what a plan is made of: the model that is wanted beside what the engine shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from roas.deploy.changes import StackChanges
from roas.models.health import ContainerSnapshot
from roas.models.release import Release
from roas.stack.comparison import ContainerDifference, ServiceDifference, WantedService
from roas.stack.interface import SweptContainers


@dataclass(frozen=True, slots=True)
class Comparison:
    """Hold what was compared for a plan: the changes, the containers, the release that runs and its model.

    `certain` are the changes where every image that is not here yet turns out to be the one that runs, `most` where
    none does. `as_released` is what the model that runs wants of its services. `in_place` is what hands changed of
    a container without making it anew, by its id. `by_service` are the containers that are left, by service. What
    deployments of ours changed, and no hand, `by_us` says in words. What is `on_swarm` has tasks.
    """

    certain: StackChanges
    most: StackChanges
    containers: SweptContainers
    current: Release | None
    old_model: Mapping[str, Any] | None
    new_model: Mapping[str, Any]
    as_released: Mapping[str, WantedService]
    in_place: Mapping[str, ContainerDifference]
    by_service: Mapping[str, list[ContainerSnapshot]]
    by_us: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    on_swarm: bool = False

    def containers_of(self, service: str) -> list[ContainerSnapshot]:
        """Return the containers of a service."""
        return self.by_service.get(service, [])

    def released_image(self, service: str) -> tuple[str, str]:
        """Return the reference and the image ID of a service in the release that runs; empty where it has none."""
        found = self.current.service(service) if self.current else None
        return (found.image.reference, found.image.image_id) if found else ("", "")

    def running_image(self, service: str) -> str | None:
        """Return what people call the image that a service runs now; without a container, the release's."""
        reference, image_id = self.released_image(service)
        there = self.containers_of(service)
        if not there or image_id == there[0].image_id:
            return reference or None
        return there[0].image_reference or there[0].image_id


def difference_of(changes: StackChanges, name: str) -> ServiceDifference | None:
    """Return how a service differs, the bot's own too; None where it does not."""
    if changes.own is not None and changes.own.service == name:
        return changes.own or None
    return changes.differing.get(name)
