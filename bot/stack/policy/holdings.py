"""Learn what an engine holds already that a stack would come upon: volumes, containers' names, folders they write."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roas.messages.message import said
from roas.models.environment import Environment, PolicyLevel
from roas.models.facts import PublishedPort
from roas.stack.containers.own_container import own_container_id
from roas.stack.docker.engine import is_local
from roas.stack.docker.labels import project_of
from roas.stack.docker.sdk import EngineClient
from roas.stack.machine.host_ports import published_ports
from roas.stack.model.key_values import is_nameless
from roas.stack.model.services import real_name, services_of
from roas.stack.policy.places import Written
from roas.stack.policy.power import Power
from roas.stack.policy.resources import judge_volume
from roas.stack.sources.opening import resolve


@dataclass(frozen=True, slots=True)
class HeldVolume:
    """Describe a volume as the engine has it, and where; `project` is empty where no Compose project made it."""

    driver: str
    options: Mapping[str, Any]
    project: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class HeldContainer:
    """Name a container, its project (empty for none), and the folders of the host that it may write."""

    name: str
    project: str
    writes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EngineHoldings:
    """Hold the resources that exist on an engine."""

    volumes: Mapping[str, HeldVolume]
    containers: tuple[HeldContainer, ...]
    networks: frozenset[str] = frozenset()
    ports: tuple[PublishedPort, ...] = ()
    state_volumes: frozenset[str] = frozenset()

    @property
    def state_places(self) -> frozenset[Path]:
        """Return where on the machine the volumes are that have the bot's own state."""
        places = (self.volumes[name].place for name in self.state_volumes & self.volumes.keys())
        return frozenset(map(Path, filter(None, places)))

    def options_of(self, model: Mapping[str, Any], project: str) -> dict[str, Mapping[str, Any]]:
        """Return the options of the volumes of a model that exist already, by their key."""
        names = {key: real_name(key, found, project) for key, found in (model.get("volumes") or {}).items()}
        return {key: self.volumes[name].options for key, name in names.items() if name in self.volumes}

    def own_volumes(self, project: str) -> frozenset[str]:
        """Return the names of the volumes that a project made."""
        return frozenset(name for name, volume in self.volumes.items() if volume.project == project)

    def writable(self, environment: Environment) -> tuple[Written, ...]:
        """Return what the project's own containers write, and what others write within the stack's folder.

        A strict policy asks for what anybody writes anywhere.
        """
        if not is_local(environment):
            return ()
        folder = resolve(environment.folder)
        found = ((held, resolve(Path(source))) for held in self.containers for source in held.writes)
        return tuple(
            (path, held.name)
            for held, path in found
            if environment.policy is PolicyLevel.STRICT
            or held.project == environment.project
            or path.is_relative_to(folder)
        )


NOTHING_HELD = EngineHoldings({}, ())


def read_holdings(client: EngineClient, state_dir: Path) -> EngineHoldings:
    """Ask an engine for what exists: volumes, containers, networks, published ports, the bot's own volumes."""
    volumes = client.volumes().get("Volumes") or ()
    containers = client.containers(all=True)
    own = own_container_id()
    mounted = _mounted(containers)
    return EngineHoldings(
        {str(volume["Name"]): _volume(volume, mounted) for volume in volumes},
        tuple(_container(container, is_bot=container["Id"] == own) for container in containers),
        frozenset(name for network in client.networks() for name in (str(network["Name"]), str(network["Id"]))),
        published_ports(containers),
        frozenset(
            name for container in containers if container["Id"] == own for name in _state_volumes(container, state_dir)
        ),
    )


