"""Find the addresses of containers, and where a file of a container is to be found from here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from roas.models.health import ContainerSnapshot
from roas.stack.client import Engine
from roas.stack.containers.own_container import own_container_id
from roas.stack.containers.snapshots import inspect_or_none, list_ids, snapshot
from roas.stack.docker_client import EngineClient


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Hold a container and its addresses in all networks; a stopped one has none."""

    container: ContainerSnapshot
    addresses: frozenset[str]


async def find_endpoints(engine: Engine, service: str) -> tuple[Endpoint, ...]:
    """Return every container of a service with its addresses."""

    def find(client: EngineClient) -> tuple[Endpoint, ...]:
        ids = list_ids(client, engine.project, service)
        found = (inspect_or_none(client, container_id) for container_id in ids)
        return tuple(Endpoint(snapshot(entry), _addresses(entry)) for entry in found if entry is not None)

    return await engine.call(find)


@dataclass(frozen=True, slots=True)
class SocketPlace:
    """Say where a socket of a container is seen from here: below which folder; `folder` is None where it is not."""

    folder: Path | None
    name: PurePosixPath


async def find_socket(engine: Engine, service: str, path: PurePosixPath) -> SocketPlace | None:
    """Return where a socket in the container of a service is, or None where no container of it runs.

    It has to lie in a volume or a bind of that container, and this bot has to have the same mounted, where it runs in a
    container itself.
    """

    def find(client: EngineClient) -> SocketPlace | None:
        found = (inspect_or_none(client, container_id) for container_id in list_ids(client, engine.project, service))
        running = next((entry for entry in found if entry is not None and entry["State"]["Running"]), None)
        if running is None:
            return None
        mount = _mount_of(running, path)
        if mount is None:
            return SocketPlace(None, path)
        source, name = Path(mount["Source"]), path.relative_to(mount["Destination"])
        own_id = own_container_id()
        own = inspect_or_none(client, own_id) if own_id is not None else None
        return SocketPlace(source if own is None else _seen_in(own, source), name)

    return await engine.call(find)


def _mount_of(inspected: Mapping[str, Any], path: PurePosixPath) -> Mapping[str, Any] | None:
    """Return the innermost mount of a container in which a path lies."""
    mounts = [mount for mount in inspected.get("Mounts") or () if path.is_relative_to(mount["Destination"])]
    found = max(mounts, key=lambda mount: len(PurePosixPath(mount["Destination"]).parts), default=None)
    return found if found is not None and found["Type"] in {"volume", "bind"} and found.get("Source") else None


def _seen_in(own: Mapping[str, Any], source: Path) -> Path | None:
    """Return where a folder of the host is in our own container."""
    for mount in own.get("Mounts") or ():
        its = Path(mount.get("Source") or "/")
        if mount["Type"] in {"volume", "bind"} and mount.get("Source") and source.is_relative_to(its):
            return Path(mount["Destination"]) / source.relative_to(its)
    return None


def _addresses(inspected: Mapping[str, Any]) -> frozenset[str]:
    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    found = (network.get(key) for network in networks.values() if network for key in ("IPAddress", "GlobalIPv6Address"))
    return frozenset(str(address) for address in found if address)
