"""Find services that have another one's powers, since they are in a namespace with it.

Who shares processes with a service reaches its files, and so all that it has. Who joins its network or its shared
memory is where that is.
"""

from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from roas.messages.message import said
from roas.stack.model.services import OF_SERVICE, SHARED_NAMESPACES
from roas.stack.policy.power import Power, holders

PID = "pid"
Services = Mapping[str, Mapping[str, Any]]


def judge_joined(
    services: Services, found: Collection[Power], bots: frozenset[str], *, is_home: bool
) -> Iterator[Power]:
    """Find who has a power by being in a namespace with who has it; `found` are the powers of the services themselves.

    At home, nobody is given the processes of the stack, which has the bot's.
    """
    roots = {name for power in found if power.is_root for name in holders(power, services)}
    there = {(power.kind, power.service) for power in found}
    for name, service in services.items():
        for field in SHARED_NAMESPACES:
            if not (owners := _owners(services, name, field)):
                continue
            shown = f"{field}: {service[field]}"
            if is_home and (field == PID or not bots.isdisjoint(owners)):
                # By `pid` a service reads the other's environment, files and memory: here, the bot's. By the
                # network it hears what the bot is told without TLS.
                text = said("{name} has `{shown}`, beside the bot", name=name, shown=shown)
                yield Power(text, f"{field}:{name}", is_asked_for=field != PID)
            elif field == PID:
                yield from _in_company(services, name, owners, shown, roots)
            elif any((field, owner) in there for owner in owners):
                yield Power(said("{name} has `{shown}`", name=name, shown=shown), f"{field}:{name}")


def _in_company(
    services: Services, name: str, owners: tuple[str, ...], shown: str, roots: AbstractSet[str]
) -> Iterator[Power]:
    """Find what a service that joins processes has by that, and what those have whom it joins."""
    end = owners[-1]
    among = [other for other in services if end in {other, *_owners(services, other, PID)[-1:]}]
    strong = sorted(roots & set(among))
    if not strong:
        return
    yield Power(said("{name} has `{shown}`", name=name, shown=shown), f"{PID}:{name}")
    if end in services and end not in roots:
        yield Power(said("{who} shares its processes with {other}", who=end, other=strong[0]), f"{PID}:{end}")


def _owners(services: Services, name: str, field: str) -> tuple[str, ...]:
    """Return whose namespace a service is in: the service that it names, and whom that one names, to the last."""
    found: list[str] = []
    while (mode := str((services.get(name) or {}).get(field) or "")).startswith(OF_SERVICE):
        name = mode.removeprefix(OF_SERVICE)
        if name in found:
            break
        found.append(name)
    return tuple(found)
