"""Adopt a running stack: read back the model that would create its containers again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from roas.models.environment import Environment
from roas.models.health import ALIVE, ContainerState, HealthStatus
from roas.models.stack import Dependency, DependencyCondition
from roas.stack.adopting.backups import with_fitting_backups
from roas.stack.adopting.contents import read_copied
from roas.stack.adopting.rules import with_rules
from roas.stack.adopting.sameness import container_fields
from roas.stack.containers.repair import WRONG_NAME
from roas.stack.containers.snapshots import inspect_or_none, list_ids, snapshot
from roas.stack.docker.engine import Engine
from roas.stack.docker.labels import CONFIG_HASH, DEPENDS_ON, NETWORK, NUMBER, PROJECT, SERVICE
from roas.stack.docker.sdk import EngineClient
from roas.stack.images.lookup import find_image
from roas.stack.images.readable_names import readable_reference
from roas.stack.model.read_back import ShownContainer
from roas.stack.model.service_dependencies import written as written_dependencies
from roas.stack.model.services import ADOPTED_HASH, IMAGE_ID, copied_targets, services_of

ADOPTED_VERSION = "adopted"
PASSING = frozenset({ContainerState.DEAD, ContainerState.REMOVING, ContainerState.CREATED})


@dataclass(frozen=True, slots=True)
class AdoptedStack:
    """Hold the model that was read back, and the human-readable names of its images.

    `copied` are, by service and place, the texts that Compose copied into the containers.
    """

    version: str
    model: Mapping[str, Any] = field(repr=False)
    references: Mapping[str, str]
    copied: Mapping[str, Mapping[str, str]] = field(repr=False, default_factory=dict)


async def adopt_project(engine: Engine, written: Mapping[str, Any] = MappingProxyType({})) -> AdoptedStack | None:
    """Read back the model of an environment's project, or return None where nothing of it runs.

    `written` is what the files resolve to: it alone tells where Compose copies something into a container.
    """

    def adopt(client: EngineClient) -> AdoptedStack | None:
        ids = list_ids(client, engine.project)
        inspected = [found for container_id in ids if (found := inspect_or_none(client, container_id)) is not None]
        if not any(snapshot(container).state in ALIVE for container in inspected):
            return None
        return _Reader(client, engine.environment, inspected, written, client.info()).read()

    return await engine.call(adopt)


class _Reader:
    """Read one project; asks the engine for images and networks as it meets them."""

    def __init__(
        self,
        client: EngineClient,
        environment: Environment,
        inspected: list[dict[str, Any]],
        written: Mapping[str, Any],
        engine: Mapping[str, Any],
    ) -> None:
        self._client = client
        self._written = written
        self._files = services_of(written)
        self._folder = environment.folder
        self._project = environment.project
        self._engine = engine
        self._siblings = {container["Id"]: container for container in inspected}
        self._groups = _by_service(inspected)
        self._networks: dict[str, tuple[str, dict[str, Any]]] = {}
        self._volumes: set[str] = set()

    def read(self) -> AdoptedStack:
        """Return the model that would make the containers again."""
        services = {name: self._service(name, group) for name, group in sorted(self._groups.items())}
        model: dict[str, Any] = {"name": self._project, "services": services}
        if self._networks:
            model["networks"] = dict(self._networks.values())
        if self._volumes:
            model["volumes"] = {name: {"name": name, "external": True} for name in sorted(self._volumes)}
        references = {name: str(group[0]["Config"]["Image"]) for name, group in self._groups.items()}
        copied = {
            name: read_copied(self._client, group[0], copied_targets(self._files.get(name) or {}))
            for name, group in self._groups.items()
        }
        return AdoptedStack(ADOPTED_VERSION, with_fitting_backups(model, self._written), references, copied)

    def _service(self, name: str, group: list[dict[str, Any]]) -> dict[str, Any]:
        template = group[0]
        image = find_image(self._client, template["Image"]) or {}
        fields: dict[str, Any] = {
            "image": readable_reference(str(template["Config"]["Image"]), template["Image"]),
            "pull_policy": "never",
            **container_fields(ShownContainer(template, image, self._engine, self._siblings)),
        }
        self._volumes |= {item["source"] for item in fields.get("volumes") or () if item["type"] == "volume"}
        written = self._files.get(name) or {}
        if "networks" in fields:
            asked = _requested_addresses(template, written, self._written)
            ends = {value: _with_address(end, asked.get(value)) for value, end in fields["networks"].items()}
            fields["networks"] = {self._network(value, end): end for value, end in ends.items()}
            if str(fields.get("mac_address")).lower() in asked.values():
                del fields["mac_address"]  # the container shows that of its first network once more
        fields |= self._place(name, group)
        fields = {**fields, "x-deploy": self._extension(name, template)}
        return with_rules(fields, written, self._groups.keys(), self._folder)

    def _place(self, name: str, group: list[dict[str, Any]]) -> dict[str, Any]:
        if len(group) > 1:
            return {"scale": len(group)}
        name_there = group[0]["Name"].lstrip("/")
        if match := WRONG_NAME.fullmatch(name_there):
            name_there = match["name"]
        number = (group[0]["Config"].get("Labels") or {}).get(NUMBER, "1")
        return {} if name_there == f"{self._project}-{name}-{number}" else {"container_name": name_there}

    def _network(self, name: str, endpoint: Mapping[str, Any] | None) -> str:
        """Return a network's key in the model, and remember its definition."""
        addressed = bool(endpoint and (endpoint.get("ipv4_address") or endpoint.get("ipv6_address")))
        if name not in self._networks or addressed:
            inspected = self._client.inspect_network(name)
            self._networks[name] = _network_definition(inspected, self._project, addressed=addressed)
        return self._networks[name][0]

    def _extension(self, name: str, template: dict[str, Any]) -> dict[str, Any]:
        label = str((template["Config"].get("Labels") or {}).get(DEPENDS_ON, ""))
        dependencies = [dependency for dependency in _dependencies(name, label) if dependency.on in self._groups]
        extension: dict[str, Any] = {"depends_on": written_dependencies(dependencies)} if dependencies else {}
        extension[IMAGE_ID] = template["Image"]
        container = snapshot(template)
        if container.state is ContainerState.EXITED and container.exit_code == 0 and container.restart_policy == "no":
            extension["one_shot"] = True
        if config_hash := _config_hash(template):
            extension[ADOPTED_HASH] = config_hash
        return extension


