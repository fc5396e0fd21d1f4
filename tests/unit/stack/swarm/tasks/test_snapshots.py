"""Which tasks count as a service's containers."""

from typing import Any

from roas.health.verdicts import assumed_definition, judge_service
from roas.stack.docker.labels import STACK
from roas.stack.swarm.tasks.tasks import StackReading, task_snapshots

SPEC: dict[str, Any] = {"ContainerSpec": {"Image": "web:1"}}


def task(slot: int, number: int, state: str = "running", desired: str = "running") -> dict[str, Any]:
    return {
        "ID": f"t{number}",
        "ServiceID": "s1",
        "Slot": slot,
        "Spec": SPEC,
        "CreatedAt": f"2026-01-01T00:00:{number:02d}Z",
        "DesiredState": desired,
        "Status": {"State": state},
    }


def shown(replicas: int, *tasks: dict[str, Any]) -> set[str]:
    return shown_of({"Replicated": {"Replicas": replicas}}, *tasks)


def shown_of(mode: dict[str, Any], *tasks: dict[str, Any]) -> set[str]:
    service = {"ID": "s1", "Spec": {"Name": "s_web", "Labels": {STACK: "s"}, "TaskTemplate": SPEC, "Mode": mode}}
    return {task_snapshot.id for task_snapshot in task_snapshots(StackReading((service,), tasks, {}, {}, frozenset()))}


def test_place_that_swarm_gave_up_is_no_container() -> None:
    """Of three replicas two are left, in the places 2 and 3: what ran in the first one stays in the history."""
    drained, removed = task(1, 1, "shutdown", "shutdown"), task(1, 2, "running", "remove")
    left = task(2, 3), task(3, 4)
    assert shown(2, drained, *left) == {"t3", "t4"}
    assert shown(2, drained, removed, *left) == {"t3", "t4"}, "nor while it is on its way out"
    assert shown(0, drained) == set()


def test_place_that_nothing_took_over_is_shown() -> None:
    """A task that failed, and that Swarm does not start again, is why one is missing."""
    assert shown(2, task(1, 1, "failed", "shutdown"), task(2, 2)) == {"t1", "t2"}


def test_run_of_a_job_that_died_with_its_node_is_past_when_another_has_ended_well() -> None:
    """Swarm gives the next one a place of its own; until that has ended, both are shown."""
    mode = {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}
    run = {"JobIteration": {"Index": 2}}
    lost = task(1, 1, "orphaned", "remove") | run
    assert shown_of(mode, lost, task(2, 2) | run) == {"t1", "t2"}
    assert shown_of(mode, lost, task(2, 2, "complete", "complete") | run) == {"t2"}


def test_job_that_swarm_runs_again_and_again_is_done() -> None:
    """Managers that led before start it, too, each in the same slot, and then once more (moby/moby#53632)."""
    mode = {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}
    service = {"ID": "s1", "Spec": {"Name": "s_web", "Labels": {STACK: "s"}, "TaskTemplate": SPEC, "Mode": mode}}
    runs = [("complete", 1), ("complete", 2), ("failed", 1), ("complete", 1), ("running", 2)]
    tasks = tuple(
        task(0, number, state, "complete") | {"JobIteration": {"Index": 2}, "NodeID": f"n{node}"}
        for number, (state, node) in enumerate(runs, 1)
    )
    (found,) = task_snapshots(StackReading((service,), tasks, {}, {}, frozenset()))
    assert (found.id, found.exit_code, found.surplus_runs) == ("t1", 0, 2)


def test_task_that_its_node_rejects_is_said_to_be_with_the_reason() -> None:
    """It has no exit code, although Swarm shows 0; and the next one in its place waits for the same."""
    service = {"ID": "s1", "Spec": {"Name": "s_web", "Labels": {STACK: "s"}, "TaskTemplate": SPEC, "Mode": {}}}
    rejected = {"State": "rejected", "Err": "No such image: web:1", "ContainerStatus": {"ExitCode": 0}}
    gone = task(1, 2, "rejected", "shutdown") | {"Status": rejected}
    ready = task(1, 3, "ready", "ready") | {"Status": {"State": "ready", "Message": "preparing"}}
    unplaced = task(1, 3, "pending") | {"Status": {"State": "pending", "Err": "no suitable node"}}
    for tasks, expected in (
        ((gone,), "has ended: No such image: web:1"),
        ((gone, ready), "does not run yet: No such image: web:1"),
        ((task(1, 1, "shutdown", "shutdown"), ready), "does not run yet: preparing"),
        ((gone, unplaced), "does not run yet: no suitable node"),
    ):
        found = task_snapshots(StackReading((service,), tasks, {}, {}, frozenset()))
        assert str(judge_service(assumed_definition("web", found), found).reason) == expected


def test_node_that_is_down_keeps_what_it_had() -> None:
    """Swarm started another elsewhere; nobody has stopped the container there."""
    service = {"ID": "s1", "Spec": {"Name": "s_web", "Labels": {STACK: "s"}, "TaskTemplate": SPEC, "Mode": {}}}
    given_up = task(1, 1, "running", "shutdown") | {"NodeID": "n2"}
    tasks = (given_up, task(1, 2) | {"NodeID": "n1"})
    for lost, left_on, left_as in ((frozenset({"n2"}), ("node2",), ("web:1",)), (frozenset(), (), ())):
        [shown] = task_snapshots(StackReading((service,), tasks, {}, {"n1": "node1", "n2": "node2"}, lost))
        assert (shown.id, shown.left_on, shown.left_as) == ("t2", left_on, left_as)
