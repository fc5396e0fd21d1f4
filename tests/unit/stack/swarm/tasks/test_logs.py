"""How a task ended is said with its node and its last lines, where it had either; a node that is silent is named."""

from types import SimpleNamespace
from typing import Any

import pytest
import requests.exceptions

from roas.stack.swarm.calls import SwarmCalls, UnresponsiveNodeError
from roas.stack.swarm.tasks.logs import read_ending, read_place_log


class Manager:
    def tasks(self, **_filters: str) -> list[dict[str, Any]]:
        status = {"State": "rejected", "Err": "no suitable node (insufficient resources on 3 nodes)"}
        return [{"ID": "t1", "ServiceID": "s1", "Status": status}]

    def nodes(self) -> list[dict[str, Any]]:
        return []

    def task_log(self, _task_id: str, **_options: int) -> str:
        raise AssertionError("a manager waits for a node, then says that it has none")


def test_task_without_a_node_has_no_log() -> None:
    ending, log = read_ending(Manager(), "t1", lines=30)  # type: ignore[arg-type]
    assert ending == "Task t1 has no node: rejected, no suitable node (insufficient resources on 3 nodes)"
    assert log == ""


class Tasks:
    """Have three tasks in one place, the first of which ran on another node; the node of the others hangs."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def tasks(self, **_filters: str) -> list[dict[str, Any]]:
        status = {"State": "running", "Message": "started"}
        own = {"ServiceID": "s1", "Slot": 1, "Spec": {}, "Status": status}
        nodes = {"t3": "n2", "t2": "n2", "t1": "n1"}
        return [{**own, "ID": item, "NodeID": node, "CreatedAt": item} for item, node in nodes.items()]

    def nodes(self) -> list[dict[str, Any]]:
        return [{"ID": f"n{number}", "Description": {"Hostname": f"node{number}"}} for number in (1, 2)]

    def task_log(self, task_id: str, **_options: int) -> str:
        self.asked.append(task_id)
        if task_id != "t1":
            raise UnresponsiveNodeError
        return "2026 hello\n"


def test_node_that_hangs_is_asked_once_and_named() -> None:
    manager = Tasks()
    told = read_place_log(manager, "t3", lines=30, since=0)  # type: ignore[arg-type]
    silent = "(its log cannot be read: node node2 does not answer)"
    assert told == f"2026 hello\n--- node1: started\n{silent}\n--- node2: started\n{silent}"
    assert manager.asked == ["t3", "t1"]
    _ending, log = read_ending(manager, "t3", lines=30)  # type: ignore[arg-type]
    assert log == "(its log cannot be read: its node does not answer)"


class Api(SimpleNamespace):
    """Answer each question in one way, as the SDK's client does."""

    base_url, api_version = "http+docker://localhost", "1.45"

    def get(self, _url: str, **_options: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return SimpleNamespace(content=self.answer)

    def _raise_for_status(self, _answer: Any) -> None:
        pass


def frame(kind: int, text: str) -> bytes:
    return bytes([kind, 0, 0, 0]) + len(text).to_bytes(4, "big") + text.encode()


def test_what_the_manager_says_in_a_log_is_no_line_of_the_task() -> None:
    words = (
        "Error grabbing logs: rpc error: some logs could not be retrieved for the following reasons: node n2 is away"
    )
    calls = SwarmCalls(Api(answer=frame(1, "2026 hello\n") + frame(3, words)))  # type: ignore[arg-type]
    assert calls.task_log("t1", lines=9) == "2026 hello\n(its log cannot be read: node n2 is away)\n"


def test_manager_that_is_away_is_not_taken_for_a_silent_node() -> None:
    refused = requests.exceptions.ConnectionError("Connection refused")
    with pytest.raises(requests.exceptions.ConnectionError):
        SwarmCalls(Api(answer=refused)).task_log("t1", lines=9)  # type: ignore[arg-type]
    hangs = requests.exceptions.ConnectionError("Read timed out.")
    with pytest.raises(UnresponsiveNodeError):
        SwarmCalls(Api(answer=hangs)).task_log("t1", lines=9)  # type: ignore[arg-type]
