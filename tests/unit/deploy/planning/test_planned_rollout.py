"""A plan says how the replicas of a service are replaced, and why otherwise than its file says."""

from dataclasses import replace

import pytest

from roas.deploy.planning.plan_reasons import rollout_reason
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.rollout import FailureAction, RolloutPolicy
from tests.unit.deploy.played_parts import service

WEB = service("web", replicas=3, update=RolloutPolicy(parallelism=1))
OLD = ContainerSnapshot("c", "c", "web", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "web:v1", "old")


def test_few_at_a_time() -> None:
    (reason,) = rollout_reason(WEB, [OLD])
    assert reason.startswith("1 of 3 replicas replaced at a time; ")


def test_unnamed_volumes_are_named_as_the_reason() -> None:
    (reason,) = rollout_reason(WEB, [replace(OLD, unnamed_volumes=True)])
    assert reason.startswith("all 3 replicas replaced at once, since Compose passes their unnamed volumes on only so; ")


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (RolloutPolicy(failure_action=FailureAction.PAUSE), "where one fails, it is rolled back"),
        (
            RolloutPolicy(2, 5.0),
            "2 of 3 replicas replaced at a time; 5 s in between; where one fails, it is rolled back",
        ),
        (
            RolloutPolicy(failure_action=FailureAction.CONTINUE),
            "Swarm may go on where one fails; what does not run in the end is rolled back",
        ),
    ],
)
def test_swarm_replaces_by_itself_and_asks_nobody(policy: RolloutPolicy, told: str) -> None:
    """What is not said there is not all at once, and a pause is the end of it."""
    assert rollout_reason(replace(WEB, update=policy), [OLD], by_engine=True) == (told,)
