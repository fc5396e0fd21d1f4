"""A job runs anew when its earlier run has ended: two runs of a migration at once are none."""

import pytest

from roas.errors import EngineError
from roas.stack.docker.labels import STACK
from roas.stack.swarm.normal_form import SERVICE
from roas.stack.swarm.writing import service_writes
from roas.stack.swarm.writing.service_writes import end_earlier_run
from roas.stack.swarm.writing.writer import Seen
from tests.unit.stack.swarm.writing.to_manager import Json, ToManager

LABELS = {STACK: "shop", SERVICE: "migrate"}
SPEC: Json = {"Name": "shop_migrate", "Labels": LABELS, "Mode": {"ReplicatedJob": {}}}
JOB: Json = {"ID": "s1", "Spec": SPEC}


def run_of(state: str, *, service: str = "migrate", service_id: str = "s1", job: bool = True) -> Json:
    return {
        "ID": "t1",
        "ServiceID": service_id,
        "NodeID": "n1",
        "Status": {"State": state},
        "Spec": {"ContainerSpec": {"Labels": {SERVICE: service}, "StopGracePeriod": 0}},
        **({"JobIteration": {}} if job else {}),
    }


class Manager:
    """Show one look after the other at the tasks; the last one stays."""

    def __init__(self, *looks: list[Json]) -> None:
        self.looks = list(looks)
        self.removed: list[str] = []

    def tasks_of_stack(self, _stack: str) -> list[Json]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def remove(self, _kind: str, service_id: str) -> None:
        self.removed.append(service_id)

    def nodes(self) -> list[Json]:
        return [{"ID": "n1", "Description": {"Hostname": "node1"}}]


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_writes, "POLL_SECONDS", 0.0)


async def test_run_that_goes_on_is_ended_first() -> None:
    """The job is gone then, and what was seen of it counts no more."""
    manager = Manager([run_of("running")], [run_of("running")], [run_of("shutdown")])
    seen = await end_earlier_run(ToManager(manager), SPEC, Seen(JOB, (run_of("running"),), {}))
    assert manager.removed == ["s1"]
    assert len(manager.looks) == 1, "it was waited until the node said that it stopped"
    assert seen.service is None
    assert seen.tasks == ()


async def test_run_of_a_removed_job_is_waited_for() -> None:
    manager = Manager([run_of("running", service_id="s0")], [])
    await end_earlier_run(ToManager(manager), SPEC, Seen(None, (), {}))
    assert manager.looks == [[]]
    assert manager.removed == []


@pytest.mark.parametrize(
    "task",
    [
        run_of("complete"),
        run_of("failed"),
        run_of("running", service="other", service_id="s2"),
        run_of("running", job=False),
    ],
    ids=["done", "failed", "of another service", "of no job"],
)
async def test_what_is_no_run_under_way_stays(task: Json) -> None:
    manager, seen = Manager([task]), Seen(JOB, (task,), {})
    assert await end_earlier_run(ToManager(manager), SPEC, seen) is seen
    assert manager.removed == []


@pytest.mark.parametrize("after", [[run_of("shutdown")], []], ids=["node is back", "node is removed"])
async def test_run_that_does_not_end_is_said(monkeypatch: pytest.MonkeyPatch, after: list[Json]) -> None:
    """Once the node is back and says so, or is removed with what it had, the next deployment runs the job."""
    with monkeypatch.context() as patched:
        patched.setattr(service_writes, "REPORT_SECONDS", -1e6)
        with pytest.raises(EngineError, match="node1 has not said") as refused:
            await end_earlier_run(ToManager(Manager([run_of("running")])), SPEC, Seen(JOB, (), {}))
    assert "See that it has ended there (`docker ps`), bring the node back or remove it" in str(refused.value.hint)
    seen = Seen(None, (), {})
    assert await end_earlier_run(ToManager(Manager(after)), SPEC, seen) is seen


async def test_somebody_elses_job_is_not_removed() -> None:
    other = {"ID": "s1", "Spec": {**SPEC, "Labels": {STACK: "other"}}}
    manager = Manager([run_of("running", service="else")])
    seen = Seen(other, (), {})
    assert await end_earlier_run(ToManager(manager), SPEC, seen) is seen
    assert manager.removed == []


async def test_service_that_is_and_was_no_job_is_not_asked_about() -> None:
    spec = {**SPEC, "Mode": {"Replicated": {"Replicas": 1}}}
    seen = Seen({"ID": "s1", "Spec": spec}, (), {})
    assert await end_earlier_run(ToManager(Manager()), spec, seen) is seen
