"""The growth of restart counts is measured over the last minutes."""

from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.monitoring.health.restart_history import RestartHistory


def restarted(count: int, container_id: str = "c1") -> list[ContainerSnapshot]:
    running, healthy = ContainerState.RUNNING, HealthStatus.HEALTHY
    return [ContainerSnapshot(container_id, "web-1", "web", running, healthy, "i", "web", "h", restart_count=count)]


def test_restarts_counted_from_window_start() -> None:
    now = [0.0]
    memory = RestartHistory(window_seconds=300, clock=lambda: now[0])
    assert memory.take(restarted(7)) == {"c1": 7}
    now[0] = 100
    assert memory.take(restarted(8)) == {"c1": 7}
    now[0] = 200
    assert memory.take(restarted(9)) == {"c1": 7}
    now[0] = 401
    assert memory.take(restarted(9)) == {"c1": 8}
    now[0] = 900
    assert memory.take(restarted(9)) == {"c1": 9}


def test_removed_container_forgotten() -> None:
    memory = RestartHistory()
    memory.take(restarted(3))
    assert memory.take(restarted(0, "c2")) == {"c2": 0}
    assert memory.take(restarted(5)) == {"c1": 5}
