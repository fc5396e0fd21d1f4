"""Read the tasks of a stack at one moment, and show them as the containers that phases and monitoring know."""

import signal
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from roas.messages.message import said
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.stack.docker.labels import STACK
from roas.stack.swarm.calls import SwarmCalls, hostname
from roas.stack.swarm.normal_form import SERVICE, task_hash

Json = dict[str, Any]
DOWN = frozenset({"down", "disconnected"})
WAITING = frozenset({"new", "allocated", "pending", "assigned", "accepted", "preparing", "ready"})
UNPLACED = frozenset({"new", "allocated", "pending"})
FAILED = frozenset({"failed", "rejected", "orphaned"})
ENDED = FAILED | {"complete", "shutdown", "remove"}
STOPPED = frozenset({None, 0, 128 + signal.SIGTERM, 128 + signal.SIGKILL})
# What a node says where an address is of another subnet than the network of that name has which it knows.
OLD_NETWORK = "no configured subnet or ip-range contain the IP address"
# What a task is meant to become: it counts, unless it is meant to be gone.
DOOMED = frozenset({"shutdown", "remove", "complete"})


@dataclass(frozen=True, slots=True)
class StackReading:
    """Hold what a manager showed; `networks` and `hostnames` are names by id, `lost` the ids of nodes that are down."""

    services: tuple[Json, ...] = ()
    tasks: tuple[Json, ...] = ()
    networks: Mapping[str, str] = field(default_factory=dict)
    hostnames: Mapping[str, str] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()


def read_stack(calls: SwarmCalls, project: str) -> StackReading:
    """Ask a manager about a stack; where it has no service, nothing else is said of it."""
    tasks, services = calls.tasks_of_stack(project), calls.services(project)
    if not services:
        return StackReading(tasks=tuple(tasks))
    nodes = calls.nodes()
    return StackReading(
        tuple(services),
        tuple(tasks),
        calls.network_names(services),
        {str(node["ID"]): hostname(node) for node in nodes},
        frozenset(str(node["ID"]) for node in nodes if (node.get("Status") or {}).get("State") in DOWN),
    )


@dataclass(frozen=True, slots=True)
class SwarmTask:
    """Hold what a manager says of one task; `place` is its slot, or its node where there is one on each."""

    id: str
    place: str
    state: str
    desired: str
    spec_hash: str
    created: str
    message: str = ""
    error: str = ""
    exit_code: int | None = None
    node_id: str = ""
    iteration: int = 0  # which run of a job it is of; jobs count from 1

    @property
    def counts(self) -> bool:
        """Return whether the service means it to run."""
        return self.desired not in DOOMED

    @property
    def failed(self) -> bool:
        """Return whether it has ended badly."""
        return self.state in FAILED

    @property
    def is_orphaned(self) -> bool:
        """Return whether it was lost with its node: that says nothing of it."""
        return self.state == "orphaned"

    @property
    def has_ended(self) -> bool:
        """Return whether it is known to have ended, well or not."""
        return self.state in ENDED

    @property
    def ended_unexpectedly(self) -> bool:
        """Return whether it ended and was not meant to.

        One that stops with code 0 when its health check has failed is `complete` for Swarm; and one that is told to
        stop while it fails is `shutdown`, with a code or an error.
        """
        if self.state == "shutdown":
            return bool(self.error) or self.exit_code not in STOPPED
        return self.failed or (self.state == "complete" and not self.iteration)

    @property
    def is_too_early(self) -> bool:
        """Return whether its node still had the network of that name that was removed, and recreated since.

        That says nothing of the task: Swarm tries again, and the node forgets the old network within seconds.
        """
        return self.state == "rejected" and OLD_NETWORK in self.error

    @property
    def reason(self) -> str:
        """Return what Swarm says of it: the error, else the code, else the message."""
        if self.state == "complete":
            return said("it ended with code 0: by itself, or stopped for a health check that failed")
        if self.exit_code and not self.error:
            return said("it ended with code {code}", code=self.exit_code)
        return self.error or self.message or self.state


def read_tasks(
    service: Mapping[str, Any], tasks: Iterable[Mapping[str, Any]], networks: Mapping[str, str]
) -> tuple[SwarmTask, ...]:
    """Return the tasks of a service, the oldest first."""
    own = (task for task in tasks if task.get("ServiceID") == service["ID"])
    return tuple(sorted((_task(service, entry, networks) for entry in own), key=lambda task: (task.created, task.id)))


def _task(service: Mapping[str, Any], task: Mapping[str, Any], networks: Mapping[str, str]) -> SwarmTask:
    status = task.get("Status") or {}
    code = (status.get("ContainerStatus") or {}).get("ExitCode")
    node = str(task.get("NodeID") or "")
    return SwarmTask(
        id=str(task["ID"]),
        place=str(task.get("Slot") or node or task["ID"]),
        state=str(status.get("State") or "new"),
        desired=str(task.get("DesiredState") or ""),
        spec_hash=task_hash(service, task, networks),
        created=str(task.get("CreatedAt") or ""),
        message=str(status.get("Message") or ""),
        error=str(status.get("Err") or ""),
        exit_code=None if code is None else int(code),
        node_id=node,
        iteration=_iteration(task),
    )


