"""What became of a write, by what a manager shows; rows that a real Swarm shows for a moment only."""

from typing import Any

import pytest

from roas.stack.swarm.normal_form import NONCE, spec_hash
from roas.stack.swarm.writing.update_verdict import (
    PLACING_SECONDS,
    TAKING_SECONDS,
    UpdateJudgement,
    UpdateVerdict,
    Written,
    failure_hint,
    judge_update,
)


def test_hint_blames_no_release_for_what_others_did() -> None:
    """Only where the release failed there are last lines of it to read."""
    others = (UpdateVerdict.OVERWRITTEN, UpdateVerdict.REMOVED)
    hints = {failure_hint(UpdateJudgement(item), "web") for item in others}
    assert hints == {"Find out who did that, a person or a program, then deploy again."}
    assert "the last lines of web" in failure_hint(UpdateJudgement(UpdateVerdict.ROLLED_BACK, task_id="t2"), "web")
    assert "docker service rollback" in failure_hint(UpdateJudgement(UpdateVerdict.ROLLED_BACK), "web")
    assert "what keeps nodes from it" in failure_hint(UpdateJudgement(UpdateVerdict.NEVER_STARTED, task_id="t1"), "web")


TASK = {"ContainerSpec": {"Image": "web:2"}}


def spec(nonce: str, image: str = "web:2", replicas: int = 1) -> dict[str, Any]:
    task = {"ContainerSpec": {"Image": image}}
    mode = {"Replicated": {"Replicas": replicas}}
    return {"Name": "s_web", "Labels": {NONCE: nonce}, "TaskTemplate": task, "Mode": mode}


def service(nonce: str = "new", state: str = "", *, image: str = "web:2", before: str = "old") -> dict[str, Any]:
    found: dict[str, Any] = {"ID": "s1", "Spec": spec(nonce, image), "PreviousSpec": spec(before, "web:1")}
    return found | ({"UpdateStatus": {"State": state, "Message": state}} if state else {})


def task(number: int, state: str, desired: str = "running", image: str = "web:2", **status: Any) -> dict[str, Any]:
    return {
        "ID": f"t{number}",
        "ServiceID": "s1",
        "Slot": 1,
        "Spec": {"ContainerSpec": {"Image": image}},
        "CreatedAt": f"2026-01-01T00:00:{number:02d}Z",
        "DesiredState": desired,
        "Status": {"State": state, **status},
    }


OLD = task(1, "running", image="web:1")
GONE = task(1, "shutdown", "shutdown", image="web:1")
CRASHED = {"Err": "task: non-zero exit (1)", "ContainerStatus": {"ExitCode": 1}}


@pytest.mark.parametrize(
    ("there", "tasks", "seconds", "expected"),
    [
        (service(), [OLD], 0, UpdateVerdict.UNDER_WAY),
        (service(state="updating"), [GONE, task(2, "starting")], 5, UpdateVerdict.UNDER_WAY),
        (service(state="updating"), [GONE, task(2, "running")], 5, UpdateVerdict.UNDER_WAY),
        (service(state="completed"), [GONE, task(2, "running")], 5, UpdateVerdict.DONE),
        (service(state="completed"), [OLD, task(2, "running")], 5, UpdateVerdict.UNDER_WAY),
        (service(state="paused"), [GONE, task(2, "failed", "shutdown", **CRASHED)], 5, UpdateVerdict.PAUSED),
        (service(state="updating"), [GONE, task(2, "pending")], PLACING_SECONDS + 1, UpdateVerdict.NEVER_STARTED),
        (service(state="updating"), [GONE, task(2, "assigned")], TAKING_SECONDS - 1, UpdateVerdict.UNDER_WAY),
        (service(state="updating"), [GONE, task(2, "assigned")], TAKING_SECONDS + 1, UpdateVerdict.NEVER_STARTED),
        (service("old", "rollback_started", image="web:1"), [GONE], 5, UpdateVerdict.UNDER_WAY),
        (
            service("old", "rollback_completed", image="web:1"),
            [task(3, "preparing", image="web:1")],
            5,
            UpdateVerdict.UNDER_WAY,
        ),
        (
            service("old", "rollback_completed", image="web:1"),
            [task(3, "running", image="web:1")],
            5,
            UpdateVerdict.ROLLED_BACK,
        ),
        (service("old", "rollback_paused", image="web:1"), [GONE], 5, UpdateVerdict.ROLLBACK_PAUSED),
        (service("old", "completed", image="web:1"), [OLD], 5, UpdateVerdict.OVERWRITTEN),
        (service("new", "rollback_started", before="new"), [task(2, "running")], 5, UpdateVerdict.UNDER_WAY),
        (service("new", "rollback_completed", before="new"), [task(2, "starting")], 5, UpdateVerdict.UNDER_WAY),
        (service("new", "rollback_completed", before="new"), [GONE, task(2, "running")], 5, UpdateVerdict.DONE),
        (service("new", "rollback_paused", before="new"), [GONE], 5, UpdateVerdict.PAUSED),
        (service("hand", "rollback_completed", image="web:1"), [OLD], 5, UpdateVerdict.OVERWRITTEN),
        (service("new", "completed", image="web:9"), [task(2, "running", image="web:9")], 5, UpdateVerdict.OVERWRITTEN),
        (None, [], 5, UpdateVerdict.REMOVED),
        ({**service(), "ID": "s2"}, [], 5, UpdateVerdict.REMOVED),
    ],
)
def test_each_row_ends_as_what_it_is(
    there: dict[str, Any] | None, tasks: list[dict[str, Any]], seconds: float, expected: UpdateVerdict
) -> None:
    """A success is only what is certain."""
    there_before = frozenset({"t1"})
    written = Written("s1", "new", spec_hash(spec("new"), {}), nonce_before="old", tasks_before=there_before)
    assert judge_update(written, there, tuple(tasks), {}, seconds=seconds).verdict is expected


