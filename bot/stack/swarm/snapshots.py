"""Show the tasks of a stack as the containers that the phases and the monitoring know."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.stack.labels import STACK
from roas.stack.swarm.names import SERVICE
from roas.stack.swarm.tasks import FAILED, WAITING, StackReading, SwarmTask, failures_before, read_tasks

Json = dict[str, Any]
POLICIES = {"any": "always", "on-failure": "on-failure", "none": "no"}
DIGITS_OF_SECONDS = 26  # datetime takes microseconds, Swarm writes nanoseconds


def task_snapshots(reading: StackReading) -> tuple[ContainerSnapshot, ...]:
    """Return a snapshot of each task that counts, and of the last one where none does."""
    raw = {str(task["ID"]): task for task in reading.tasks}
    return tuple(
        replace(container, left_on=left_on) if left_on else container
        for service in reading.services
        for left_on in (_left_on(service, reading),)
        for container in _of_service(service, raw, reading)
    )


def _left_on(service: Mapping[str, Any], reading: StackReading) -> tuple[str, ...]:
    """Return the nodes that are down, and on which Swarm gave up a task: nobody has stopped its container there."""
    given_up = (
        task for task in read_tasks(service, reading.tasks, reading.networks) if not task.counts and not task.has_ended
    )
    return tuple(
        sorted({reading.hostnames.get(task.node_id, "-") for task in given_up if task.node_id in reading.lost})
    )


def service_name(spec: Mapping[str, Any]) -> str:
    """Return what the compose file calls a service."""
    labels = spec.get("Labels") or {}
    return str(labels.get(SERVICE) or spec["Name"].removeprefix(f"{labels.get(STACK, '')}_"))


def digest_of_image(image: str) -> str:
    """Return the digest (`name@sha256:…`) of an image that may have a tag besides; the image where it has none."""
    name, _, digest = image.partition("@")
    if not digest:
        return image
    head, _, tail = name.rpartition(":")
    return f"{head if head and '/' not in tail else name}@{digest}"


def _of_service(
    service: Mapping[str, Any], raw: Mapping[str, Mapping[str, Any]], reading: StackReading
) -> Iterator[ContainerSnapshot]:
    tasks = read_tasks(service, raw.values(), reading.networks)
    places: dict[str, SwarmTask] = {}
    for task in tasks:
        before = places.get(task.place)
        if before is None or task.counts or not before.counts:
            places[task.place] = task
    replicas = (service["Spec"]["Mode"].get("Replicated") or {}).get("Replicas")
    iteration = max((task.iteration for task in tasks), default=0)
    # Which places Swarm gives up, where there are to be fewer, it decides by their nodes, not by their numbers.
    is_whole = replicas is not None and sum(task.counts for task in places.values()) >= replicas
    total = (service["Spec"]["Mode"].get("ReplicatedJob") or {}).get("TotalCompletions")
    ran_well = [task for task in tasks if task.iteration == iteration and task.state == "complete"]
    if total is not None and len(ran_well) >= total:  # the job is done, whatever else Swarm began of it, or begins yet
        for task in ran_well[:total]:
            found = _snapshot(service, task, raw[task.id], tasks, reading.hostnames.get(task.node_id, ""))
            yield replace(found, surplus_runs=len(ran_well) - total)
        return
    for place, task in places.items():
        beyond = replicas is not None and place.isdigit() and int(place) > replicas
        scaled_away = (is_whole or beyond) and not task.counts
        on_lost_node = not task.counts and not place.isdigit() and not iteration
        if not scaled_away and not on_lost_node and task.iteration == iteration:
            yield _snapshot(service, task, raw[task.id], tasks, reading.hostnames.get(task.node_id, ""))


def _snapshot(
    service: Mapping[str, Any], task: SwarmTask, raw: Mapping[str, Any], tasks: tuple[SwarmTask, ...], node: str
) -> ContainerSnapshot:
    spec = service["Spec"]
    container = raw["Spec"]["ContainerSpec"]
    restarts = failures_before(task, tasks)
    policy = str((raw["Spec"].get("RestartPolicy") or {}).get("Condition") or "any")
    name = service_name(spec)
    status = raw.get("Status") or {}
    return ContainerSnapshot(
        id=task.id,
        name=f"{spec['Name']}.{task.place}.{task.id}",
        service=name,
        state=_state(task, restarts),
        health=_health(task, container),
        image_id=digest_of_image(str(container["Image"])),
        image_reference=str(container["Image"]).partition("@")[0],
        config_hash=task.spec_hash,
        restart_count=restarts,
        exit_code=_exit_code(task),
        started_at=read_moment(str(status.get("Timestamp") or "")) if task.state == "running" else None,
        number=int(task.place) if task.place.isdigit() else 1,
        restart_policy=POLICIES.get(policy, policy),
        project=str((spec.get("Labels") or {}).get(STACK) or ""),
        node=node,
        container_id=str((status.get("ContainerStatus") or {}).get("ContainerID") or ""),
        note="" if task.state == "running" else task.reason,
    )


def _state(task: SwarmTask, restarts: int) -> ContainerState:
    if task.state in {"running", "starting"}:
        return ContainerState.RUNNING
    if task.state in WAITING:
        return ContainerState.RESTARTING if restarts else ContainerState.CREATED
    if task.state in FAILED | {"complete", "shutdown"}:
        return ContainerState.EXITED
    return ContainerState.REMOVING


def _health(task: SwarmTask, container: Mapping[str, Any]) -> HealthStatus:
    """Return what a task's state says of its health check: `starting` lasts until it has passed.

    Whether the image has a check of its own no manager says: without one in the spec, a running task is unverified.
    """
    check = container.get("Healthcheck") or {}
    if task.state == "starting":
        return HealthStatus.STARTING
    if task.state != "running" or not check or (check.get("Test") or [])[:1] == ["NONE"]:
        return HealthStatus.NONE
    return HealthStatus.HEALTHY


def _exit_code(task: SwarmTask) -> int | None:
    if task.state == "complete":
        return 0
    return task.exit_code if task.state in FAILED | {"shutdown"} else None


def read_moment(text: str) -> datetime | None:
    """Read a time of Swarm's; None where it says none."""
    if not text:
        return None
    return datetime.fromisoformat(f"{text.removesuffix('Z')[:DIGITS_OF_SECONDS]}Z")
