"""Who is lost, and how: nodes of the Swarm are killed or frozen, and come back; or both bots are updated."""

import random
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

import docker.errors
import requests.exceptions

from testbed.bot_service import BotTask
from testbed.swarm import SwarmNode, client_of
from testbed.waiting import wait_until
from tools.campaigns.standby.ground import Ground

QUORUM_AWAY_SECONDS = 20.0
FROZEN_SECONDS = (60.0, 120.0)
NOTICED_SECONDS = 60.0
UPDATED_SECONDS = 180.0


class Who(StrEnum):
    """Whose node is lost; of two nodes, the leader's and one more, or the two others."""

    TASK = "task"
    LEADER = "leader"
    RAFT = "raft leader"
    STANDBY = "standby"
    MOST = "leader and one more"
    OTHERS = "all but the leader"
    BOTS = "bots"


class How(StrEnum):
    """What happens to all processes of a node; or to the bot's service, which gets another image, start-first."""

    KILLED = "killed"
    FROZEN = "frozen"
    UPDATED = "updated"


@dataclass
class Loss:
    """Lose nodes once, when told to, and bring them back; times are by the monotonic clock."""

    ground: Ground
    who: Who
    how: How
    leader: BotTask
    standby: BotTask
    seed: int
    nodes: list[SwarmNode] = field(default_factory=list)
    began: float = 0.0
    noticed: float | None = None
    is_over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def lost_leader(self) -> bool:
        """Return whether the bot that led is lost."""
        return self.leader.node in self.nodes

    @property
    def is_of_most(self) -> bool:
        """Return whether the managers that are left are no quorum."""
        return len(self.nodes) > 1

    def begin(self) -> None:
        """Kill or freeze the nodes, and return; what is frozen, or leaves no quorum, comes back by itself."""
        self.nodes = self._chosen()
        for node in self.nodes:
            if self.how is How.FROZEN:
                node.freeze()
            else:
                node.stop(kill=True)
        if self.how is How.UPDATED:
            self.ground.update_bots()
        self.began = time.monotonic()
        away = QUORUM_AWAY_SECONDS if self.is_of_most else random.Random(self.seed).choice(FROZEN_SECONDS)  # noqa: S311
        if self.is_of_most or self.how is How.FROZEN:
            self._start(lambda: self._return_after(away))
        if len(self.nodes) == 1:
            self._start(self._watch)

    def end(self) -> None:
        """Bring back what is away, or wait until it is back, and until the Swarm has three nodes that are ready."""
        for thread in self._threads:
            thread.join()
        self._bring_back()
        swarm = self.ground.swarm
        if self.how is How.UPDATED and not wait_until(self.ground.are_bots_updated, UPDATED_SECONDS, 0.5):
            raise RuntimeError("the bots are not updated")
        swarm.wait_until_ready(len(swarm.nodes), asked=next(node for node in swarm.nodes if node.answers(5)))

    def _chosen(self) -> list[SwarmNode]:
        nodes, leader, standby = self.ground.swarm.nodes, self.leader.node, self.standby.node
        third = next(node for node in nodes if node not in {leader, standby})
        match self.who:
            case Who.TASK:
                return [third]
            case Who.LEADER:
                return [leader]
            case Who.STANDBY:
                return [standby]
            case Who.RAFT:
                return [_raft_leader(nodes)]
            case Who.MOST:
                return [leader, random.Random(self.seed).choice([standby, third])]  # noqa: S311
            case Who.OTHERS:
                return [standby, third]
            case Who.BOTS:
                return []

    def _return_after(self, seconds: float) -> None:
        self.is_over.wait(seconds)  # for how long they are away, no wait for anything
        self._bring_back()

    def _bring_back(self) -> None:
        self.is_over.set()
        for node in self.nodes:
            if self.how is How.FROZEN:
                node.thaw()
            elif node.pid is None:
                node.start()

    def _watch(self) -> None:
        """Note when a manager calls the node down."""
        (lost,) = self.nodes

        def is_down() -> bool:
            if self.is_over.is_set():
                return True
            if state_of(lost, [node for node in self.ground.swarm.nodes if node is not lost]) == "down":
                self.noticed = time.monotonic()
            return self.noticed is not None

        wait_until(is_down, NOTICED_SECONDS, 0.2)

    def _start(self, work: object) -> None:
        thread = threading.Thread(target=work, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()


def state_of(node: SwarmNode, asked: Sequence[SwarmNode]) -> str:
    """Return what a manager says of a node; empty where none says anything."""
    for manager in asked:
        with suppress(docker.errors.APIError, requests.exceptions.RequestException):
            if manager.answers(1):
                with client_of(manager) as client:
                    found = {item.attrs["Description"].get("Hostname"): item.attrs for item in client.nodes.list()}
                return str(found[node.hostname]["Status"]["State"])
    return ""


def _raft_leader(nodes: Sequence[SwarmNode]) -> SwarmNode:
    with client_of(next(node for node in nodes if node.answers(5))) as client:
        leads = next(
            item.attrs["Description"]["Hostname"]
            for item in client.nodes.list()
            if (item.attrs.get("ManagerStatus") or {}).get("Leader")
        )
    return next(node for node in nodes if node.hostname == leads)
