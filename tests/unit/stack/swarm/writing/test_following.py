"""How long something takes is what could be seen of it: the time without a leader is none of it."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from roas.concurrency import run_uninterrupted
from roas.errors import NoQuorumError
from roas.limits import LOST_NODE_SECONDS
from roas.stack.swarm.normal_form import spec_hash
from roas.stack.swarm.tasks.tasks import StackReading
from roas.stack.swarm.writing import following
from roas.stack.swarm.writing.following import STALLED_SECONDS, follow_until_ended, follow_update
from roas.stack.swarm.writing.update_verdict import PLACING_SECONDS, UpdateVerdict, Written, failure_hint
from tests.unit.stack.swarm.writing.test_update_verdict import CRASHED, GONE, service, spec, task

PENDING = StackReading((service(state="updating"),), (GONE, task(2, "pending")), {})
# The new task is given up, and what Swarm started in its place is not what it waits for.
WAITING = StackReading(
    (service(state="updating"),), (task(2, "accepted", "shutdown"), task(3, "running", image="web:1")), {}
)
DONE = StackReading((service(state="completed"),), (GONE, task(2, "running")), {})
PAUSED = StackReading((service(state="paused"),), (GONE, task(2, "failed", "shutdown", **CRASHED)), {})
PAUSED_SOON = StackReading(PAUSED.services, (GONE, task(2, "running")), {})
# All of the new tasks run, and Swarm waits for one that was given to a node which hangs.
OPEN = StackReading((service(state="updating"),), (GONE, task(2, "running")), {})
AWAY = None
JOB_SPEC = {**spec("new"), "Mode": {"ReplicatedJob": {"TotalCompletions": 1}}}
ON_NODE = {**task(2, "assigned", "complete"), "JobIteration": {"Index": 0}, "NodeID": "n2"}
JOB = StackReading(({"ID": "s1", "Spec": JOB_SPEC},), (ON_NODE,), {})
ENDED = StackReading(JOB.services, ({**ON_NODE, "Status": {"State": "complete"}},), {})
DOWN, BACK = "down", "back"  # so its node is from now on
STEP = PLACING_SECONDS - 1
WAIT = STALLED_SECONDS - 1


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "FOLLOW_SECONDS", 0)


class Looks:
    """Show one look after the other, each so many seconds after the one before."""

    def __init__(self, shown: list[tuple[float, Any]], clock: SimpleNamespace) -> None:
        self.shown: Iterator[tuple[float, Any]] = iter(shown)
        self.clock = clock
        self.lost: frozenset[str] = frozenset()

    async def next(self) -> StackReading:
        seconds, look = next(self.shown)
        self.clock.now += seconds
        if look is DOWN or look is BACK:
            self.lost, look = frozenset({"n2"} if look is DOWN else ()), JOB
        if look is None:
            raise NoQuorumError("The Swarm has no leader.")
        return replace(look, lost=self.lost, hostnames={"n2": "node2"})


@pytest.mark.parametrize(
    ("shown", "verdict"),
    [
        ([(0, PENDING), (STEP, PENDING), (2, PENDING)], UpdateVerdict.NEVER_STARTED),
        ([(0, PENDING), (STEP, PENDING), (2, AWAY), (40, AWAY), (2, PENDING), (STEP, PENDING), (1, DONE)], "done"),
        ([(0, PENDING), (STEP, AWAY), (9, PENDING), (STEP, PENDING), (2, PENDING)], UpdateVerdict.NEVER_STARTED),
        ([(0, WAITING), (WAIT, WAITING), (2, WAITING)], UpdateVerdict.NEVER_STARTED),
        ([(0, WAITING), (WAIT, WAITING), (2, AWAY), (40, AWAY), (2, WAITING), (WAIT, WAITING), (1, DONE)], "done"),
    ],
)
async def test_time_without_a_leader_counts_for_nothing(
    monkeypatch: pytest.MonkeyPatch, shown: list[tuple[float, Any]], verdict: str
) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(following.time, "monotonic", lambda: clock.now)
    written = Written("s1", "new", spec_hash(spec("new"), {}), nonce_before="old", tasks_before=frozenset({"t1"}))
    judged = await follow_update(Looks(shown, clock).next, written)
    assert judged.verdict == verdict, judged


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ([PAUSED_SOON, PAUSED], "non-zero exit (1)"),
        ([PAUSED_SOON, PAUSED_SOON], "paused"),  # Swarm keeps few tasks: what failed may be gone
    ],
)
async def test_task_that_failed_is_named_though_a_look_came_between(shown: list[StackReading], reason: str) -> None:
    """The tasks are read first: the service may be paused by one that still ran then."""
    written = Written("s1", "new", spec_hash(spec("new"), {}), nonce_before="old", tasks_before=frozenset({"t1"}))
    looks = Looks([(1, look) for look in shown], SimpleNamespace(now=100.0))
    judged = await follow_update(looks.next, written)
    assert judged.verdict is UpdateVerdict.PAUSED
    assert reason in judged.reason


@pytest.mark.parametrize(
    ("shown", "verdict"),
    [
        ([(0, JOB), (5, DOWN), (5, JOB), (LOST_NODE_SECONDS, JOB)], UpdateVerdict.LOST),
        (
            [(0, JOB), (5, DOWN), (5, BACK), (LOST_NODE_SECONDS, DOWN), (LOST_NODE_SECONDS, JOB), (1, ENDED)],
            UpdateVerdict.DONE,
        ),
        (
            [(0, JOB), (5, DOWN), (5, AWAY), (LOST_NODE_SECONDS, JOB), (5, JOB), (5, JOB), (5, ENDED)],
            UpdateVerdict.DONE,
        ),
    ],
)
async def test_job_on_a_node_that_is_lost_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, shown: list[tuple[float, Any]], verdict: str
) -> None:
    """Swarm moves no job, whatever state its task was in: it would be waited for until the phase's limit."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(following.time, "monotonic", lambda: clock.now)
    written = Written("s1", "new", spec_hash(JOB_SPEC, {}))
    judged = await follow_update(Looks(shown, clock).next, written)
    assert judged.verdict == verdict, judged
    if verdict == UpdateVerdict.LOST:
        assert "node2 is down" in judged.reason
        assert "docker node rm" in failure_hint(judged, "migrate")


