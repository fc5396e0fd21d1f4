"""See by two looks at a stack what ended between them by itself, and what Swarm did about it: pure logic."""

from collections.abc import Iterator
from datetime import datetime

from roas.engine.interface import ContainerEvent
from roas.engine.swarm.snapshots import read_moment, service_name
from roas.engine.swarm.stack_look import StackLook
from roas.engine.swarm.tasks import ENDED, SwarmTask, read_tasks
from roas.messages.message import said

WHY, NODE = "why", "node"
SHOWN = 3  # of what Swarm did, the latest


def new_endings(before: StackLook, now: StackLook, project: str, time_ns: int) -> Iterator[ContainerEvent]:
    """Yield an event for each task that has failed since; one that Swarm was told to stop has not.

    A node that is down says nothing any more of its tasks: those that Swarm gave up there count.
    """
    knew = {str(one["ID"]): one for one in before.tasks}
    for service in now.services:
        name = service_name(service["Spec"])
        for task in read_tasks(service, now.tasks, now.networks):
            known = knew.get(task.id)
            had_ended = known is not None and (known.get("Status") or {}).get("State") in ENDED
            node = now.hostnames.get(task.node_id, "")
            why = ""
            if not had_ended and task.state != "shutdown" and task.ended_badly:
                why = task.reason
            elif known is not None and known.get("DesiredState") == "running" and _is_given_up(task, now):
                why = said("its node is down")
            if why:
                facts = {"exitCode": _code(task), WHY: why, NODE: node}
                yield ContainerEvent("die", task.id, name, project, facts, time_ns)


def _is_given_up(task: SwarmTask, now: StackLook) -> bool:
    return not task.counts and task.state not in ENDED and task.node_id in now.lost


def _code(task: SwarmTask) -> str:
    if task.state == "complete":
        return "0"
    return "" if task.exit_code is None else str(task.exit_code)


def replacements(look: StackLook, service: str, since: datetime) -> tuple[str, ...]:
    """Say which tasks of a service Swarm has started since then, where, and for which that ended; the latest ones."""
    found: list[str] = []
    for one in look.services:
        if service_name(one["Spec"]) != service:
            continue
        latest: dict[str, SwarmTask] = {}
        for task in read_tasks(one, look.tasks, look.networks):
            before = latest.get(task.place)
            latest[task.place] = task
            created = read_moment(task.created)
            if before is not None and created is not None and created >= since:
                found.append(_replacement(service, before, task, look))
    return tuple(found[-SHOWN:])


def _replacement(service: str, before: SwarmTask, task: SwarmTask, look: StackLook) -> str:
    name = f"{service}.{task.place}" if task.place.isdigit() else service
    why = said("its node is down") if _is_given_up(before, look) else before.reason
    return said(
        "{task} ended on {old} ({why}); Swarm started another on {node}: {state}",
        task=name,
        old=look.hostnames.get(before.node_id, "-"),
        why=why,
        node=look.hostnames.get(task.node_id, "-"),
        state=task.state,
    )
