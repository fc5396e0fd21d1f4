"""Read what a service's tasks wrote: a task that Swarm started for another one goes on with that one's log."""

from collections.abc import Iterator, Mapping
from typing import Any

from docker.errors import APIError

from roas.engine.client import explanation
from roas.engine.swarm.calls import SwarmCalls
from roas.engine.swarm.stack_look import hostname
from roas.messages.message import said

Json = dict[str, Any]
EARLIER = 2  # how many tasks before it are shown, of those that Swarm remembers


def read_task_log(calls: SwarmCalls, task_id: str, *, lines: int, since: int) -> str:
    """Return the last lines of a task with their times; its node has to be up for that."""
    try:
        return calls.task_log(task_id, lines=lines, since=since)
    except APIError as error:
        return said("(its log cannot be read: {explanation})", explanation=explanation(error))


def read_place_log(calls: SwarmCalls, task_id: str, *, lines: int, since: int) -> str:
    """Return the last lines of a task, after those of the tasks that it is there instead of."""
    own = read_task_log(calls, task_id, lines=lines, since=since).rstrip("\n")
    nodes = {str(one["ID"]): hostname(one) for one in calls.nodes()}
    texts = []
    for task in _earlier(calls, task_id):
        text = read_task_log(calls, str(task["ID"]), lines=lines, since=since).rstrip("\n")
        status = task.get("Status") or {}
        ending = status.get("Err") or status.get("Message") or status.get("State") or ""
        if text:
            texts += [text, f"--- {nodes.get(str(task.get('NodeID')), '-')}: {ending}"]
    return "\n".join([*texts, own])


def _earlier(calls: SwarmCalls, task_id: str) -> Iterator[Json]:
    task = next(iter(calls.tasks(id=task_id)), None)
    if task is None:
        return
    before = [
        one
        for one in calls.tasks(service=str(task["ServiceID"]))
        if _place(one) == _place(task) and str(one.get("CreatedAt")) < str(task.get("CreatedAt"))
    ]
    yield from sorted(before, key=lambda one: str(one.get("CreatedAt")))[-EARLIER:]


def _place(task: Mapping[str, Any]) -> str:
    return str(task.get("Slot") or task.get("NodeID") or task["ID"])
