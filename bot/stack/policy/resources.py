"""Find in a resolved model the volumes, networks, secrets and configs that the policy refuses."""

from collections.abc import Container, Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from roas.messages.message import Message, said
from roas.stack.model.services import services_of
from roas.stack.policy.keys import readable, shown_value
from roas.stack.policy.places import Places
from roas.stack.policy.power import Power
from roas.stack.policy.rules import judge_labels

VOLUME_DRIVERS = frozenset({"", "local"})
NETWORK_DRIVERS = frozenset({"", "bridge"})
HARMLESS_NETWORK_OPTIONS = frozenset({"com.docker.network.driver.mtu"})
SMALLEST_PREFIX = {4: 12, 6: 32}
ADDRESS_DRIVERS = frozenset({"", "default"})


def judge_resources(
    model: Mapping[str, Any],
    project: str,
    places: Places,
    own_volumes: Container[str] = (),
    *,
    private_subnets: bool = True,
) -> Iterator[Power]:
    """Find what a stack's volumes, networks, secrets and configs may not be.

    `own_volumes` are known to be the project's, whatever the model says of them.
    """
    for kind in ("secrets", "configs"):
        for name, definition in (model.get(kind) or {}).items():
            if source := (definition or {}).get("file"):
                who = said("the {kind} {name}", kind=kind.removesuffix("s"), name=name)
                yield from places.judge_bind(who, str(source), said("is taken from"), name=str(name), read_only=True)
    yield from _volumes(model, project, own_volumes)
    yield from _networks(model, project, private_subnets=private_subnets)


def judge_external(model: Mapping[str, Any]) -> Iterator[Power]:
    """Find the secrets and configs that a Swarm has for whoever names them; on one machine they are refused."""
    for kind in ("secret", "config"):
        for name, definition in (model.get(f"{kind}s") or {}).items():
            if (definition or {}).get("external"):
                real = str(definition.get("name") or name)
                text = said(
                    "the {kind} {name} is {real}, which is not the stack's own", kind=kind, name=name, real=real
                )
                yield Power(text, f"external_{kind}:{real}")


def _volumes(model: Mapping[str, Any], project: str, own_volumes: Container[str]) -> Iterator[Power]:
    for name, definition in (model.get("volumes") or {}).items():
        fields = definition or {}
        yield from judge_volume(name, str(fields.get("driver") or ""), fields.get("driver_opts") or {})
        if (real := _foreign(name, fields, project)) is not None and real not in own_volumes:
            does = said("reads") if _is_only_read(name, model) else said("is")
            text = said(
                "the volume {name} {does} {real}, which is not the stack's own", name=name, does=does, real=real
            )
            yield Power(text, f"external_volume:{real}")
        yield from judge_labels(said("the volume {name}", name=name), fields.get("labels"))


def judge_volume(name: str, driver: str, options: Mapping[str, Any]) -> Iterator[Power]:
    """Find what a volume is beyond a folder of the engine's own, as a model says it or as the engine has it already."""
    if driver not in VOLUME_DRIVERS:
        yield Power(said("the volume {name} has the driver {driver}", name=name, driver=driver), f"volume:{name}")
    if options:
        text = ", ".join(f"{key}={shown_value(value)}" for key, value in sorted(options.items()))
        said_of_it = said("the volume {name} has `driver_opts`: {options}", name=name, options=text)
        yield Power(said_of_it, f"volume:{name}", values=readable(options))


def _is_only_read(name: str, model: Mapping[str, Any]) -> bool:
    """Return whether services mount a volume, and each of them read-only."""
    mounts = (volume for service in services_of(model).values() for volume in service.get("volumes") or ())
    used = [bool(volume.get("read_only")) for volume in mounts if volume.get("source") == name]
    return bool(used) and all(used)


def _networks(model: Mapping[str, Any], project: str, *, private_subnets: bool) -> Iterator[Power]:
    for name, definition in (model.get("networks") or {}).items():
        fields = definition or {}
        texts = _why_no_network(name, fields, private_subnets=private_subnets)
        yield from (Power(text, f"network:{name}") for text in texts)
        for option, value in sorted((fields.get("driver_opts") or {}).items()):
            if option not in HARMLESS_NETWORK_OPTIONS:
                shown = f"{option}={shown_value(value)}"
                text = said("the network {name} has the option {option}", name=name, option=shown)
                yield Power(text, f"network:{name}", values=readable({option: value}))
        if (real := _foreign(name, fields, project)) is not None:
            yield Power(
                said("the {kind} {name} is {real}, which is not the stack's own", kind="network", name=name, real=real),
                f"external_network:{real}",
            )
        yield from judge_labels(said("the network {name}", name=name), fields.get("labels"))


def _why_no_network(name: str, fields: Mapping[str, Any], *, private_subnets: bool) -> Iterator[Message]:
    driver = str(fields.get("driver") or "")
    if driver == "host" or fields.get("name") == "host":
        yield said("the network {name} is that of the {owner}", name=name, owner="host")
    elif driver not in NETWORK_DRIVERS:
        yield said("the network {name} has the driver {driver}", name=name, driver=driver)
    if (driver := str((fields.get("ipam") or {}).get("driver") or "")) not in ADDRESS_DRIVERS:
        yield said("the network {name} has the `ipam` driver {driver}", name=name, driver=driver)
    for subnet in _subnets(fields):
        if not private_subnets or not _is_private(subnet):
            yield said("the network {name} takes the traffic of the host to {subnet}", name=name, subnet=subnet)


def _subnets(fields: Mapping[str, Any]) -> Iterator[str]:
    """Find the subnets that a network chooses: the host's own traffic to them ends there, whoever has them else."""
    for config in (fields.get("ipam") or {}).get("config") or ():
        for key in ("subnet", "ip_range"):
            text = str((config or {}).get(key) or "")
            if text:
                yield text


def _is_private(subnet: str) -> bool:
    try:
        network = ip_network(subnet, strict=False)
    except ValueError:
        return False
    # One that is as large as all private addresses of its kind takes those of others, too.
    return (
        network.prefixlen >= SMALLEST_PREFIX[network.version]
        and network.is_private
        and not network.is_link_local
        and not network.is_loopback
    )


def _foreign(name: str, fields: Mapping[str, Any], project: str) -> str | None:
    """Return the real name of what is not the stack's own: made by others, or named otherwise than Compose does."""
    own = f"{project}_{name}"
    real = str(fields.get("name") or (name if fields.get("external") else own))
    return real if fields.get("external") or real != own else None
