"""Clear away what a killed Compose left, on a machine of plain data, as the engine's interface promises it.

A killed Compose leaves a successor as `<12 digits of the old id>_<name>`, started or not, and its predecessor or not.
"""

import re
from collections.abc import Collection

from tools.campaigns.plans.machine import ALIVE, CREATED, Container, Machine

PASSING_NAME = re.compile(r"[0-9a-f]{12}_(.+)")


def sweep(machine: Machine, project: str, service: str | None = None, spared: Collection[str] = ()) -> tuple[str, ...]:
    """Leave one container a name, and none that never ran beside one that does; say what was done."""
    done: list[str] = []
    for name in sorted({container.service for container in machine.of(project, service)}):
        done += _settle_names(machine, project, name, spared)
        there = machine.of(project, name)
        if any(item.state in ALIVE for item in there):
            done += [_remove(machine, item) for item in there if _never_ran(item) and item.id not in spared]
    return tuple(done)


def own_name(one: Container) -> str:
    """Return the name that a container has, or is to have once its predecessor is gone."""
    found = PASSING_NAME.fullmatch(one.name)
    return found[1] if found else one.name


def _settle_names(machine: Machine, project: str, service: str, spared: Collection[str]) -> list[str]:
    done: list[str] = []
    claims: dict[str, list[Container]] = {}
    ours = [item for item in machine.of(project, service) if item.id not in spared]
    for container in ours:
        claims.setdefault(own_name(container), []).append(container)
    for name, claimants in sorted(claims.items()):
        if all(claimant.name == name for claimant in claimants):
            continue
        best = min(claimants, key=lambda one: (one.state not in ALIVE, _never_ran(one), one.name != name))
        done += [_remove(machine, claimant) for claimant in claimants if claimant is not best]
        if best.name != name:
            machine.rename(best.id, name)
            done.append(f"gave {name} its name back")
    return done


def _never_ran(one: Container) -> bool:
    return one.state == CREATED and not one.started_at


def _remove(machine: Machine, one: Container) -> str:
    machine.remove(one.id)
    return f"removed {one.name}"
