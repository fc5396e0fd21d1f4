"""A plan says how the replicas of a service are replaced, and why otherwise than its file says."""

from dataclasses import replace

from roas.deployment.planned_rollout import rollout_reason
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.rollout import RolloutPolicy
from tests.unit.deployment.played_parts import service

WEB = service("web", replicas=3, update=RolloutPolicy(parallelism=1))
OLD = ContainerSnapshot("c", "c", "web", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "web:v1", "old")


def test_few_at_a_time() -> None:
    (reason,) = rollout_reason(WEB, [OLD])
    assert reason.startswith("1 of 3 replicas replaced at a time; ")


def test_unnamed_volumes_are_named_as_the_reason() -> None:
    (reason,) = rollout_reason(WEB, [replace(OLD, unnamed_volumes=True)])
    assert reason.startswith("all 3 replicas replaced at once, since Compose passes their unnamed volumes on only so; ")
