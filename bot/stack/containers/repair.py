"""Fix what a killed Compose leaves behind: containers under a wrong name, and ones that never ran."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from roas.messages.message import said
from roas.models.health import ALIVE, ContainerSnapshot, HealthStatus
from roas.stack.containers.removal import remove_container
from roas.stack.docker.api_errors import ApiError, ApiNotFoundError
from roas.stack.docker.engine import Engine
from roas.stack.docker.sdk import EngineClient

# What Compose calls a successor until its predecessor is gone.
WRONG_NAME = re.compile(r"[0-9a-f]{12}_(?P<name>.+)")


@dataclass(frozen=True, slots=True)
class ContainerRepair:
    """Describe the repair of one container: removal, or a rename."""

    container: ContainerSnapshot
    new_name: str = ""

    @property
    def description(self) -> str:
        """Return what is done, for people."""
        name = self.container.name
        if self.new_name:
            return said("gave {name} its name {new_name} back", name=name, new_name=self.new_name)
        return said("removed {name}, left over from an interrupted update", name=name)


def has_wrong_name(container: ContainerSnapshot) -> bool:
    """Return whether a container has the name of a successor whose predecessor is not gone yet."""
    return WRONG_NAME.fullmatch(container.name) is not None


def is_of_others(container: ContainerSnapshot) -> bool:
    """Return whether a container was made by hand and not started yet."""
    return container.never_ran and not container.of_release


def needs_repair(containers: Iterable[ContainerSnapshot]) -> bool:
    """Return whether a container has a wrong name."""
    return any(has_wrong_name(container) for container in containers)


def plan_repairs(
    containers: Iterable[ContainerSnapshot], *, never_started: bool = True, own: str | None = None
) -> Iterator[ContainerRepair]:
    """Decide what is to be done, service by service; the best container of a service always stays, and so does `own`.

    With `never_started`, containers that never ran go too where another of their service does. `own` is the id of the
    container that this process runs in.
    """
    ordered = sorted(containers, key=lambda container: container.service)
    for _, group in groupby(ordered, key=lambda container: container.service):
        left = list(group)
        for repair in _right_names(left, own):
            yield repair
            left = _after(left, repair)
        if never_started and any(container.state in ALIVE for container in left):
            yield from (ContainerRepair(container) for container in left if container.never_ran)


def after_repairs(
    containers: Iterable[ContainerSnapshot], repairs: Iterable[ContainerRepair]
) -> tuple[ContainerSnapshot, ...]:
    """Return the containers as they are once these repairs are done."""
    left = list(containers)
    for repair in repairs:
        left = _after(left, repair)
    return tuple(left)


async def repair_containers(engine: Engine, repairs: Iterable[ContainerRepair]) -> tuple[str, ...]:
    """Make the repairs, and return a description of each."""
    done: list[str] = []
    for repair in repairs:
        if not repair.new_name:
            await remove_container(engine, repair.container.id, None)
            done.append(repair.description)
        else:
            fault = await _rename(engine, repair)
            done.append(
                repair.description
                if fault is None
                else said("{name} keeps its wrong name: {fault}", name=repair.container.name, fault=fault)
            )
    return tuple(done)


def _right_names(containers: Sequence[ContainerSnapshot], own: str | None) -> Iterator[ContainerRepair]:
    """Decide which container gets each name that is in doubt."""
    wanted = {match["name"] for container in containers if (match := WRONG_NAME.fullmatch(container.name))}
    for name in sorted(wanted):
        claimants = [c for c in containers if c.name == name or (has_wrong_name(c) and c.name.endswith(f"_{name}"))]
        best = max(claimants, key=lambda claimant: (claimant.id == own, *_rank(claimant)))
        yield from (ContainerRepair(claimant) for claimant in claimants if claimant is not best)
        if best.name != name:
            yield ContainerRepair(best, name)


def _rank(container: ContainerSnapshot) -> tuple[bool, bool, bool, bool]:
    """Rank by health, then running, then having run, then a correct name."""
    return (
        container.health is HealthStatus.HEALTHY and container.state in ALIVE,
        container.state in ALIVE,
        not container.never_ran,
        not has_wrong_name(container),
    )


def _after(containers: list[ContainerSnapshot], repair: ContainerRepair) -> list[ContainerSnapshot]:
    left = [container for container in containers if container.id != repair.container.id]
    return [*left, replace(repair.container, name=repair.new_name)] if repair.new_name else left


async def _rename(engine: Engine, repair: ContainerRepair) -> str | None:
    """Rename, and return why that was not possible, or None."""

    def rename(client: EngineClient) -> str | None:
        try:
            client.rename(repair.container.id, repair.new_name)
        except ApiNotFoundError:
            return said("it is gone")
        except ApiError as error:
            if error.status == 409:
                return error.explanation
            raise
        return None

    return await engine.call(rename)
