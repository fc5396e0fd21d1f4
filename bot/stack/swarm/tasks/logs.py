"""Read what a service's tasks wrote: a task that Swarm started for another one goes on with that one's log."""

from collections.abc import Mapping
from typing import Any

from roas.messages.message import said
from roas.stack.docker.api_errors import ApiError
from roas.stack.swarm.calls import SwarmCalls, UnresponsiveNodeError, hostname, no_log
from roas.stack.swarm.tasks.tasks import ENDED

Json = dict[str, Any]
EARLIER = 2  # how many tasks before it are shown, of those that Swarm remembers


def read_task_log(calls: SwarmCalls, task_id: str, *, lines: int, since: int) -> str:
    """Return the last lines of a task with their times; its node has to be up. Raises UnresponsiveNodeError."""
    try:
        return calls.task_log(task_id, lines=lines, since=since)
    except ApiError as error:
        return no_log(error.explanation)


def read_place_log(calls: SwarmCalls, task_id: str, *, lines: int, since: int) -> str:
    """Return the last lines of a task, after those of the tasks that it is there instead of."""
    nodes = {str(node["ID"]): hostname(node) for node in calls.nodes()}
    task = next(iter(calls.tasks(id=task_id)), None)
    unresponsive: set[str] = set()  # and not asked once more

    def read(entry: Mapping[str, Any]) -> str:
        node = str(entry.get("NodeID"))
        if node not in unresponsive:
            try:
                text = read_task_log(calls, str(entry["ID"]), lines=lines, since=since).rstrip("\n")
                return text.replace(f"node {node} ", f"node {nodes.get(node, node)} ")
            except UnresponsiveNodeError:
                unresponsive.add(node)
        return no_log(said("node {node} does not answer", node=nodes.get(node, node)))

    own = read({"ID": task_id} if task is None else task)
    texts = []
    for entry in [] if task is None else _before(calls, task)[-EARLIER:]:
        if text := read(entry):
            texts += [text, f"--- {nodes.get(str(entry.get('NodeID')), '-')}: {_ending(entry) or _state(entry)}"]
    return "\n".join([*texts, own])


def read_ending(calls: SwarmCalls, task_id: str, *, lines: int) -> tuple[str, str]:
    """Return how a task ended, and its last lines. The output of health checks no manager shows.

    Of one that lives, it is the task before it that ended: Swarm has put this one in its place already, and it has
    written nothing yet that would say why.
    """
    task = next(iter(calls.tasks(id=task_id)), None)
    if task is None:
        return said("The task {task} is not known any more.", task=task_id), ""
    if _state(task) not in ENDED:
        dead = [entry for entry in _before(calls, task) if _state(entry) in ENDED and entry["Spec"] == task["Spec"]]
        task = dead[-1] if dead else task
    if not task.get("NodeID"):  # and no log: a manager would wait for a node
        return said(
            "Task {task} has no node: {state}, {text}", task=task["ID"], state=_state(task), text=_ending(task)
        ), ""
    nodes = {str(node["ID"]): hostname(node) for node in calls.nodes()}
    ending = said(
        "Task {task} on {node}: {state}, {text}",
        task=task["ID"],
        node=nodes.get(str(task.get("NodeID")), "-"),
        state=_state(task),
        text=_ending(task),
    )
    try:
        return ending, read_task_log(calls, str(task["ID"]), lines=lines, since=0)
    except UnresponsiveNodeError:
        return ending, no_log(said("its node does not answer"))


def _before(calls: SwarmCalls, task: Json) -> list[Json]:
    """Return the tasks that were in the place of this one, the oldest first."""
    found = [
        entry
        for entry in calls.tasks(service=str(task["ServiceID"]))
        if _place(entry) == _place(task) and str(entry.get("CreatedAt")) < str(task.get("CreatedAt"))
    ]
    return sorted(found, key=lambda task: str(task.get("CreatedAt")))


def _state(task: Mapping[str, Any]) -> str:
    return str((task.get("Status") or {}).get("State") or "new")


def _ending(task: Mapping[str, Any]) -> str:
    status = task.get("Status") or {}
    return str(status.get("Err") or status.get("Message") or "")


def _place(task: Mapping[str, Any]) -> str:
    return str(task.get("Slot") or task.get("NodeID") or task["ID"])
