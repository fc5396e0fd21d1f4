"""Read the state of a project's containers."""

import re
import signal
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.stack.docker.api_errors import ApiNotFoundError, find_passing_fault
from roas.stack.docker.engine import Engine
from roas.stack.docker.labels import CONFIG_FILES, CONFIG_HASH, NUMBER, ONE_OFF, PROJECT, SERVICE
from roas.stack.docker.sdk import EngineClient
from roas.stack.model.key_values import is_nameless
from roas.stack.model.store import is_kept_model

NEVER = "0001-01-01"
# The exit code of a health check that the engine ended, or could not start.
NOT_RUN = -1
# How many checks in a row have to fail, where nothing else is said.
CHECKS_IN_A_ROW = 3
IMAGE_ID = "sha256:"
OF_CONTAINER = "container:"
LISTED_HEALTH = re.compile(r"\((?:health: )?(starting|healthy|unhealthy)\)")
LISTED_EXIT_CODE = re.compile(r"(?:Exited|Restarting) \((\d+)\)")
FRACTION_OF_SECOND = re.compile(r"\.(\d{1,6})\d*")


async def take_snapshots(engine: Engine, service: str | None = None) -> tuple[ContainerSnapshot, ...]:
    """Return every container of the environment's project, or of one service, running or not, in order of number."""
    ids = await engine.call(lambda client: list_ids(client, engine.project, service))
    return in_order(map(snapshot, await inspect_each(engine, ids)))


async def take_outlines(engine: Engine) -> tuple[ContainerSnapshot, ...]:
    """Return every container of the environment's project as the engine lists it: one question, however many.

    What only asking about each container tells is left out: restarts, when it started, its restart policy.
    """
    return in_order(map(outline, await engine.call(lambda client: _listed(client, engine.project))))


async def take_named_outlines(engine: Engine) -> tuple[ContainerSnapshot, ...]:
    """Return every container as the engine lists it, with the name of its image as it was created from that.

    The engine lists a container by the image's ID once the name means another image: those alone are asked about.
    """
    listed = await take_outlines(engine)
    unnamed = [
        container.id for container in listed if container.image_id.startswith(_unlabelled(container.image_reference))
    ]
    asked = {entry["Id"]: snapshot(entry) for entry in await inspect_each(engine, unnamed)}
    return in_order(
        asked.get(container.id, container)
        for container in listed
        if container.id not in unnamed or container.id in asked
    )


async def engine_time(engine: Engine) -> datetime:
    """Return what the engine's clock says, by which it notes when it created a container."""
    told = await engine.call(lambda client: client.info().get("SystemTime", ""))
    return _moment(told) or datetime.now(UTC)


async def take_snapshots_of(engine: Engine, container_ids: Collection[str]) -> tuple[ContainerSnapshot, ...]:
    """Return those of some containers that are there and belong to a service of the environment's project."""
    found = await inspect_each(engine, container_ids)
    return in_order(snapshot(inspected) for inspected in found if _belongs(inspected, engine.project))


