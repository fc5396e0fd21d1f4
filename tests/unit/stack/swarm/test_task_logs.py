"""How a task ended is said with its node and its last lines, where it had either."""

from typing import Any

from roas.stack.swarm.task_logs import read_ending


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
