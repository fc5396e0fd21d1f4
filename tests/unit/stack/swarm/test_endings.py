"""What of a stack's tasks ended by itself, and what Swarm did: by two looks of a manager's."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from roas.stack.docker.labels import STACK
from roas.stack.swarm.tasks.tasks import StackReading
from roas.stack.swarm.tasks.watch import changes, replacements
from tests.unit.stack.swarm.writing.test_update_verdict import service, task

MADE = service()
SERVICE = {**MADE, "Spec": {**MADE["Spec"], "Labels": {**MADE["Spec"]["Labels"], STACK: "s"}}}
BEFORE = datetime(2025, 12, 31, tzinfo=UTC)


def look(*tasks: dict[str, Any], lost: str = "") -> StackReading:
    """Return a look at one service; each task is on the node of its number."""
    placed = tuple({**one, "NodeID": f"n{one['ID'][1:]}"} for one in tasks)
    names = {f"n{number}": f"node{number}" for number in range(1, 9)}
    return StackReading((SERVICE,), placed, {}, names, frozenset({lost} - {""}))


def events(before: StackReading, now: StackReading) -> list[tuple[str, str, str]]:
    found = changes(before, now, "s", 1)
    return [(item.action, item.container_id, item.attributes.get("why", "")) for item in found]


CRASHED = {"Err": "task: non-zero exit (1)", "ContainerStatus": {"ExitCode": 1}}
RUNS = look(task(1, "running"))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (RUNS, []),
        (
            look(task(1, "failed", "shutdown", **CRASHED), task(2, "running")),
            [("die", "t1", "task: non-zero exit (1)"), ("replace", "t1", ""), ("start", "t2", "")],
        ),
        # Somebody updates the service: Swarm stops the task, which ends by what it is told.
        (
            look(task(1, "shutdown", "shutdown", **CRASHED), task(2, "running", image="web:3")),
            [("replace", "t1", ""), ("start", "t2", "")],
        ),
        # Its node says nothing any more.
        (
            look(task(1, "running", "shutdown"), task(2, "starting"), lost="n1"),
            [("die", "t1", "its node is down"), ("replace", "t1", ""), ("start", "t2", "")],
        ),
        # A drain: the node is there, and its task is not done yet.
        (
            look(task(1, "running", "shutdown"), task(2, "preparing")),
            [("replace", "t1", ""), ("update", "t2", "")],
        ),
        (replace(RUNS, services=()), [("destroy", "t1", "")]),
    ],
)
def test_events_between_two_looks(now: StackReading, expected: list[tuple[str, str, str]]) -> None:
    assert events(RUNS, now) == expected


def test_an_end_is_told_once() -> None:
    failed = look(task(1, "failed", "shutdown", **CRASHED), task(2, "pending"))
    assert [event[0] for event in events(RUNS, failed)][:1] == ["die"]
    assert events(failed, failed) == []


def test_what_swarm_did_is_said() -> None:
    now = look(task(1, "failed", "shutdown", **CRASHED), task(2, "running"))
    expected = "web.1 ended on node1 (task: non-zero exit (1)); Swarm started another on node2: running"
    assert replacements(now, "web", BEFORE) == (expected,)
    assert replacements(now, "store", BEFORE) == ()
    assert replacements(now, "web", datetime(2027, 1, 1, tzinfo=UTC)) == (), "it was long ago"
