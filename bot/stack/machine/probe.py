"""Answer what the checks of an environment ask of an engine and of its machine."""

import asyncio
import errno
import shutil
import socket
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from roas.concurrency import in_thread
from roas.messages.message import said
from roas.models.facts import BotPlace, EngineFacts, FoundProject, Mount, OwnContainer, PublishedPort
from roas.stack.compose.jail import has_landlock
from roas.stack.compose.runner import ComposeRunner
from roas.stack.containers.own_container import own_container_id
from roas.stack.containers.snapshots import engine_time
from roas.stack.docker.api_errors import ApiNotFoundError
from roas.stack.docker.engine import Engine
from roas.stack.docker.labels import CONFIG_HASH, PROJECT, SERVICE, project_of
from roas.stack.docker.sdk import EngineClient
from roas.stack.machine.bot_places import find_bot_places
from roas.stack.machine.host_ports import published_ports
from roas.stack.machine.projects import ended_services, find_projects, networks_and_volumes

CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))


def find_holders(client: EngineClient, value: str) -> tuple[tuple[str, str], ...]:
    """Return id and description of every running container with that value."""
    found = []
    for listed in client.containers():
        try:
            inspected = client.inspect_container(str(listed["Id"]))
        except ApiNotFoundError:
            continue
        variables = inspected["Config"].get("Env") or []
        if any(variable.partition("=")[2] == value for variable in variables):
            project = (inspected["Config"].get("Labels") or {}).get(PROJECT, "")
            name = str(inspected["Name"]).removeprefix("/")
            found.append((str(inspected["Id"]), _named(name, project)))
    return tuple(found)


def _named(name: str, project: str) -> str:
    if not project:
        return said("container {name}", name=name)
    return said("container {name}", name=f"{name} ({project})")


class DockerProbe:
    """Ask one Docker Engine, and the machine that this process runs on."""

    def __init__(self, engine: Engine, runner: ComposeRunner) -> None:
        self._engine = engine
        self._runner = runner
        self._asking = asyncio.Lock()
        self._facts: EngineFacts | None = None

    async def version(self) -> EngineFacts:
        """Return what the engine says of itself. Raises EngineUnavailableError."""
        async with self._asking:
            if self._facts is None:
                self._facts = await self._engine.call(self._ask)
            return self._facts

    def _ask(self, client: EngineClient) -> EngineFacts:
        version, info = client.version(), client.info()
        return EngineFacts(
            version=str(version.get("Version", "")),
            api_version=str(version.get("ApiVersion", "0")),
            data_root=str(info.get("DockerRootDir", "/var/lib/docker")),
            memory_bytes=int(info.get("MemTotal", 0)),
            processors=int(info.get("NCPU", 0)),
            security_options=tuple(map(str, info.get("SecurityOptions") or ())),
        )

    async def compose_version(self) -> str:
        """Return the version of the Compose CLI. Raises EngineError where there is none."""
        return await self._runner.version(self._engine.environment)

    async def has_landlock(self) -> bool:
        """Return whether Landlock confines Compose while it reads the stack's files; else a container does."""
        return await in_thread(has_landlock)

    async def published_ports(self) -> tuple[PublishedPort, ...]:
        """Return the host ports that running containers hold. Raises EngineUnavailableError."""
        return await self._engine.call(lambda client: published_ports(client.containers()))

    async def projects(self) -> tuple[FoundProject, ...]:
        """Return the Compose projects of the engine. Raises EngineUnavailableError."""
        return await self._engine.call(find_projects)

    async def ended_services(self) -> tuple[str, ...]:
        """Return the services of the environment that ended with code 0 and that nothing starts again."""
        return await self._engine.call(lambda client: ended_services(client, self._engine.project))

    async def networks_and_volumes(self, model: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the networks and volumes of a model that are there, with what tells each from another of its name."""
        return await self._engine.call(lambda client: networks_and_volumes(client, model, self._engine.project))

    async def bot_places(self, container_ids: Iterable[str]) -> Mapping[str, BotPlace]:
        """Return where a bot in each container keeps its state and answers; missing containers are skipped."""
        return await find_bot_places(self._engine, container_ids)

    async def now(self) -> datetime:
        """Return what the engine's clock says."""
        return await engine_time(self._engine)

    async def holders_of(self, value: str) -> tuple[tuple[str, str], ...]:
        """Return id and description of the running containers that were given a value as a variable.

        Raises EngineUnavailableError.
        """
        return await self._engine.call(lambda client: find_holders(client, value))

    async def own_container(self) -> OwnContainer | None:
        """Return the container that this process runs in, or None. Raises EngineUnavailableError."""
        own_id = await in_thread(own_container_id)
        if own_id is None:
            return None
        return await self._engine.call(lambda client: _own_container(client, own_id))

    def in_container(self) -> bool:
        """Return whether this process runs in a container."""
        return any(mark.exists() for mark in CONTAINER_MARKS) or own_container_id() is not None

    def shares_host(self) -> bool:
        """Return whether this process sees the engine's machine as the engine does."""
        return self._engine.is_local and not self.in_container()

    async def disk_free(self, path: Path) -> int | None:
        """Return the free bytes of the file system of `path`, or None where it cannot be read from here."""
        try:
            return (await in_thread(shutil.disk_usage, path)).free
        except OSError:
            return None

    async def memory_available(self) -> int | None:
        """Return the bytes of memory left on this machine, or None where the engine is on another one."""
        if not self._engine.is_local:
            return None
        return await in_thread(_memory_available)

    async def port_is_free(self, host_ip: str, port: int, protocol: str) -> bool | None:
        """Return whether a port could be bound, or None where that cannot be determined from here."""
        if not self.shares_host():
            return None
        return await in_thread(_port_is_free, host_ip, port, protocol)


def _own_container(client: EngineClient, container_id: str) -> OwnContainer | None:
    try:
        found: dict[str, Any] = client.inspect_container(container_id)
    except ApiNotFoundError:
        return None
    labels = found["Config"].get("Labels") or {}
    return OwnContainer(
        id=container_id,
        name=str(found["Name"]).lstrip("/"),
        project=project_of(labels),
        service=labels.get(SERVICE, ""),
        mounts=tuple(
            Mount(str(mount.get("Source", "")), str(mount["Destination"]), bool(mount.get("RW")), str(mount["Type"]))
            for mount in found.get("Mounts") or ()
        ),
        config_hash=labels.get(CONFIG_HASH, ""),
    )


def _memory_available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _port_is_free(host_ip: str, port: int, protocol: str) -> bool | None:
    family = socket.AF_INET6 if ":" in host_ip else socket.AF_INET
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(family, kind) as attempt:
        if kind == socket.SOCK_STREAM:
            # As the engine does: connections that linger in TIME_WAIT do not hold the port.
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((host_ip, port))
        except OSError as error:
            return False if error.errno == errno.EADDRINUSE else None
    return True