def _iteration(task: Mapping[str, Any]) -> int:
    found = task.get("JobIteration")
    return 0 if found is None else int(found.get("Index") or 0) + 1


def last_run(service: Mapping[str, Any], own: Iterable[SwarmTask]) -> tuple[tuple[SwarmTask, ...], int]:
    """Return the tasks of a job's last run, and how many of them have to end well."""
    iteration = int(((service.get("JobStatus") or {}).get("JobIteration") or {}).get("Index") or 0) + 1
    total = int(service["Spec"]["Mode"]["ReplicatedJob"].get("TotalCompletions", 1))
    return tuple(task for task in own if task.iteration == iteration), total


def failures_before(task: SwarmTask, tasks: Iterable[SwarmTask]) -> int:
    """Return how many tasks of the same place have failed since another spec ran there, before this one did.

    `tasks` are in the order in which they were created.
    """
    found = 0
    for swarm_task in tasks:
        if swarm_task.id == task.id:
            break
        if swarm_task.place == task.place:
            is_failure = swarm_task.ended_unexpectedly and not swarm_task.is_too_early
            found = found + is_failure if swarm_task.spec_hash == task.spec_hash else 0
    return found


POLICIES = {"any": "always", "on-failure": "on-failure", "none": "no"}
DIGITS_OF_SECONDS = 26  # datetime takes microseconds, Swarm writes nanoseconds


def task_snapshots(reading: StackReading) -> tuple[ContainerSnapshot, ...]:
    """Return a snapshot of each task that counts, and of the last one where none does."""
    raw = {str(task["ID"]): task for task in reading.tasks}
    return tuple(
        replace(container, left_on=nodes, left_as=images) if nodes else container
        for service in reading.services
        for nodes, images in (_left(service, raw, reading),)
        for container in _of_service(service, raw, reading)
    )


def _left(
    service: Mapping[str, Any], raw: Mapping[str, Mapping[str, Any]], reading: StackReading
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the nodes that are down on which Swarm gave up tasks, and their images: nobody has stopped these."""
    left = [task for task in _given_up(service, reading) if task.node_id in reading.lost]
    nodes = {reading.hostnames.get(task.node_id, "-") for task in left}
    return tuple(sorted(nodes)), tuple(sorted({_image_reference(raw[task.id]) for task in left}))


def _image_reference(task: Mapping[str, Any]) -> str:
    return str(task["Spec"]["ContainerSpec"]["Image"]).partition("@")[0]


def _given_up(service: Mapping[str, Any], reading: StackReading) -> list[SwarmTask]:
    """Return the tasks that Swarm gave up, and of which no node has said yet that they ended."""
    tasks = read_tasks(service, reading.tasks, reading.networks)
    return [task for task in tasks if task.node_id and not task.counts and not task.has_ended]


def given_up_tasks(reading: StackReading) -> Mapping[str, frozenset[str]]:
    """Return of each service the nodes on which an earlier task may still run: they have not said that it ended."""
    found = {service_name(service["Spec"]): _given_up(service, reading) for service in reading.services}
    return {
        service: frozenset(reading.hostnames[task.node_id] for task in tasks if task.node_id in reading.hostnames)
        for service, tasks in found.items()
        if tasks
    }


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
        image_reference=_image_reference(raw),
        config_hash=task.spec_hash,
        restart_count=restarts,
        exit_code=_exit_code(task),
        started_at=read_moment(str(status.get("Timestamp") or "")) if task.state == "running" else None,
        number=int(task.place) if task.place.isdigit() else 1,
        restart_policy=POLICIES.get(policy, policy),
        project=str((spec.get("Labels") or {}).get(STACK) or ""),
        node=node,
        container_id=str((status.get("ContainerStatus") or {}).get("ContainerID") or ""),
        note="" if task.state == "running" else _why_not(task, tasks),
    )


def _why_not(task: SwarmTask, tasks: Iterable[SwarmTask]) -> str:
    """Return why a task does not run; of one that waits in the place of one that failed, that is why the latter did."""
    before = [item for item in tasks if item.place == task.place and item.created < task.created]
    failed = before[-1] if before and task.state in WAITING and not task.error else task
    return failed.reason if failed.ended_unexpectedly and not failed.is_too_early else task.reason


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
    if task.state == "rejected":  # it never ran, and has the code 0
        return None
    return task.exit_code if task.state in FAILED | {"shutdown"} else None


def read_moment(text: str) -> datetime | None:
    """Read a time of Swarm's; None where it says none."""
    if not text:
        return None
    return datetime.fromisoformat(f"{text.removesuffix('Z')[:DIGITS_OF_SECONDS]}Z")
