"""What a rollout does next is decided as Swarm's updater does it: the table of its transitions, one by one."""

from dataclasses import dataclass, field, replace

import pytest

from roas.models.canary import CanaryRecord, CanaryVerdict
from roas.models.rollout import Choice, FailureAction, RolloutPolicy, RolloutRecord, RolloutState
from roas.stack.updating.rollout_rules import Replica, Rollout, RolloutVerdict, RolloutView, Step, gone_on, is_exceeded

ONE = RolloutPolicy(parallelism=1)


@dataclass
class Service:
    """Do with names what a service does with containers; the test says how the new ones turn out."""

    rollout: Rollout
    old: list[str] = field(default_factory=lambda: ["o1", "o2", "o3"])
    new: dict[str, Replica] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def step(self, now: float = 0.0) -> Step:
        step = self.rollout.step(RolloutView(tuple(self.old), tuple(self.new.values())), now)
        for item in step.retire:
            self.old.remove(item)
            self.done.append(f"-{item}")
        for _ in range(step.begin):
            name = f"n{len(self.new) + 1}"
            self.new[name] = Replica(name)
            self.done.append(f"+{name}")
        return step

    def becomes(self, name: str, *, ready: bool = False, failure: str = "") -> None:
        self.new[name] = Replica(name, ready, failure)


def service(policy: RolloutPolicy = ONE, *, start_first: bool = False, **record: object) -> Service:
    return Service(Rollout(policy, 3, start_first, 5.0, RolloutRecord(**record)))


def test_stop_first_stops_one_then_starts_one() -> None:
    web = service()
    for number in (1, 2, 3):
        assert web.step().begin == 1
        assert web.step() == Step(RolloutVerdict.ROLLING), "the next waits for this one"
        web.becomes(f"n{number}", ready=True)
    assert web.step().verdict is RolloutVerdict.DONE
    assert web.done == ["-o1", "+n1", "-o2", "+n2", "-o3", "+n3"]
    assert web.rollout.record == RolloutRecord(RolloutState.DONE, slots=3)


def test_start_first_removes_old_one_when_new_one_is_ready() -> None:
    web = service(start_first=True)
    web.step()
    assert web.done == ["+n1"]
    web.becomes("n1", ready=True)
    web.step()
    assert web.done == ["+n1", "-o1", "+n2"]


@pytest.mark.parametrize(("parallelism", "begun"), [(0, 3), (1, 1), (2, 2), (5, 3)])
def test_parallelism_limits_what_is_under_way(parallelism: int, begun: int) -> None:
    assert service(RolloutPolicy(parallelism)).step().begin == begun


def test_each_worker_pauses_for_the_delay() -> None:
    web = service(RolloutPolicy(2, delay_seconds=10.0))
    web.step(0.0)
    web.becomes("n1", ready=True)
    assert web.step(1.0) == Step(RolloutVerdict.ROLLING, wake_at=11.0)
    web.becomes("n2", ready=True)
    assert web.step(4.0).begin == 0
    assert web.step(11.0).begin == 1
    web.becomes("n3", ready=True)
    assert web.step(12.0).verdict is RolloutVerdict.DONE, "nobody pauses after the last one"


def test_failure_rolls_back_at_once() -> None:
    web = service(RolloutPolicy(2))
    web.step()
    web.becomes("n1", failure="it ended")
    assert web.step() == Step(RolloutVerdict.FAILED, cause="n1")


def test_pause_waits_for_what_is_under_way() -> None:
    web = service(RolloutPolicy(2, failure_action=FailureAction.PAUSE))
    web.step()
    web.becomes("n1", failure="it ended")
    assert web.step() == Step(RolloutVerdict.ROLLING, cause="n1")
    web.becomes("n2", ready=True)
    assert web.step() == Step(RolloutVerdict.PAUSED, cause="n1")
    assert web.old == ["o3"], "what has not begun is left as it is"
    assert web.rollout.record.state is RolloutState.PAUSED


def test_paused_start_first_removes_what_was_replaced() -> None:
    web = service(RolloutPolicy(2, failure_action=FailureAction.PAUSE), start_first=True)
    web.step()
    web.becomes("n1", failure="it ended")
    web.becomes("n2", ready=True)
    assert web.step() == Step(RolloutVerdict.ROLLING, ("o1",), cause="n1")
    assert web.step().verdict is RolloutVerdict.PAUSED
    assert web.old == ["o2", "o3"], "the old one of the replica that failed goes on"


