"""Which write of a dead bot is followed, and which is made again."""

from typing import Any

import pytest

from roas.stack.swarm.normal_form import NONCE, spec_hash
from roas.stack.swarm.writing.service_writes import previous_write
from tests.unit.stack.swarm.writing.test_update_verdict import GONE, OLD, service, spec, task

UPDATED = "2026-01-01T00:00:05Z"


def updated(state: str, **more: Any) -> dict[str, Any]:
    found = service(**more, state=state) | {"UpdatedAt": "2026-01-01T00:00:30Z"}
    if state:
        found["UpdateStatus"]["StartedAt"] = UPDATED
    return found


@pytest.mark.parametrize(
    ("there", "followed"),
    [
        (updated("updating"), "new"),
        (updated("completed"), "new"),
        (updated(""), "new"),
        (updated("paused"), None),
        (updated("rollback_completed"), None),
        (updated("updating", image="web:9"), None),
        (updated("updating", nonce=""), None),
    ],
    ids=["updating", "completed", "not begun", "paused", "rolled back", "another spec", "somebody else's"],
)
def test_update_that_goes_on_is_followed(there: dict[str, Any], followed: str | None) -> None:
    """A paused one goes on by another write only; tasks that were there before the write say nothing of it."""
    found = previous_write(there, [GONE, task(6, "starting")], spec("wanted"), {})
    assert (found and found.nonce) == followed
    if found is not None and there.get("UpdateStatus"):
        assert (found.nonce_before, found.tasks_before) == ("old", {"t1"})


def test_rollback_that_goes_on_is_followed() -> None:
    """The spec that Swarm takes back is ours; what it brings back is what was before."""
    there = updated("rollback_started", nonce="old", image="web:1") | {"PreviousSpec": spec("d1-new")}
    found = previous_write(there, [OLD], spec("wanted"), {}, "d1")
    assert found is not None
    assert (found.nonce, found.nonce_before, found.spec_hash) == ("d1-new", "old", spec_hash(spec("new"), {}))


def test_rollback_by_hand_of_what_another_deployment_wrote_is_not_followed() -> None:
    """Nothing was written yet: it would fail by what somebody did before it began."""
    there = updated("rollback_started", nonce="old", image="web:1") | {"PreviousSpec": spec("d1-new")}
    assert previous_write(there, [OLD], spec("wanted"), {}, "d2") is None


@pytest.mark.parametrize(
    ("state", "mark", "followed"),
    [
        ("running", "d1-new", True),
        ("complete", "d2-new", True),
        ("failed", "d1-new", True),
        ("failed", "d2-new", False),
        ("failed", "new", False),
    ],
)
def test_job_is_run_once(state: str, mark: str, followed: bool) -> None:
    """One that runs or has ended well is not run again; nor is one that failed for this very deployment."""
    wanted = {**spec("wanted"), "Mode": {"ReplicatedJob": {"TotalCompletions": 1}}}
    there = {
        "ID": "s1",
        "Spec": {**wanted, "Labels": {NONCE: mark}},
        "JobStatus": {"JobIteration": {"Index": 3}},
    }
    run = task(2, state, "complete") | {"JobIteration": {"Index": 3}}
    earlier = task(1, "failed", "complete") | {"JobIteration": {"Index": 2}}
    assert (previous_write(there, [earlier, run], wanted, {}, "d1") is not None) is followed
    once_more = task(3, "complete", "complete") | {"JobIteration": {"Index": 3}}
    assert previous_write(there, [earlier, run, once_more], wanted, {}, "d1") is not None, "it has ended well"
