"""The growth of restart counts is measured over the last minutes."""

from dataclasses import replace

from roas.health.verdicts import RestartHistory
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus


def restarted(count: int, container_id: str = "c1") -> list[ContainerSnapshot]:
    running, healthy = ContainerState.RUNNING, HealthStatus.HEALTHY
    return [ContainerSnapshot(container_id, "web-1", "web", running, healthy, "i", "web", "h", restart_count=count)]


def test_restarts_counted_from_window_start() -> None:
    now = [0.0]
    memory = RestartHistory(clock=lambda: now[0])
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


def test_task_goes_on_with_the_history_of_its_place() -> None:
    """A Swarm starts another task with another id for each that ends: a loop of these is a loop."""
    history = RestartHistory()
    first, second = (
        [replace(restarted(count, one)[0], name=f"shop_web.1.{one}")] for one, count in (("t1", 0), ("t2", 3))
    )
    assert history.take(first) == {"t1": 0}
    assert history.take(second) == {"t2": 0}