@pytest.mark.parametrize("job", [True, False])
@pytest.mark.usefixtures("hurried_time")
async def test_only_a_job_is_left_by_whoever_cancels(job: bool) -> None:
    """A migration that hangs would hold the deployment for ever, beyond a cancellation and its phase's limit."""
    mode: dict[str, Any] = {"ReplicatedJob": {"TotalCompletions": 1}} if job else {"Replicated": {"Replicas": 1}}
    going = StackReading(({**service(state="updating"), "Spec": spec("new") | {"Mode": mode}},), (), {})
    written = Written("s1", "new", spec_hash(going.services[0]["Spec"], {}), nonce_before="old")
    looked, may_end, looks = asyncio.Event(), asyncio.Event(), SimpleNamespace()

    async def look() -> StackReading:
        await asyncio.sleep(0)
        looked.set()
        return StackReading((), (), {}) if may_end.is_set() else going

    looks.next = look
    following_it = asyncio.create_task(run_uninterrupted(follow_update(looks.next, written)))
    await looked.wait()
    following_it.cancel()
    done, _ = await asyncio.wait({following_it}, timeout=0.2)
    assert bool(done) is job
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await following_it


@pytest.mark.parametrize(
    ("died", "update", "verdict"),
    [
        (task(2, "failed", "shutdown", **CRASHED), {}, UpdateVerdict.FAILED),
        (task(2, "complete", "shutdown"), {}, UpdateVerdict.FAILED),  # its health check failed
        (task(2, "failed", "shutdown", **CRASHED), {"MaxFailureRatio": 0.5}, UpdateVerdict.DONE),
        (task(2, "failed", "shutdown", **CRASHED), {"FailureAction": "continue"}, UpdateVerdict.DONE),
        (task(2, "shutdown", "shutdown"), {}, UpdateVerdict.DONE),  # told to
        (task(2, "orphaned", "shutdown"), {}, UpdateVerdict.DONE),  # lost with its node
    ],
)
async def test_task_that_ran_and_ended_is_a_failure(died: Any, update: dict[str, Any], verdict: str) -> None:
    """Swarm watches for its monitor only, and starts the next one."""
    shown = service(state="completed")
    shown["Spec"]["UpdateConfig"] = update
    looks = [
        StackReading((service(state="updating"),), (GONE, task(2, "running")), {}),
        StackReading((shown,), (GONE, died, task(3, "running")), {}),
    ]
    written = Written("s1", "new", spec_hash(shown["Spec"], {}), nonce_before="old", tasks_before=frozenset({"t1"}))
    shown_first = {**looks[0].services[0], "Spec": shown["Spec"]}
    looks[0] = StackReading((shown_first,), looks[0].tasks, {})
    followed = Looks([(1, look) for look in looks], SimpleNamespace(now=100.0))
    judged = await follow_update(followed.next, written)
    assert judged.verdict is verdict, judged


@pytest.mark.parametrize(
    ("after", "verdict"),
    [([(1, DONE)], UpdateVerdict.DONE), ([(1, OPEN), (WAIT, OPEN), (9, OPEN)], UpdateVerdict.NEVER_STARTED)],
    ids=["Swarm ends it", "Swarm goes on waiting"],
)
async def test_nothing_is_done_before_swarm_has_ended_its_update(
    monkeypatch: pytest.MonkeyPatch, after: list[tuple[float, Any]], verdict: UpdateVerdict
) -> None:
    """When the node goes on, Swarm would go back by itself, after somebody was told of a success."""
    clock, ended = SimpleNamespace(now=100.0), []
    monkeypatch.setattr(following.time, "monotonic", lambda: clock.now)
    looks = Looks([(0, OPEN), (WAIT, OPEN), (9, OPEN), *after], clock)

    async def end(one: Written) -> None:
        ended.append(one)

    written = Written("s1", "new", spec_hash(spec("new"), {}), nonce_before="old", tasks_before=frozenset({"t1"}))
    assert (await follow_until_ended(looks.next, written, end)).verdict is verdict
    assert ended == [written]
