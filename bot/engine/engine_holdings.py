"""Learn what an engine holds already that a stack would come upon: volumes, containers' names, folders they write."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from roas.engine.client import is_local
from roas.engine.host_ports import published_ports
from roas.engine.labels import PROJECT
from roas.engine.model import services_of
from roas.engine.places import WritablePlace
from roas.engine.policy_resources import VOLUME_DRIVERS
from roas.engine.violation import Violation
from roas.models.environment import Environment
from roas.models.facts import PublishedPort


@dataclass(frozen=True, slots=True)
class HeldVolume:
    """Describe a volume as the engine has it; `project` is empty where no Compose project made it."""

    driver: str
    options: frozenset[str]
    project: str


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

    def writable(self, environment: Environment) -> tuple[WritablePlace, ...]:
        """Return what the project's own containers write, and what others write within the stack's folder."""
        if not is_local(environment):
            return ()
        folder = environment.folder.resolve()
        found = ((held, Path(source).resolve()) for held in self.containers for source in held.writes)
        return tuple(
            WritablePlace(path, held.name)
            for held, path in found
            if held.project == environment.project or path.is_relative_to(folder)
        )


NOTHING_HELD = EngineHoldings({}, ())


def read_holdings(client: docker.DockerClient) -> EngineHoldings:
    """Ask an engine for its volumes, containers, networks and published ports."""
    volumes = client.api.volumes().get("Volumes") or ()
    containers = client.api.containers(all=True)
    return EngineHoldings(
        {str(found["Name"]): _volume(found) for found in volumes},
        tuple(map(_container, containers)),
        frozenset(name for found in client.api.networks() for name in (str(found["Name"]), str(found["Id"]))),
        published_ports(containers),
    )


def judge_holdings(model: Mapping[str, Any], environment: Environment, holdings: EngineHoldings) -> Iterator[Violation]:
    """Find volumes that a stack would use and that are not what they seem, and names that another project uses."""
    for key, definition in (model.get("volumes") or {}).items():
        name = str((definition or {}).get("name") or f"{environment.project}_{key}")
        if (volume := holdings.volumes.get(name)) is not None:
            yield from _judge_volume(str(key), name, volume, environment.project)
    for service, fields in services_of(model).items():
        if name := str(fields.get("container_name") or ""):
            yield from _judge_name(service, name, environment.project, holdings)


def _judge_volume(key: str, name: str, volume: HeldVolume, project: str) -> Iterator[Violation]:
    if volume.driver not in VOLUME_DRIVERS:
        yield Violation(f"the volume {name} exists, with the driver {volume.driver}", f"volume:{key}")
    if volume.options:
        text = ", ".join(sorted(volume.options))
        yield Violation(f"the volume {name} exists, with `driver_opts`: {text}", f"volume:{key}")
    if volume.project != project:
        text = f"the volume {name} exists and belongs to the project {volume.project}"
        if not volume.project:
            text = f"the volume {name} exists and was not made by Compose"
        yield Violation(text, f"external_volume:{name}")


def _judge_name(service: str, name: str, project: str, holdings: EngineHoldings) -> Iterator[Violation]:
    entry = f"container_name:{service}"
    for held in holdings.containers:
        if held.name == name and held.project != project:
            yield Violation(f"{service} has the `container_name` {name}, which belongs to another container", entry)
            return
    for other in {held.project for held in holdings.containers} - {project, ""}:
        if re.fullmatch(re.escape(other) + r"[-_].+[-_]\d+", name):
            yield Violation(f"{service} has the `container_name` {name}, as the project {other} names its own", entry)
            return


def _volume(found: Mapping[str, Any]) -> HeldVolume:
    labels = found.get("Labels") or {}
    return HeldVolume(str(found.get("Driver") or ""), frozenset(found.get("Options") or ()), labels.get(PROJECT, ""))


def _container(found: Mapping[str, Any]) -> HeldContainer:
    names = [str(name).removeprefix("/") for name in found.get("Names") or ()]
    mounts = found.get("Mounts") or ()
    return HeldContainer(
        # A link gives a container a second name, which has another slash in it.
        name=next((name for name in names if "/" not in name), ""),
        project=str((found.get("Labels") or {}).get(PROJECT, "")),
        writes=tuple(str(mount["Source"]) for mount in mounts if mount.get("Type") == "bind" and mount.get("RW")),
    )
