"""Find the proxy in front of a service of an environment, its admin socket, and the addresses of what is behind it."""

import asyncio
import io
import tarfile
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from roas.concurrency import pause
from roas.errors import RoasError
from roas.limits import PROXY_RETRY_SECONDS
from roas.log import get_logger
from roas.messages.message import said
from roas.models.stack import ProxyKind, ServiceProxy
from roas.stack.containers.own_container import own_container_id
from roas.stack.containers.snapshots import inspect_or_none, list_ids, snapshot
from roas.stack.docker.engine import Engine
from roas.stack.docker.sdk import EngineClient
from roas.stack.proxy.haproxy import HAProxyRuntime, ProxyAwayError
from roas.stack.proxy.haproxy_service import Connect, HAProxyService
from roas.stack.proxy.proxied_service import Endpoint, ProxiedService, ProxyReport

POLL_SECONDS = 0.5
# Return whether a container of the proxy runs.
Runs = Callable[[], Awaitable[bool]]
# A proxy that is drained is asked twenty times a second: where its socket is changes only with its container.
PLACE_SECONDS = 1.0
# The documentation's HAProxy reads this when it starts (`server-state-file`).
STATE_FILE, STATE_FILE_MODE = "server-state", 0o644
# An engine that hangs holds nobody up for longer.
KEEPING_SECONDS = 5.0
log = get_logger(__name__)


class DnsService(ProxiedService):
    """Let a proxy learn of new containers by DNS."""

    def __init__(self, proxy: ServiceProxy, runs: Runs) -> None:
        self._proxy = proxy
        self._runs = runs

    async def admit(self, containers: Collection[str], report: ProxyReport) -> None:
        """Give the proxy the time in which it asks for addresses again: it cannot be asked what it knows."""
        if containers and await self._runs():
            await report(said("until {proxy} has asked DNS again", proxy=self._proxy.service))
            until = time.monotonic() + self._proxy.refresh_seconds
            while (left := until - time.monotonic()) > 0 and await self._runs():
                await pause(min(left, POLL_SECONDS))


def proxied_service(
    engine: Engine, service: str, proxy: ServiceProxy, reloading: asyncio.Lock | None = None
) -> ProxiedService:
    """Return what tells the proxy in front of a service of its containers, but not while that is `reloading`."""
    if proxy.kind is ProxyKind.DNS:

        async def runs() -> bool:
            ends = await find_endpoints(engine, proxy.service)
            return any(endpoint.addresses for endpoint in ends)

        return DnsService(proxy, runs)
    connect = connector(engine, proxy)
    return HAProxyService(service, proxy, connect, lambda: find_endpoints(engine, service), reloading)


def connector(engine: Engine, proxy: ServiceProxy) -> Connect:
    """Return what connects to HAProxy's admin socket, wherever that is just then."""
    return _Place(engine, proxy).connect


class _Place:
    """Remember for a moment where a proxy's socket is."""

    def __init__(self, engine: Engine, proxy: ServiceProxy) -> None:
        self._engine = engine
        self._proxy = proxy
        self._found: SocketPlace | None = None
        self._until = 0.0

    async def connect(self) -> HAProxyRuntime | None:
        """Return the proxy's runtime API, or None where the proxy does not run. Raises ProxyAwayError."""
        if time.monotonic() >= self._until:
            # An engine that is busy with what has just crashed must not hold up who gives the requests back.
            if not await self._answers():
                path = PurePosixPath(self._proxy.socket)
                self._found = await find_socket(self._engine, self._proxy.service, path)
            self._until = time.monotonic() + (PLACE_SECONDS if self._found is not None else PROXY_RETRY_SECONDS)
        if self._found is None:
            return None
        if self._found.folder is None:
            raise ProxyAwayError(
                said(
                    "{socket} of {proxy} is not seen from here.", socket=self._proxy.socket, proxy=self._proxy.service
                ),
                hint=said("Mount the volume that has the socket into the bot's container, too."),
            )
        return HAProxyRuntime(self._found.folder, Path(self._found.name), partial(self._keep, self._found.container))

    async def _answers(self) -> bool:
        """Return whether the proxy still answers where it did."""
        if self._found is None or self._found.folder is None:
            return False
        with suppress(ProxyAwayError):
            return bool(await HAProxyRuntime(self._found.folder, Path(self._found.name)).level())
        return False

    async def _keep(self, container: str, states: str) -> None:
        """Write what HAProxy reads when it is started again, beside its socket: only root and its own user may."""
        written = io.BytesIO()
        with tarfile.open(fileobj=written, mode="w") as archive:
            entry = tarfile.TarInfo(STATE_FILE)
            entry.size, entry.mode = len(states), STATE_FILE_MODE
            archive.addfile(entry, io.BytesIO(states.encode()))
        folder = str(PurePosixPath(self._proxy.socket).parent)
        try:
            async with asyncio.timeout(KEEPING_SECONDS):
                await self._engine.call(lambda client: client.put_archive(container, folder, written.getvalue()))
        except (RoasError, TimeoutError) as error:  # it may be gone: without, it begins with what it finds
            log.info("the states of servers are not kept", service=self._proxy.service, error=error)


def running_container(client: EngineClient, project: str, service: str) -> Mapping[str, Any] | None:
    """Return what the engine says of a container of a service that runs; None where none does."""
    found = (inspect_or_none(client, container_id) for container_id in list_ids(client, project, service))
    return next((entry for entry in found if entry is not None and entry["State"]["Running"]), None)


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
    container: str


async def find_socket(engine: Engine, service: str, path: PurePosixPath) -> SocketPlace | None:
    """Return where a socket in the container of a service is, or None where no container of it runs.

    It has to lie in a volume or a bind of that container, and this bot has to have the same mounted, where it runs in a
    container itself.
    """

    def find(client: EngineClient) -> SocketPlace | None:
        if (running := running_container(client, engine.project, service)) is None:
            return None
        mount = _mount_of(running, path)
        if mount is None:
            return SocketPlace(None, path, running["Id"])
        source, name = Path(mount["Source"]), path.relative_to(mount["Destination"])
        own_id = own_container_id()
        own = inspect_or_none(client, own_id) if own_id is not None else None
        return SocketPlace(source if own is None else _seen_in(own, source), name, running["Id"])

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