def test_canary_stands_beside_all_of_the_old_ones() -> None:
    web = service(start_first=True)
    web.rollout.most_new = 2
    assert web.step().begin == 2
    web.becomes("n1", ready=True)
    assert web.step() == Step(RolloutVerdict.ROLLING), "the other one is on its way"
    web.becomes("n2", ready=True)
    assert web.step() == Step(RolloutVerdict.JUDGED)
    web.rollout.most_new = None
    web.step()
    web.becomes("n3", ready=True)
    web.step()
    assert web.done == ["+n1", "+n2", "-o1", "-o2", "+n3", "-o3"]


@pytest.mark.parametrize(
    ("action", "verdict"),
    [(FailureAction.ROLLBACK, RolloutVerdict.FAILED), (FailureAction.PAUSE, RolloutVerdict.PAUSED)],
)
def test_failed_canary_leaves_the_old_ones(action: FailureAction, verdict: RolloutVerdict) -> None:
    web = service(RolloutPolicy(failure_action=action), start_first=True)
    web.rollout.most_new = 2
    web.step()
    web.becomes("n1", ready=True)
    web.becomes("n2", failure="it ended")
    assert web.step().verdict is verdict
    assert web.old == ["o1", "o2", "o3"]


@pytest.mark.parametrize(("choice", "step", "extensions"), [(Choice.GO_ON, 2, 0), (Choice.OBSERVE, 1, 1)])
def test_canary_that_was_asked_about_goes_on(choice: Choice, step: int, extensions: int) -> None:
    canary = CanaryRecord(1, 3, seconds=9.0, verdict=CanaryVerdict.INCONCLUSIVE)
    record = RolloutRecord(RolloutState.PAUSED, slots=3, canary=canary)
    going = gone_on(record, choice)
    assert (going.state, going.slots) == (RolloutState.ROLLING, 3)
    assert (going.canary.step, going.canary.extensions) == (step, extensions)
    assert going.canary.verdict is CanaryVerdict.OPEN
    failed = gone_on(replace(record, failed=("n1",), canary=replace(canary, verdict=CanaryVerdict.OPEN)))
    assert (failed.accepted, failed.canary.step) == (("n1",), 1), "a container that failed is another question"


def test_going_on_accepts_what_failed_and_counts_anew() -> None:
    web = service(RolloutPolicy(1, failure_action=FailureAction.PAUSE))
    web.step()
    web.becomes("n1", failure="it ended")
    assert web.step().verdict is RolloutVerdict.PAUSED
    record = gone_on(web.rollout.record)
    assert record == RolloutRecord(accepted=("n1",))
    again = Service(Rollout(web.rollout.policy, 3, False, 5.0, record), web.old, web.new)
    assert again.step().begin == 1
    assert again.rollout.record.slots == 2
    again.becomes("n2", failure="it ended")
    assert again.step().verdict is RolloutVerdict.PAUSED
    assert again.rollout.record.failed == ("n2",)


def test_only_what_is_paused_goes_on() -> None:
    assert gone_on(record := RolloutRecord(slots=3, failed=("n1",))) == record


@pytest.mark.parametrize(
    ("ratio", "failed", "exceeded"),
    [(0.0, 1, True), (0.33, 1, True), (0.34, 1, False), (0.5, 2, True), (1.0, 3, False)],
)
def test_ratio_is_of_the_slots(ratio: float, failed: int, exceeded: bool) -> None:
    record = RolloutRecord(slots=3, failed=tuple(f"n{number}" for number in range(failed)))
    assert is_exceeded(RolloutPolicy(max_failure_ratio=ratio), record) is exceeded


def test_continue_replaces_all_whatever_fails() -> None:
    web = service(RolloutPolicy(1, failure_action=FailureAction.CONTINUE), start_first=True)
    for number in (1, 2, 3):
        web.step()
        web.becomes(f"n{number}", failure="it ended")
    assert web.step() == Step(RolloutVerdict.DONE, ("o1", "o2", "o3"))
    assert web.rollout.record.failed == ("n1", "n2", "n3")