def test_tasks_of_an_earlier_release_say_nothing_of_this_write() -> None:
    """Going back to a release: its tasks of that time have ended, or have failed, and are of the same spec."""
    ended = [task(number, "failed", "shutdown", **CRASHED) for number in range(1, 5)]
    ended.append(task(5, "shutdown", "shutdown"))
    running = task(6, "running", image="web:3")
    before = frozenset(item["ID"] for item in (*ended, running))
    written = Written("s1", "new", spec_hash(spec("new"), {}), nonce_before="old", tasks_before=before)
    for tasks in ([*ended, running], [*ended, {**running, "DesiredState": "shutdown"}], [*ended, task(7, "starting")]):
        assert judge_update(written, service(), tuple(tasks), {}, seconds=1).verdict is UpdateVerdict.UNDER_WAY
    assert judge_update(written, service(), (*ended, task(7, "running")), {}, seconds=1).verdict is UpdateVerdict.DONE


def test_new_service_that_fails_again_and_again_has_failed() -> None:
    """Two failures are borne with, as on one machine."""
    written = Written("s1", "new", spec_hash(spec("new"), {}))
    failed = [task(number, "failed", "shutdown", **CRASHED) for number in range(1, 4)]
    twice = judge_update(written, service(), (*failed[:2], task(9, "ready")), {}, seconds=1)
    assert twice.verdict is UpdateVerdict.UNDER_WAY
    thrice = judge_update(written, service(), (*failed, task(9, "ready")), {}, seconds=1)
    assert (thrice.verdict, thrice.reason, thrice.task_id) == (UpdateVerdict.FAILED, CRASHED["Err"], "t3")


def judged(there: dict[str, Any], *tasks: dict[str, Any], waits: dict[str, float] | None = None) -> UpdateJudgement:
    written = Written("s1", "new", spec_hash(spec("new"), {}), nonce_before="old", tasks_before=frozenset({"t1"}))
    return judge_update(written, there, tasks, {}, seconds=1000, waits=waits)


def test_task_that_waits_for_a_moment_has_its_own_time() -> None:
    """Of many replicas, the last is given to a node long after the write."""
    there, pending = service(state="updating"), task(2, "pending")
    assert judged(there, GONE, pending, waits={"t2": 1.0}).verdict is UpdateVerdict.UNDER_WAY
    assert judged(there, GONE, pending, waits={"t2": PLACING_SECONDS + 1}).verdict is UpdateVerdict.NEVER_STARTED


