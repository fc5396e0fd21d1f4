"""Find services that have another one's powers, since they are in a namespace with it.

Who shares processes with a service reaches its files, and so all that it has. Who joins its network or its shared
memory is where that is.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from roas.messages.message import said
from roas.stack.model.services import OF_SERVICE, SHARED_NAMESPACES
from roas.stack.policy.power import Holders, Power

PID = "pid"
Services = Mapping[str, Mapping[str, Any]]


def judge_joined(
    services: Services, found: Collection[Power], bots: frozenset[str], *, is_home: bool
) -> Iterator[Power]:
    """Find who has a power by being in a namespace with who has it; `found` are the powers of the services themselves.

    At home, nobody is given the processes of the stack, which has the bot's.
    """
    holders = Holders(services)
    # What a service reads of the host is among its files, too.
    strong = {name for power in found if power.is_root or power.kind == "bind" for name in holders.of(power)}
    there = {(power.kind, power.service) for power in found}
    for field in SHARED_NAMESPACES:
        owners_of = {name: owners for name in services if (owners := _owners(services, name, field))}
        among: dict[str, set[str]] = {}
        for name, owners in owners_of.items():
            among.setdefault(owners[-1], {owners[-1]}).add(name)
        for name, owners in owners_of.items():
            shown = f"{field}: {services[name][field]}"
            if is_home and (field == PID or not bots.isdisjoint(owners)):
                # By `pid` a service reads the other's environment, files and memory: here, the bot's. By the
                # network it hears what the bot is told without TLS.
                text = said("{name} has `{shown}`, beside the bot", name=name, shown=shown)
                yield Power(text, f"{field}:{name}", is_asked_for=field != PID)
            elif field == PID:
                yield from _in_company(services, name, owners[-1], shown, sorted(strong & among[owners[-1]]))
            elif any((field, owner) in there for owner in owners):
                yield Power(said("{name} has `{shown}`", name=name, shown=shown), f"{field}:{name}")


def _in_company(services: Services, name: str, end: str, shown: str, strong: list[str]) -> Iterator[Power]:
    """Find what a service that joins processes has by the strong ones there, and what the one has whom it joins."""
    if not strong:
        return
    yield Power(said("{name} has `{shown}`", name=name, shown=shown), f"{PID}:{name}")
    if end in services and end not in strong:
        yield Power(said("{who} shares its processes with {other}", who=end, other=strong[0]), f"{PID}:{end}")


def _owners(services: Services, name: str, field: str) -> tuple[str, ...]:
    """Return whose namespace a service is in: the service that it names, and whom that one names, to the last."""
    found: dict[str, None] = {}
    while (mode := str((services.get(name) or {}).get(field) or "")).startswith(OF_SERVICE):
        name = mode.removeprefix(OF_SERVICE)
        if name in found:
            break
        found[name] = None
    return tuple(found)