@pytest.mark.parametrize("start_first", [False, True])
@pytest.mark.parametrize("parallelism", [0, 1, 2, 3])
@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_as_many_serve_as_must(start_first: bool, parallelism: int, replicas: int) -> None:
    """One becomes ready after the other, the last ones first: an old one goes only where enough others serve."""
    policy = RolloutPolicy(parallelism)
    web = Service(Rollout(policy, replicas, start_first, 5.0, RolloutRecord()), [f"o{n}" for n in range(replicas)])
    must_serve = replicas if start_first else max(0, replicas - (parallelism or replicas))
    for now in range(20):
        step = web.step(now)
        good = sum(item.ready for item in web.new.values())
        if step.verdict is RolloutVerdict.DONE:
            break
        assert len(web.old) + good >= must_serve
        assert start_first or len(web.old) + len(web.new) <= replicas
        for name in [name for name, item in web.new.items() if not item.ready][-1:]:
            web.becomes(name, ready=True)
    assert (step.verdict, len(web.new), web.old) == (RolloutVerdict.DONE, replicas, [])


def test_new_one_that_fails_keeps_the_old_one() -> None:
    """Two are good, and then one is not any more: what the policy lets fail does not serve."""
    web = service(RolloutPolicy(2, failure_action=FailureAction.CONTINUE), start_first=True)
    web.step()
    web.becomes("n1", ready=True)
    web.becomes("n2", ready=True)
    web.rollout.step(RolloutView(("o1", "o2", "o3"), tuple(web.new.values())), 0.0)
    web.becomes("n1", failure="it restarted")
    assert web.step().retire == ("o1",)


@pytest.mark.parametrize(
    ("later", "old", "verdict"),
    [(4.9, [], RolloutVerdict.FAILED), (5.1, [], RolloutVerdict.ROLLING), (60.0, ["o3"], RolloutVerdict.FAILED)],
)
def test_failure_counts_within_the_monitored_time(later: float, old: list[str], verdict: RolloutVerdict) -> None:
    """What was ready and fails is counted for so long, and longer as long as old ones could serve instead."""
    web = service()
    web.old = [*old]
    web.step(0.0)
    web.becomes("n1", ready=True)
    web.step(1.0)
    web.becomes("n1", failure="it restarted")
    assert web.step(1.0 + later).verdict is verdict


def test_a_container_is_counted_once() -> None:
    web = service(RolloutPolicy(1, max_failure_ratio=0.5))
    web.step()
    web.becomes("n1", failure="it ended")
    for _ in range(3):
        web.step()
    assert web.rollout.record.failed == ("n1",)


def test_interrupted_rollout_goes_on_where_it_was() -> None:
    """Whoever resumes knows the record, and sees the containers: one is ready, and one was just begun."""
    resumed = service(RolloutPolicy(1, delay_seconds=60.0), slots=3)
    resumed.old, resumed.new = ["o3"], {"n1": Replica("n1", ready=True), "n2": Replica("n2")}
    assert resumed.step(100.0) == Step(RolloutVerdict.ROLLING)
    resumed.becomes("n2", ready=True)
    assert resumed.step(101.0).wake_at == 161.0
    assert resumed.step(161.0).begin == 1


def test_failures_before_the_interruption_count() -> None:
    resumed = service(RolloutPolicy(1, max_failure_ratio=0.5), slots=3, failed=("n1",))
    resumed.old, resumed.new = (
        ["o3"],
        {"n1": Replica("n1", failure="it ended"), "n2": Replica("n2", failure="so did it")},
    )
    assert resumed.step(0.0) == Step(RolloutVerdict.FAILED, cause="n2")


def test_scaling_up_and_down_within_a_rollout() -> None:
    """What is too many of the old ones goes first; what is missing is a slot like any other."""
    fewer = service()
    fewer.old = ["o1", "o2", "o3", "o4", "o5"]
    fewer.step()
    assert fewer.done == ["-o1", "-o2", "-o3", "+n1"]
    more = service()
    more.old = ["o1", "o2"]
    more.step()
    assert more.done == ["+n1"]


def test_records_are_of_one_direction() -> None:
    assert replace(RolloutRecord(), back=True) != RolloutRecord()
