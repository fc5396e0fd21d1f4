"""Which services are rolled out, and how: by what the definition says, and by what runs."""

from dataclasses import replace

import pytest

from roas.models.canary import CanaryPolicy
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.rollout import FailureAction, RolloutPolicy, RolloutRecord, RolloutState
from roas.models.stack import ServiceDefinition
from roas.stack.service_comparison import WantedService
from roas.stack.updating.rollout_rules import is_rolled_out, policy_of

ONE = RolloutPolicy(parallelism=1)
WEB = ServiceDefinition("web", "web:v2", "d", replicas=3, update=ONE)
RUNNING, HEALTHY = ContainerState.RUNNING, HealthStatus.HEALTHY
OLD = ContainerSnapshot("o1", "web-1", "web", RUNNING, HEALTHY, "i", "web:v1", "old")
NEW = replace(OLD, id="n1", config_hash="new")
UNPROBED = replace(OLD, id="u1", health=HealthStatus.NONE)


@pytest.mark.parametrize(
    ("definition", "there", "record", "rolled"),
    [
        (WEB, (OLD,), None, True),
        (WEB, (NEW,), None, False),
        (WEB, (), None, False),
        (WEB, (replace(OLD, state=ContainerState.CREATED),), None, False),
        (WEB, (NEW,), RolloutRecord(state=RolloutState.DONE, failed=("n1",)), True),
        (replace(WEB, update=RolloutPolicy()), (OLD,), None, False),
        (replace(WEB, update=RolloutPolicy(failure_action=FailureAction.PAUSE)), (OLD,), None, True),
        (replace(WEB, one_shot=True), (OLD,), None, False),
        (replace(WEB, replicas=0), (OLD,), None, False),
        (replace(WEB, update=RolloutPolicy(), canary=CanaryPolicy()), (OLD,), None, True),
        (replace(WEB, may_end=True), (UNPROBED,), None, False),
        (replace(WEB, may_end=True), (UNPROBED, OLD), None, True),
        (replace(WEB, one_shot=True, may_end=True), (OLD,), None, False),
    ],
)
def test_rolled_out_where_policy_replaces_something(definition, there, record, rolled: bool) -> None:
    """Whoever resumes a rollout that was done goes on with its record: some of its replicas may have failed.

    What looks as if it may end has a policy where its image has a health check, which its containers show.
    """
    assert is_rolled_out(WantedService(definition, "new"), there, record) is rolled


def test_unnamed_volumes_are_replaced_at_once() -> None:
    holding = replace(OLD, unnamed_volumes=True)
    assert policy_of(WEB, (OLD,)) == ONE
    assert policy_of(WEB, (OLD, holding)).parallelism == 0
    assert policy_of(replace(WEB, start_first=True), (holding,)) == ONE, "start-first, nothing is passed on anyway"


def test_way_back_takes_the_other_section() -> None:
    back = RolloutPolicy(parallelism=2, failure_action=FailureAction.CONTINUE)
    there = replace(WEB, rollback=back, monitor_seconds=7.0, rollback_start_first=True)
    assert there.for_rollback().update == back
    assert (there.for_rollback().start_first, there.for_rollback().monitor_seconds) == (True, 7.0)
    assert replace(there, rollback_monitor_seconds=3.0).for_rollback().monitor_seconds == 3.0
