"""Start, stop and remove single containers by id."""

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from roas.errors import ContainerConflictError, ContainerRemovedError, ServiceFailedError
from roas.messages.message import said
from roas.models.health import ContainerSnapshot, ContainerState
from roas.stack.containers.networks import rejoin
from roas.stack.containers.own_container import refuse_own_container
from roas.stack.containers.snapshots import inspect_or_none
from roas.stack.docker.api_errors import BUSY_STATUSES, ApiError, ApiNotFoundError, find_passing_fault
from roas.stack.docker.engine import Engine
from roas.stack.docker.labels import SERVICE
from roas.stack.docker.sdk import REQUEST_SECONDS, EngineClient

DEFAULT_GRACE_SECONDS = 10
# Of many that start at once each takes as long as all of them.
START_SECONDS = 120
NETWORK_GONE = re.compile(r"network \S+ not found")


async def start_container(engine: Engine, container_id: str) -> None:
    """Start a container, or unpause it. Raises ServiceFailedError where it cannot run."""

    def start(client: EngineClient) -> None:
        try:
            client.start(container_id, timeout=START_SECONDS)
        except ApiError as error:
            if error.status in BUSY_STATUSES or find_passing_fault(error.explanation):
                raise
            inspected = inspect_or_none(client, container_id)
            if inspected is None:
                raise _gone(container_id) from error
            if inspected["State"].get("Paused"):
                client.unpause(container_id)
            elif NETWORK_GONE.search(error.explanation):
                if not rejoin(client, inspected):
                    raise _network_gone(inspected, error.explanation) from error
                start(client)
            else:
                raise _cannot_start(inspected, error.explanation) from error

    await engine.act(start)


async def unpause(engine: Engine, containers: Iterable[ContainerSnapshot]) -> None:
    """Let what was paused go on: Compose would try to start it, which the engine refuses."""
    for container in containers:
        if container.state is ContainerState.PAUSED:
            await start_container(engine, container.id)


async def pause_container(engine: Engine, container_id: str) -> None:
    """Let the processes of a container stand still; one that does not run, or is paused, is no error.

    Raises OwnContainerError.
    """

    def stand_still(client: EngineClient) -> None:
        inspected = inspect_or_none(client, container_id)
        if inspected is not None:
            refuse_own_container(inspected["Id"], inspected["Name"].lstrip("/"))
        if inspected is not None and inspected["State"]["Running"] and not inspected["State"].get("Paused"):
            client.pause(inspected["Id"])

    await engine.act(stand_still)


async def change_restart_policy(engine: Engine, container_id: str, before: str, after: str) -> None:
    """Give a container another restart policy where it has this one; one that is gone is no error."""

    def change(client: EngineClient) -> None:
        inspected = inspect_or_none(client, container_id)
        if inspected is not None and inspected["HostConfig"]["RestartPolicy"]["Name"] == before:
            policy: Any = {"Name": after}
            client.update_container(inspected["Id"], restart_policy=policy)

    await engine.act(change)


async def stop_container(engine: Engine, container_id: str) -> None:
    """Stop a container within its grace period; a stopped or missing one is no error. Raises OwnContainerError."""

    def stop(client: EngineClient) -> None:
        inspected = inspect_or_none(client, container_id)
        if inspected is not None:
            refuse_own_container(inspected["Id"], inspected["Name"].lstrip("/"))
        if inspected is not None and (inspected["State"]["Running"] or inspected["State"].get("Restarting")):
            with suppress(ApiNotFoundError):
                _stop(client, inspected, None)

    await engine.act(stop)


async def remove_container(engine: Engine, container_id: str, grace_seconds: float | None) -> None:
    """Stop a container within its grace period, and remove it; a missing one is no error.

    Its anonymous volumes stay: they may hold data. Raises OwnContainerError for the one that this process runs in.
    """

    def remove(client: EngineClient) -> None:
        inspected = inspect_or_none(client, container_id)
        if inspected is None:
            return
        refuse_own_container(inspected["Id"], inspected["Name"].lstrip("/"))
        try:
            if inspected["State"]["Running"] or inspected["State"].get("Restarting"):
                _stop(client, inspected, grace_seconds)
            client.remove_container(container_id, force=True)
        except ApiNotFoundError:
            return
        except ApiError as error:
            if "already in progress" not in error.explanation:
                raise
            _wait_until_removed(client, container_id)

    await engine.act(remove)


def _gone(container_id: str) -> ContainerRemovedError:
    return ContainerRemovedError(
        said("The container {container_id} was removed before it was started.", container_id=container_id[:12]),
    )


def _stop(client: EngineClient, inspected: dict[str, Any], grace_seconds: float | None) -> None:
    """Stop it; the request must be given more time than the container is."""
    own = inspected["Config"].get("StopTimeout")
    grace = grace_seconds if grace_seconds is not None else own if own is not None else DEFAULT_GRACE_SECONDS
    client.stop(inspected["Id"], timeout=max(0, round(grace)))


def _wait_until_removed(client: EngineClient, container_id: str) -> None:
    try:
        client.wait(container_id, timeout=REQUEST_SECONDS, condition="removed")
    except ApiNotFoundError:
        return


def _service_of(inspected: dict[str, Any]) -> str:
    return (inspected["Config"].get("Labels") or {}).get(SERVICE) or str(inspected["Name"]).lstrip("/")


def _network_gone(inspected: dict[str, Any], text: str) -> ContainerConflictError:
    service = _service_of(inspected)
    return ContainerConflictError(
        said("{service} cannot be started: {text}", service=service, text=text),
        hint=said("Find out who removed the network, a person or a program, then deploy again."),
        service=service,
    )


def _cannot_start(inspected: dict[str, Any], text: str) -> ServiceFailedError:
    service = _service_of(inspected)
    is_port_taken = "port is already allocated" in text or "address already in use" in text
    hint = (
        said("Stop what holds the port, or publish another one.")
        if is_port_taken
        else said("Correct the service's command, mounts or image.")
    )
    return ServiceFailedError(
        said("{service} cannot be started: {text}", service=service, text=text), hint=hint, service=service
    )
