"""Check the machine: room on the disk, memory, ports, the bot's own place on it, and Redis."""

import contextlib
import os
import shutil
from pathlib import Path, PurePosixPath

from roas.checks.check import Finding, check, existing, failed, obstacles, passed, stack_check
from roas.checks.subject import Subject
from roas.errors import EngineUnavailableError, RoasError, cannot_read, correct_setting, not_installed
from roas.limits import PORT_RETRIES
from roas.messages.message import Message, in_bytes, said
from roas.models.check import CheckSeverity
from roas.models.facts import Mount, OwnContainer, PublishedPort
from roas.models.stack import ObstacleKind
from roas.stack.images.provenance import COSIGN
from roas.stack.interface import ResolvedStack
from roas.stack.machine.host_ports import WantedPort, wanted_ports
from roas.stack.resolution.obstacles import another_port

# A full disk corrupts what runs already: no deployment below the first limit, a warning below the second.
MINIMUM_DISK_BYTES = 512 * 1024**2
RECOMMENDED_DISK_BYTES = 2 * 1024**3
# Below the first a new container is likely to be killed, or to kill another; below the second there is a warning.
MINIMUM_MEMORY_BYTES = 64 * 1024**2
RECOMMENDED_MEMORY_BYTES = 256 * 1024**2


@check("disk", CheckSeverity.CRITICAL)
async def disk(subject: Subject) -> list[Finding]:
    """Measure the free space of the engine's data root, where it can be seen, and of the state folder."""
    places = [existing(subject.settings.state_dir)]
    with contextlib.suppress(EngineUnavailableError):  # the engine's own check says so
        places.append(Path((await subject.engine.version()).data_root))
    return [await _measure_disk(subject, path) for path in places]


async def _measure_disk(subject: Subject, path: Path) -> Finding:
    free = await subject.engine.disk_free(path)
    if free is None:
        return passed(said("The free space in {path} cannot be read from here.", path=path))
    message = said("{free} are free in {path}.", free=in_bytes(free), path=path)
    remedy = said(
        "Make room, for instance with `docker image prune` and `docker builder prune`: {least} are needed.",
        least=in_bytes(MINIMUM_DISK_BYTES),
    )
    if free < MINIMUM_DISK_BYTES:
        return failed(message, remedy)
    if free < RECOMMENDED_DISK_BYTES:
        return failed(message, remedy, CheckSeverity.WARNING)
    return passed(message)


@check("signatures", CheckSeverity.CRITICAL)
async def signatures(subject: Subject) -> list[Finding]:
    """Look for what verifies signatures, where the environment asks for them."""
    policy = subject.environment.signatures
    if policy is None:
        return []
    if shutil.which(COSIGN) is None:
        return [failed(not_installed(f"{COSIGN} 3"))]
    files = (*policy.key_files, *filter(None, [policy.trusted_root_file]))
    return [failed(message, correct_setting("verify")) for message in filter(None, map(_unreadable, files))] or [
        passed()
    ]


def _unreadable(path: Path) -> Message | None:
    """Say why a file cannot be read; None where it can."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))  # a pipe would be waited for
    except OSError as error:
        return cannot_read(path, error)
    return None


@check("memory", CheckSeverity.CRITICAL)
async def memory(subject: Subject) -> list[Finding]:
    """Measure the memory that is left, and compare what the services reserve with what the engine has."""
    return [await _memory_left(subject), *await _memory_reserved(subject)]


async def _memory_left(subject: Subject) -> Finding:
    left = await subject.engine.memory_available()
    if left is None:
        return passed(said("The memory of the engine's machine cannot be read from here."))
    message = said("{left} of memory are left.", left=in_bytes(left))
    if left < MINIMUM_MEMORY_BYTES:
        return failed(message)
    return passed(message) if left >= RECOMMENDED_MEMORY_BYTES else failed(message, severity=CheckSeverity.WARNING)


async def _memory_reserved(subject: Subject) -> list[Finding]:
    wanted = _reservations(subject)
    if not wanted or subject.has_nodes:  # Swarm looks for a node that has it
        return []
    there = (await subject.engine.version()).memory_bytes
    if there == 0 or wanted <= there:
        return []
    message = said(
        "The services reserve {wanted} of memory; the engine has {there}.",
        wanted=in_bytes(wanted),
        there=in_bytes(there),
    )
    return [failed(message, severity=CheckSeverity.WARNING)]


def _reservations(subject: Subject) -> int:
    """Add up the reserved bytes; a resolved model writes them as digits."""
    total = 0
    for service in subject.services.values():
        deploy = service.get("deploy") or {}
        reserved = ((deploy.get("resources") or {}).get("reservations") or {}).get("memory", 0)
        reserved = service.get("mem_reservation") or reserved
        total += int(reserved) * int(deploy.get("replicas", service.get("scale", 1))) if str(reserved).isdigit() else 0
    return total


@stack_check("ports", CheckSeverity.CRITICAL)
async def ports(subject: Subject, stack: ResolvedStack) -> list[Finding]:
    """Compare the published ports with those that other containers hold, and try the rest."""
    wanted = wanted_ports(subject.services)
    if not wanted:
        return []
    if subject.has_nodes:  # of whose nodes this machine is one, if any
        return obstacles(stack, ObstacleKind.PORT) or [passed()]
    problems = await _port_problems(subject, wanted)
    # What restarts again and again holds a port for a moment, and may be in no list at the next one.
    for _ in range(PORT_RETRIES):
        problems = problems and await _port_problems(subject, wanted)
    seen = "" if subject.engine.shares_host() else said("Ports of other processes than containers cannot be seen here.")
    return problems or [passed(seen)]


async def _port_problems(subject: Subject, wanted: list[WantedPort]) -> list[Finding]:
    held = await subject.engine.published_ports()
    found = [await _judge_port(subject, port, held) for port in wanted]
    return [result for result in found if result is not None]


async def _judge_port(subject: Subject, port: WantedPort, held: tuple[PublishedPort, ...]) -> Finding | None:
    if (other := port.holder(held, subject.environment.project)) is not None:
        container = f"{other.container} ({other.project})" if other.project else other.container
        return failed(
            said("{port} is held by the container {container}.", port=_named_port(port), container=container),
            another_port(other.container, subject.environment),
        )
    if (
        any(map(port.collides_with, held))
        or await subject.engine.port_is_free(port.host_ip, port.port, port.protocol) is not False
    ):
        return None
    remedy = said("Find it with `ss -lptn 'sport = :{port}'` and stop it, or publish another port.", port=port.port)
    return failed(said("{port} is held by another process of this machine.", port=_named_port(port)), remedy)


def _named_port(port: WantedPort) -> Message:
    return said("Port {address} of {service}", address=port.address, service=port.service)


@check("own_container", CheckSeverity.CRITICAL)
async def own_container(subject: Subject) -> list[Finding]:
    """Find the own container by its id, compare its project with the environment and its mounts with the host's."""
    if not subject.engine.in_container():
        return [_outside_container(subject)]
    own = await subject.engine.own_container()
    if own is None:
        remedy = said("Give the bot the socket of the engine that runs it; DOCKER_HOST must not lead elsewhere.")
        message = said("The bot runs in a container that this engine does not know.")
        severity = CheckSeverity.CRITICAL if subject.environment.is_home else CheckSeverity.WARNING
        return [failed(message, remedy, severity)]
    return [*_judge_home(subject, own), *_judge_paths(subject, own)] or [passed()]


