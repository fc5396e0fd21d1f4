"""Lose the leader's node in the middle of a deployment, and take the times of what follows, from outside."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import docker.errors
import requests.exceptions

from demo.swarm.stage import SwarmStage
from testbed.bot_service import BotTask
from testbed.leftovers import is_running
from testbed.swarm import SwarmNode, client_of
from testbed.waiting import wait_until

MOMENT_SECONDS = 60.0
NOTICED_SECONDS = 60.0
# The lease of a leader that is gone lapses in half of this.
LEADS_SECONDS = 90.0
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Loss:
    """Hold when a node was lost, when a manager knew of that, and when another bot led, by the monotonic clock."""

    lost: BotTask
    left: int
    died: float
    noticed: float | None
    led: float | None
    successor: BotTask | None


def lose_leader(stage: SwarmStage, moment: Callable[[], bool], announce: Callable[[BotTask], None]) -> Loss | None:
    """Kill all processes of the leader's node at a moment, and watch; None where the moment never came."""
    leader = stage.bots.leader()
    if leader is None or not wait_until(moment, MOMENT_SECONDS, POLL_SECONDS):
        return None
    processes = leader.node.processes()
    leader.node.stop(kill=True)
    died = time.monotonic()
    announce(leader)
    left = sum(map(is_running, processes))
    noticed, led, successor = _watch(stage, leader)
    return Loss(leader, left, died, noticed, led, successor)


def _watch(stage: SwarmStage, lost: BotTask) -> tuple[float | None, float | None, BotTask | None]:
    """Return when a living manager called the node down, when a bot on another node led, and which."""
    noticed: list[float] = []
    successors: list[BotTask] = []

    def is_over() -> bool:
        if not noticed and _is_down(stage, lost.node):
            noticed.append(time.monotonic())
        lease = stage.bots.lease()
        if lease is not None and lease.node is not lost.node:
            successors[:] = [task for task in stage.bots.tasks() if task.node is lease.node]
        return bool(noticed and successors)

    led = time.monotonic() if wait_until(is_over, LEADS_SECONDS, POLL_SECONDS) else None
    return noticed[0] if noticed else None, led, successors[0] if successors else None


def _is_down(stage: SwarmStage, node: SwarmNode) -> bool:
    alive = next(other for other in stage.swarm.nodes if other.pid is not None)
    with suppress(docker.errors.APIError, requests.exceptions.RequestException), client_of(alive) as client:
        states = {item.attrs["Description"]["Hostname"]: item.attrs["Status"]["State"] for item in client.nodes.list()}
        return states.get(node.hostname) == "down"
    return False
