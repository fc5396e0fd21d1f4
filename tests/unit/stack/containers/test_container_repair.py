"""What a killed Compose leaves is fixed, and the last good container of a service is never touched."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.stack.containers.repair import ContainerRepair, plan_repairs

WEB = ContainerSnapshot(
    id="a" * 64,
    name="p-web-1",
    service="web",
    state=ContainerState.RUNNING,
    health=HealthStatus.HEALTHY,
    image_id="sha256:1",
    image_reference="tiny:v1",
    config_hash="old",
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
)
SUCCESSOR = replace(
    WEB,
    id="b" * 64,
    name="aaaaaaaaaaaa_p-web-1",
    state=ContainerState.CREATED,
    health=HealthStatus.NONE,
    config_hash="new",
    started_at=None,
)
STOPPED = replace(WEB, state=ContainerState.EXITED, health=HealthStatus.UNHEALTHY)


def running(container: ContainerSnapshot, health: HealthStatus) -> ContainerSnapshot:
    return replace(container, state=ContainerState.RUNNING, health=health, started_at=WEB.started_at)


@pytest.mark.parametrize(
    ("found", "repair"),
    [
        pytest.param([WEB], [], id="nothing is wrong"),
        pytest.param([WEB, SUCCESSOR], [ContainerRepair(SUCCESSOR)], id="killed before the old one was stopped"),
        pytest.param([STOPPED, SUCCESSOR], [ContainerRepair(SUCCESSOR)], id="killed after the old one was stopped"),
        pytest.param([SUCCESSOR], [ContainerRepair(SUCCESSOR, "p-web-1")], id="killed after the old one was removed"),
        pytest.param(
            [STOPPED, running(SUCCESSOR, HealthStatus.HEALTHY)],
            [ContainerRepair(STOPPED), ContainerRepair(running(SUCCESSOR, HealthStatus.HEALTHY), "p-web-1")],
            id="the new one runs under the wrong name",
        ),
        pytest.param(
            [running(WEB, HealthStatus.UNHEALTHY), running(SUCCESSOR, HealthStatus.HEALTHY)],
            [
                ContainerRepair(running(WEB, HealthStatus.UNHEALTHY)),
                ContainerRepair(running(SUCCESSOR, HealthStatus.HEALTHY), "p-web-1"),
            ],
            id="only the new one is healthy",
        ),
        pytest.param(
            [WEB, running(SUCCESSOR, HealthStatus.STARTING)],
            [ContainerRepair(running(SUCCESSOR, HealthStatus.STARTING))],
            id="only the old one is healthy",
        ),
        pytest.param(
            [WEB, replace(SUCCESSOR, name="p-web-2")],
            [ContainerRepair(replace(SUCCESSOR, name="p-web-2"))],
            id="killed before the second one was started",
        ),
        pytest.param([replace(SUCCESSOR, name="p-web-1")], [], id="never started, but the only one"),
        pytest.param([WEB, running(replace(SUCCESSOR, name="p-web-2"), HealthStatus.HEALTHY)], [], id="two at work"),
    ],
)
def test_sweep_keeps_best_container(found: list[ContainerSnapshot], repair: list[ContainerRepair]) -> None:
    assert list(plan_repairs(found)) == repair
