"""Tell which services have all their containers after a call that made those of many services."""

from collections.abc import Collection
from dataclasses import dataclass

from roas.engine.comparison import WantedService, compare_service
from roas.engine.containers.repair import needs_repair
from roas.models.health import ContainerSnapshot


@dataclass(frozen=True, slots=True)
class MadeService:
    """Hold what is wanted of a service, and its containers, which were just made so and are to be started."""

    wanted: WantedService
    containers: tuple[str, ...]


def made_service(
    wanted: WantedService, containers: Collection[ContainerSnapshot], new: Collection[str]
) -> MadeService | None:
    """Return a service of which all containers are `new`, by id, and as they are wanted; else None."""
    difference = compare_service(wanted, containers)
    if difference.unlike or difference.surplus or difference.missing or not containers:
        return None
    if needs_repair(containers) or not all(one.never_ran and one.id in new for one in containers):
        return None
    return MadeService(wanted, tuple(one.id for one in containers))
