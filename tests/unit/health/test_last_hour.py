"""The last hour of each service is remembered: the worst of every half minute, and no more than an hour."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from roas.health.collector import MOST_SERVICES, STEPS, LastHour
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, StackHealth, Verdict


class Clock:
    """Tell the time that a test wants."""

    def __init__(self) -> None:
        self.now = 1000.0 * 30

    def __call__(self) -> float:
        return self.now


def stack(*services: ServiceHealth, environment: str = "dev") -> StackHealth:
    return StackHealth(environment, Verdict.HEALTHY, services, datetime.now(UTC))


def web(verdict: Verdict = Verdict.HEALTHY, cpu: float | None = 1.0, memory: int | None = 100) -> ServiceHealth:
    return ServiceHealth("web", verdict, "", (), cpu, memory)


def a_container(state: ContainerState, health: HealthStatus = HealthStatus.NONE) -> ContainerSnapshot:
    return ContainerSnapshot("c1", "web-1", "web", state, health, "sha256:1", "web:v1", "hash")


def test_step_keeps_worst_verdict_and_peak_usage() -> None:
    clock = Clock()
    hour = LastHour(clock)
    for health in (web(cpu=None), web(Verdict.UNHEALTHY, 80.0, 50), web(cpu=5.0, memory=200)):
        hour.take(stack(health))
        clock.now += 5
    clock.now += 30
    hour.take(stack(web()))
    (series,) = hour.of("dev")
    assert [(p.verdict, p.cpu_percent, p.memory_bytes) for p in series.points] == [
        (Verdict.UNHEALTHY, 80.0, 200),
        (Verdict.HEALTHY, 1.0, 100),
    ]
    assert [p.age_seconds for p in series.points] == [15.0, 0.0]


def test_part_of_what_a_service_uses_is_not_drawn() -> None:
    """What its other tasks use, on nodes that nobody asks, would be missing in the picture."""
    hour = LastHour(Clock())
    hour.take(stack(replace(web(), unmeasured=1)))
    assert seen(hour) == [(Verdict.HEALTHY, None, None)]


def test_current_step_shows_present_then_worst() -> None:
    """The current step shows the present, and its worst only when it is over."""
    clock = Clock()
    hour = LastHour(clock)
    hour.take(stack(web(Verdict.UNHEALTHY, 80.0, 200)))
    clock.now += 5
    hour.take(stack(web(cpu=2.0, memory=100)))
    assert seen(hour) == [(Verdict.HEALTHY, 2.0, 100)]
    hour.add(stack(web(Verdict.DEGRADED, 3.0, 101), ServiceHealth("never watched", Verdict.HEALTHY, "")))
    assert seen(hour) == [(Verdict.DEGRADED, 3.0, 101)]
    clock.now += 30
    assert seen(hour) == [(Verdict.UNHEALTHY, 80.0, 200)]


def seen(hour: LastHour) -> list[tuple[Verdict, float | None, int | None]]:
    (series,) = hour.of("dev")
    return [(point.verdict, point.cpu_percent, point.memory_bytes) for point in series.points]


@pytest.mark.parametrize(
    ("containers", "verdict"),
    [
        ((), Verdict.DEGRADED),
        ((a_container(ContainerState.CREATED),), Verdict.DEGRADED),
        ((a_container(ContainerState.EXITED), a_container(ContainerState.CREATED)), Verdict.DEGRADED),
        ((a_container(ContainerState.RUNNING, HealthStatus.UNHEALTHY),), Verdict.UNHEALTHY),
        ((a_container(ContainerState.RESTARTING),), Verdict.UNHEALTHY),
    ],
)
def test_deployment_churn_not_recorded_as_failure(containers: tuple[ContainerSnapshot, ...], verdict: Verdict) -> None:
    """Containers that come and go in a deployment are no trouble, but a failing one is."""
    gone = ServiceHealth("web", Verdict.UNHEALTHY, "", containers)
    for moving, wanted in ((frozenset({"web"}), verdict), (frozenset(), Verdict.UNHEALTHY)):
        clock = Clock()
        hour = LastHour(clock)
        hour.take(stack(gone), moving)
        clock.now += 30
        assert [one for one, _cpu, _memory in seen(hour)] == [wanted]


def test_environments_kept_apart() -> None:
    hour = LastHour(Clock())
    hour.take(stack(web()))
    hour.take(stack(web(), environment="prod"))
    assert [(service.environment, service.service) for service in hour.of("prod")] == [("prod", "web")]
    assert hour.of("staging") == ()


def test_oldest_step_dropped_after_hour() -> None:
    clock = Clock()
    hour = LastHour(clock)
    for _ in range(3 * STEPS):
        hour.take(stack(web()))
        clock.now += 30
    (series,) = hour.of("dev")
    assert STEPS - 1 <= len(series.points) <= STEPS
    assert max(point.age_seconds for point in series.points) < 3600
    assert len(hour._steps["dev", "web"]) <= STEPS, "no more is kept than is shown"


def test_removed_service_forgotten_after_hour() -> None:
    clock = Clock()
    hour = LastHour(clock)
    hour.take(stack(web(), ServiceHealth("old", Verdict.HEALTHY, "")))
    for _ in range(STEPS + 2):
        clock.now += 30
        hour.take(stack(web()))
    assert [service.service for service in hour.of("dev")] == ["web"]
    assert len(hour._steps) == 1, "nothing is left of it"


def test_pause_leaves_gap() -> None:
    clock = Clock()
    hour = LastHour(clock)
    hour.take(stack(web()))
    clock.now += 1800
    hour.take(stack(web()))
    (series,) = hour.of("dev")
    assert [point.age_seconds for point in series.points] == [1770.0, 0.0]


def test_short_lived_services_bound_memory() -> None:
    clock = Clock()
    hour = LastHour(clock)
    for number in range(3 * MOST_SERVICES):
        hour.take(stack(ServiceHealth(f"s{number}", Verdict.HEALTHY, "")))
    assert len(hour.of("dev")) == MOST_SERVICES


def test_chart_ends_unknown_when_engine_is_away() -> None:
    clock = Clock()
    hour = LastHour(clock)
    hour.take(stack(web()))
    hour.add(StackHealth("dev", Verdict.UNKNOWN, (), datetime.now(UTC), "The engine does not answer."))
    (series,) = hour.of("dev")
    assert series.points[-1].verdict is Verdict.UNKNOWN
    assert series.points[-1].cpu_percent is None