def _requested_addresses(
    inspected: Mapping[str, Any], service: Mapping[str, Any], model: Mapping[str, Any]
) -> dict[str, str]:
    """Return the addresses on the link that a service of the files asks for, and a container has, by network.

    A container does not say whether its address was asked for; while it is stopped, it shows none.
    """
    endpoints = inspected["NetworkSettings"].get("Networks") or {}
    definitions = model.get("networks") or {}
    found = {}
    for key, end in (service.get("networks") or {}).items():
        name = str((definitions.get(key) or {}).get("name") or key)
        asked = str((end or {}).get("mac_address") or "").lower()
        if asked and name in endpoints and str(endpoints[name].get("MacAddress") or asked).lower() == asked:
            found[name] = asked
    return found


def _network_definition(network: Mapping[str, Any], project: str, *, addressed: bool) -> tuple[str, dict[str, Any]]:
    """Return a network's key and definition; one that is not the project's own is external.

    `addressed` says that a container has an address of its own in it, so that the range matters.
    """
    labels = network.get("Labels") or {}
    if labels.get(PROJECT) != project or not labels.get(NETWORK):
        return network["Name"], {"name": network["Name"], "external": True}
    fields: dict[str, Any] = {"name": network["Name"]}
    if network.get("Driver") not in (None, "bridge"):
        fields["driver"] = network["Driver"]
    flags = {"Internal": "internal", "Attachable": "attachable", "EnableIPv6": "enable_ipv6"}
    fields |= {name: True for key, name in flags.items() if network.get(key)}
    if network.get("Options"):
        fields["driver_opts"] = network["Options"]
    if addressed:
        fields["ipam"] = _ipam(network.get("IPAM") or {})
    return labels[NETWORK], fields


def _ipam(ipam: Mapping[str, Any]) -> dict[str, Any]:
    keys = {"Subnet": "subnet", "Gateway": "gateway", "IPRange": "ip_range"}
    ranges = [{name: entry[key] for key, name in keys.items() if entry.get(key)} for entry in ipam.get("Config") or ()]
    return {"config": ranges}


def _with_address(endpoint: Mapping[str, Any] | None, mac_address: str | None) -> Mapping[str, Any] | None:
    return {**(endpoint or {}), "mac_address": mac_address} if mac_address else endpoint


def _by_service(inspected: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Group containers by service, the most significant first; leftovers beside it do not count."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for container in sorted(inspected, key=_standing, reverse=True):
        groups.setdefault((container["Config"].get("Labels") or {}).get(SERVICE, ""), []).append(container)
    groups.pop("", None)
    return {name: _alike(group) for name, group in groups.items()}


def _alike(group: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep the first container, and the settled ones of the same configuration."""
    first = _config_hash(group[0])
    others = (container for container in group[1:] if _config_hash(container) == first)
    return [group[0], *(container for container in others if snapshot(container).state not in PASSING)]


def _config_hash(inspected: Mapping[str, Any]) -> str:
    return str((inspected["Config"].get("Labels") or {}).get(CONFIG_HASH, ""))


def _standing(inspected: dict[str, Any]) -> tuple[bool, bool, bool, str]:
    container = snapshot(inspected)
    return (
        container.state in ALIVE,
        container.health is HealthStatus.HEALTHY,
        container.state not in PASSING,
        str(inspected.get("Created", "")),
    )


def _dependencies(service: str, label: str) -> list[Dependency]:
    """Read Compose's label: `db:service_healthy:true,…` is name, condition, restart."""
    found: list[Dependency] = []
    for entry in filter(None, label.split(",")):
        on, _, rest = entry.partition(":")
        condition, _, restart = rest.partition(":")
        known = DependencyCondition(condition) if condition in set(DependencyCondition) else DependencyCondition.STARTED
        found.append(Dependency(service, on, condition=known, restart=restart == "true"))
    return found
