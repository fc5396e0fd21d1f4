"""Read the tasks of a stack at one moment, and say how each ended."""

import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from roas.messages.message import said
from roas.stack.swarm.calls import SwarmCalls
from roas.stack.swarm.normal_form import task_hash

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


def hostname(node: Mapping[str, Any]) -> str:
    """Return what a node calls itself; one that never joined wholly has no name yet."""
    return str((node.get("Description") or {}).get("Hostname") or node["ID"])


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
    def ended_badly(self) -> bool:
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
            return said("it ended with code {exit_code}", exit_code=self.exit_code)
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


def failures_before(task: SwarmTask, tasks: Iterable[SwarmTask]) -> int:
    """Return how many tasks of the same place have failed since another spec ran there, before this one did.

    `tasks` are in the order in which they were created.
    """
    found = 0
    for swarm_task in tasks:
        if swarm_task.id == task.id:
            break
        if swarm_task.place == task.place:
            is_failure = swarm_task.ended_badly and not swarm_task.is_too_early
            found = found + is_failure if swarm_task.spec_hash == task.spec_hash else 0
    return found
