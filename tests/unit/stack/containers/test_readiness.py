"""A service is as ready as its worst container, and not before all of them are there."""

import pytest

from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.stack import ServiceDefinition
from roas.stack.containers.readiness import Readiness, judge_readiness

RUNNING = ContainerState.RUNNING


def container(number: int, health: HealthStatus, state: ContainerState = RUNNING) -> ContainerSnapshot:
    return ContainerSnapshot(f"c{number}", f"web-{number}", "web", state, health, "image", "web:v1", "hash")


@pytest.mark.parametrize(
    ("healths", "expected"),
    [
        ((), Readiness.WAITING),
        ((HealthStatus.HEALTHY,), Readiness.WAITING),
        ((HealthStatus.HEALTHY, HealthStatus.STARTING), Readiness.WAITING),
        ((HealthStatus.HEALTHY, HealthStatus.NONE), Readiness.UNVERIFIED),
        ((HealthStatus.HEALTHY, HealthStatus.UNHEALTHY), Readiness.FAILED),
        ((HealthStatus.HEALTHY, HealthStatus.HEALTHY), Readiness.HEALTHY),
    ],
)
def test_two_replicas_judged_by_worst(healths: tuple[HealthStatus, ...], expected: Readiness) -> None:
    containers = tuple(container(number, health) for number, health in enumerate(healths))
    assert judge_readiness(ServiceDefinition("web", "web:v1", "hash", replicas=2), containers).state is expected