LOST = task(2, "assigned", "shutdown")
ANOTHER = {"Slot": 2}


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ([GONE, LOST], UpdateVerdict.NEVER_STARTED),
        ([LOST, task(3, "running"), OLD | ANOTHER], UpdateVerdict.NEVER_STARTED),
        ([GONE, task(2, "running")], UpdateVerdict.DONE),
        ([GONE, task(2, "preparing")], None),
    ],
    ids=["its node was lost", "another one took its place", "all run", "goes on"],
)
def test_update_that_swarm_never_ends_is_seen(new: list[dict[str, Any]], expected: UpdateVerdict | None) -> None:
    """Its updater waits for ever for a task that was given to a node which died then."""
    found = judged(service(state="updating"), *new, waits={})
    assert found.verdict is UpdateVerdict.UNDER_WAY
    assert (found.stalled and found.stalled.verdict) == expected
    assert (found.stalled is not None and found.stalled.is_open) is (expected is UpdateVerdict.DONE), "it may go back"


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([task(3, "running", image="web:1")], UpdateVerdict.ROLLED_BACK),
        ([task(3, "assigned", "shutdown", image="web:1")], UpdateVerdict.ROLLBACK_PAUSED),
        ([task(3, "starting", image="web:1")], None),
    ],
    ids=["all run", "its node was lost", "goes on"],
)
def test_rollback_that_swarm_never_ends_is_seen(tasks: list[dict[str, Any]], expected: UpdateVerdict | None) -> None:
    """It waits for a task of a lost node as an update does."""
    found = judged(service("old", "rollback_started", image="web:1"), *tasks, waits={})
    assert found.verdict is UpdateVerdict.UNDER_WAY
    assert (found.stalled and found.stalled.verdict) == expected


def test_rollback_without_a_failed_task_blames_no_task() -> None:
    """`docker service rollback` by a person, or a node that was drained, has no task's error to show."""
    written = Written("s1", "new", spec_hash(spec("new"), {}), nonce_before="old", tasks_before=frozenset({"t1"}))
    back = service("old", "rollback_completed", image="web:1", before="new")
    stopped, again = task(2, "shutdown", "shutdown"), task(3, "running", image="web:1")
    judged = judge_update(written, back, (GONE, stopped, again), {}, seconds=9)
    assert judged.verdict is UpdateVerdict.ROLLED_BACK
    assert judged.task_id is None
    assert "none of its tasks is known to have failed" in judged.reason
    crashed = task(2, "failed", "shutdown", **CRASHED)
    assert "non-zero exit (1)" in judge_update(written, back, (GONE, crashed, again), {}, seconds=9).reason


OLD_NETWORK = "invalid endpoint settings:\nno configured subnet or ip-range contain the IP address 10.0.4.20"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OLD_NETWORK, "under_way"),
        ("No such image: web:2", "failed"),
    ],
)
def test_task_that_came_before_its_new_network_is_no_failure(error: str, expected: str) -> None:
    """A node may know the removed network of that name for some seconds; Swarm tries again meanwhile."""
    tasks = (*(task(number, "rejected", "shutdown", Err=error) for number in (2, 3, 4)), task(5, "ready"))
    written = Written("s1", "new", spec_hash(spec("new"), {}))
    assert judge_update(written, service(), tasks, {}, seconds=3).verdict == expected


@pytest.mark.parametrize(("seconds", "expected"), [(3, "under_way"), (PLACING_SECONDS + 1, "failed")])
@pytest.mark.parametrize("later", [[], [("ready", "running")]])
def test_job_that_came_too_early_is_not_waited_for_forever(
    seconds: float, expected: str, later: list[tuple[str, str]]
) -> None:
    """With `restart_policy: {condition: none}` it does not."""
    job = {**spec("new"), "Mode": {"ReplicatedJob": {"TotalCompletions": 1}}}
    there = {"ID": "s1", "Spec": job, "JobStatus": {"JobIteration": {"Index": 0}}}
    states = [("rejected", "shutdown"), ("rejected", "shutdown"), ("rejected", "shutdown"), *later]
    tasks = tuple(
        {**task(number, state, desired, Err=OLD_NETWORK), "JobIteration": {"Index": 0}}
        for number, (state, desired) in enumerate(states, 2)
    )
    written = Written("s1", "new", spec_hash(job, {}))
    judged = judge_update(written, there, tasks, {}, seconds=seconds)
    assert judged.verdict == ("under_way" if later else expected)