async def inspect_each(engine: Engine, container_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Return what inspecting each of these containers tells; one that is gone meanwhile is left out."""
    return [entry for entry in await engine.each(inspect_or_none, container_ids) if entry is not None]


def in_order(snapshots: Iterable[ContainerSnapshot]) -> tuple[ContainerSnapshot, ...]:
    """Sort containers by service, number and name."""
    return tuple(sorted(snapshots, key=lambda container: (container.service, container.number, container.name)))


def _belongs(inspected: dict[str, Any], project: str) -> bool:
    labels = inspected["Config"].get("Labels") or {}
    return labels.get(PROJECT) == project and labels.get(ONE_OFF) == "False"


def list_ids(client: EngineClient, project: str, service: str | None = None) -> list[str]:
    """Return the ids of a project's containers; those of `compose run` belong to no service."""
    return [str(container["Id"]) for container in _listed(client, project, service)]


def _listed(client: EngineClient, project: str, service: str | None = None) -> list[dict[str, Any]]:
    labels = [f"{PROJECT}={project}", f"{ONE_OFF}=False"]
    if service is not None:
        labels.append(f"{SERVICE}={service}")
    found: list[dict[str, Any]] = client.containers(all=True, filters={"label": labels})
    return found


def inspect_or_none(client: EngineClient, container_id: str) -> dict[str, Any] | None:
    """Inspect a container, or return None where it is gone meanwhile."""
    try:
        inspected: dict[str, Any] = client.inspect_container(container_id)
    except ApiNotFoundError:
        return None
    return inspected


def snapshot(inspected: dict[str, Any]) -> ContainerSnapshot:
    """Read a snapshot from what inspecting a container returned."""
    state, config = inspected["State"], inspected["Config"]
    labels = config.get("Labels") or {}
    ended = state["Status"] in {"exited", "dead", "restarting"}
    health = state.get("Health") or {}
    is_unhealthy = health.get("Status") == HealthStatus.UNHEALTHY.value
    unchecked = is_unhealthy and _could_not_run(health.get("Log") or [])
    awaits_check = unchecked or (is_unhealthy and _was_paused(state, config))
    return ContainerSnapshot(
        id=inspected["Id"],
        name=inspected["Name"].lstrip("/"),
        service=labels.get(SERVICE, ""),
        state=ContainerState(state["Status"]),
        health=HealthStatus.STARTING if awaits_check else HealthStatus(health.get("Status", "none")),
        image_id=inspected["Image"],
        image_reference=config.get("Image", ""),
        config_hash=labels.get(CONFIG_HASH, ""),
        restart_count=inspected.get("RestartCount", 0),
        exit_code=state.get("ExitCode") if ended else None,
        oom_killed=bool(state.get("OOMKilled")),
        started_at=_moment(state.get("StartedAt", "")),
        number=_number(labels.get(NUMBER, "")),
        restart_policy=(inspected["HostConfig"].get("RestartPolicy") or {}).get("Name") or "no",
        project=labels.get(PROJECT, ""),
        stop_signal=_signal(config.get("StopSignal") or ""),
        unnamed_volumes=_has_unnamed_volumes(inspected),
        shares_with=_shares_with(inspected["HostConfig"]),
        created_at=_moment(inspected.get("Created", "")),
        of_release=_is_of_release(labels),
        unchecked=unchecked,
    )


def _could_not_run(probes: list[dict[str, Any]]) -> bool:
    """Return whether the engine could not even start the last run of a health check, which says nothing of it."""
    last = probes[-1] if probes else {}
    return last.get("ExitCode") == NOT_RUN and find_passing_fault(str(last.get("Output", ""))) is not None


def _was_paused(state: dict[str, Any], config: dict[str, Any]) -> bool:
    """Return whether an engine calls unhealthy, until the next check, what it paused: too few checks failed for that.

    Of what has ended it says the same, and there is no next check.
    """
    retries = (config.get("Healthcheck") or {}).get("Retries") or CHECKS_IN_A_ROW
    is_running: bool = state["Status"] == ContainerState.RUNNING.value
    return is_running and state["Health"].get("FailingStreak", retries) < retries


def outline(listed: dict[str, Any]) -> ContainerSnapshot:
    """Read what a list of containers tells of one; health and exit code stand in its status, in words."""
    labels, status = listed.get("Labels") or {}, str(listed.get("Status") or "")
    names = [str(name).removeprefix("/") for name in listed.get("Names") or ()]
    health = LISTED_HEALTH.search(status)
    code = LISTED_EXIT_CODE.match(status)
    return ContainerSnapshot(
        id=str(listed["Id"]),
        # A link gives a container a second name, which has another slash in it.
        name=next((name for name in names if "/" not in name), ""),
        service=labels.get(SERVICE, ""),
        state=ContainerState(listed["State"]),
        health=HealthStatus(health[1] if health else "none"),
        image_id=str(listed["ImageID"]),
        image_reference=str(listed.get("Image") or ""),
        config_hash=labels.get(CONFIG_HASH, ""),
        exit_code=int(code[1]) if code else None,
        number=_number(labels.get(NUMBER, "")),
        project=labels.get(PROJECT, ""),
        shares_with=_shares_with(listed.get("HostConfig") or {}),
        endpoints=tuple(sorted(_endpoints(listed))),
        unnamed_volumes=_has_unnamed_volumes(listed),
        created_at=datetime.fromtimestamp(listed["Created"], UTC) if listed.get("Created") else None,
        of_release=_is_of_release(labels),
    )


def _shares_with(host: dict[str, Any]) -> tuple[str, ...]:
    modes = {str(host.get(key) or "") for key in ("NetworkMode", "PidMode", "IpcMode")}
    return tuple(sorted(mode.removeprefix(OF_CONTAINER) for mode in modes if mode.startswith(OF_CONTAINER)))


def _is_of_release(labels: Mapping[str, str]) -> bool:
    return is_kept_model(Path(labels.get(CONFIG_FILES, "")))


def _has_unnamed_volumes(found: dict[str, Any]) -> bool:
    """Return whether a container has volumes to which the engine gave a name."""
    volumes = (mount for mount in found.get("Mounts") or () if mount.get("Type") == "volume")
    return any(is_nameless(str(volume.get("Name") or "")) for volume in volumes)


def _endpoints(listed: dict[str, Any]) -> Iterator[str]:
    networks = (listed.get("NetworkSettings") or {}).get("Networks") or {}
    yield from (f"{name} {(endpoint or {}).get('EndpointID', '')}" for name, endpoint in networks.items())


def _unlabelled(reference: str) -> str:
    """Return what an image's ID begins with where a reference is one, in full or as the engine shortens it."""
    return reference if reference.startswith(IMAGE_ID) else f"{IMAGE_ID}{reference}"


def _signal(text: str) -> int | None:
    """Read a signal by its number or name: `3`, `SIGQUIT`, `quit`, `SIGRTMIN+3`."""
    if text.isdigit():
        return int(text)
    name, _, beyond = text.upper().removeprefix("SIG").partition("+")
    try:
        return signal.Signals[f"SIG{name}"] + int(beyond or 0)
    except (KeyError, ValueError):
        return None


def _number(label: str) -> int:
    return int(label) if label.isdigit() else 1


def _moment(text: str) -> datetime | None:
    """Read the engine's time, which has more digits than datetime takes."""
    if not text or text.startswith(NEVER):
        return None
    return datetime.fromisoformat(FRACTION_OF_SECOND.sub(r".\1", text))