def judge_holdings(
    model: Mapping[str, Any], environment: Environment, holdings: EngineHoldings, state_dir: Path
) -> Iterator[Power]:
    """Find volumes that a stack would use and that are not what they seem, and names that another project uses.

    A volume has the bot's state where the bot has it, or in its own stack anybody mounts it, at the place of that.
    """
    state_volumes = holdings.state_volumes
    if environment.is_home:
        mounts = [volume for fields in services_of(model).values() for volume in fields.get("volumes") or ()]
        placed = (mount for mount in mounts if state_dir.is_relative_to(str(mount.get("target") or "/")))
        state_volumes |= {_real_name(model, mount, environment.project) for mount in placed}
    for key, definition in (model.get("volumes") or {}).items():
        name = real_name(str(key), definition, environment.project)
        if (volume := holdings.volumes.get(name)) is not None:
            yield from _judge_volume(str(key), name, volume, environment.project)
    for service, fields in services_of(model).items():
        if name := str(fields.get("container_name") or ""):
            yield from _judge_name(service, name, environment.project, holdings)
        for volume in fields.get("volumes") or ():
            real = _real_name(model, volume, environment.project)
            if real and real in state_volumes:
                yield Power(
                    said("{name} mounts the volume {source}, which has the bot's own state", name=service, source=real),
                    f"state_dir:{service}",
                )


def _judge_volume(key: str, name: str, volume: HeldVolume, project: str) -> Iterator[Power]:
    yield from judge_volume(key, volume.driver, volume.options)
    if volume.project != project:
        owner = volume.project or "–"
        text = said("the volume {name} exists and belongs to the project {project}", name=name, project=owner)
        yield Power(text, f"external_volume:{name}")


def _judge_name(service: str, name: str, project: str, holdings: EngineHoldings) -> Iterator[Power]:
    entry = f"container_name:{service}"
    for held in holdings.containers:
        if held.name == name and held.project != project:
            yield Power(
                said(
                    "{who} has the `container_name` {container}, which belongs to another container",
                    who=service,
                    container=name,
                ),
                entry,
            )
            return
    for other in {held.project for held in holdings.containers} - {project, ""}:
        if re.fullmatch(re.escape(other) + r"[-_].+[-_]\d+", name):
            yield Power(
                said(
                    "{who} has the `container_name` {container}, as the project {other} names its own",
                    who=service,
                    container=name,
                    other=other,
                ),
                entry,
            )
            return


def _state_volumes(found: Mapping[str, Any], state_dir: Path) -> Iterator[str]:
    for mount in found.get("Mounts") or ():
        if mount.get("Type") == "volume" and state_dir.is_relative_to(str(mount["Destination"])):
            yield str(mount["Name"])


def _real_name(model: Mapping[str, Any], volume: Mapping[str, Any], project: str) -> str:
    """Return what the engine calls a volume that a service mounts; empty for what is none of a name."""
    source = str(volume.get("source") or "")
    if volume.get("type") != "volume" or not source:
        return ""
    return real_name(source, (model.get("volumes") or {}).get(source), project)


def _volume(found: Mapping[str, Any], mounted: Mapping[str, set[str]]) -> HeldVolume:
    labels = found.get("Labels") or {}
    project = project_of(labels)
    if not project and is_nameless(str(found["Name"])):  # an adopted stack names it; it is of whoever mounts it
        users = mounted.get(str(found["Name"]), set())
        project = next(iter(users)) if len(users) == 1 else ""
    return HeldVolume(
        str(found.get("Driver") or ""), found.get("Options") or {}, project, str(found.get("Mountpoint") or "")
    )


def _mounted(containers: Iterable[Mapping[str, Any]]) -> Mapping[str, set[str]]:
    """Return the projects whose containers mount each volume."""
    mounted: dict[str, set[str]] = {}
    for container in containers:
        for mount in container.get("Mounts") or ():
            if mount.get("Type") == "volume":
                project = project_of(container.get("Labels"))
                mounted.setdefault(str(mount.get("Name")), set()).add(project)
    return mounted


def _container(found: Mapping[str, Any], *, is_bot: bool) -> HeldContainer:
    names = [str(name).removeprefix("/") for name in found.get("Names") or ()]
    mounts = found.get("Mounts") or ()
    return HeldContainer(
        # A link gives a container a second name, which has another slash in it.
        name=next((name for name in names if "/" not in name), ""),
        project=project_of(found.get("Labels")),
        # What the bot writes, nobody else puts there.
        writes=()
        if is_bot
        else tuple(str(mount["Source"]) for mount in mounts if mount.get("Type") == "bind" and mount.get("RW")),
    )