def _outside_container(subject: Subject) -> Finding:
    if not subject.environment.is_home:
        return passed(said("The bot does not run in a container."))
    message = said(
        "{environment} is the home environment, but the bot does not run in a container of it.",
        environment=subject.environment.name,
    )
    remedy = said("Start the bot as a service of the stack, or leave HOME_ENVIRONMENT empty.")
    return failed(message, remedy, CheckSeverity.WARNING)


def _judge_home(subject: Subject, own: OwnContainer) -> list[Finding]:
    environment = subject.environment
    if not environment.is_home or own.project == environment.project:
        return []
    message = said(
        "{environment} is the home environment and is project {project}, but the bot's container {own} belongs "
        "to {other}.",
        environment=environment.name,
        project=environment.project,
        own=own.name,
        other=own.project or "–",
    )
    return [failed(message, said("Correct COMPOSE_PROJECT_NAME or HOME_ENVIRONMENT."))]


def _judge_paths(subject: Subject, own: OwnContainer) -> list[Finding]:
    """Compose reads paths in here, the engine reads them on its machine: they have to be the same.

    Nodes of a Swarm read none: files go there as configs and secrets.
    """
    if subject.has_nodes:
        return []
    folders = {
        "STATE_DIR": subject.settings.state_dir.absolute(),
        said("the stack's folder"): subject.environment.folder,
    }
    return [
        failed(
            said("{text} ({folder}) {fault}.", text=text, folder=folder, fault=fault),
            said("Mount it into the bot at the path that it has on the host: `{folder}:{folder}`.", folder=folder),
        )
        for text, folder in folders.items()
        if (fault := _fault(folder, own))
    ]


def _fault(folder: Path, own: OwnContainer) -> str:
    """Describe what is wrong with the source of a folder; empty where the engine sees the same."""
    mount = _mount_of(folder, own.mounts)
    if mount is None or mount.kind != "bind":
        return said("is no folder of the host")
    if mount.source == mount.destination:
        return ""
    return said("is {source} on the host", source=mount.source)


def _mount_of(folder: Path, mounts: tuple[Mount, ...]) -> Mount | None:
    """Return the mount of a folder: the one with the longest destination."""
    inside = [mount for mount in mounts if PurePosixPath(folder).is_relative_to(mount.destination)]
    return max(inside, key=lambda mount: len(mount.destination), default=None)


@check("redis", CheckSeverity.WARNING)
async def redis(subject: Subject) -> Finding:
    """Ping Redis. Without it the bot and its journal go on: only as a service of the stack can it fail a deployment."""
    if subject.ping_redis is None:
        return passed(said("REDIS_URL is not set: state is kept in the journal alone."))
    remedy = said("Look at the redis service, or correct REDIS_URL.")
    try:
        await subject.ping_redis()
    except RoasError as error:
        return failed(error.message, remedy)
    except Exception as error:  # any exception of the client means the same; its text may hold the URL's password
        return failed(said("Redis does not answer ({name}).", name=type(error).__name__), remedy)
    return passed()
