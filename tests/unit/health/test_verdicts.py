"""A verdict on a service follows from its containers alone."""

from dataclasses import replace

import pytest

from roas.health.verdicts import assumed_definition, judge_service, judge_stack
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, Verdict
from roas.models.stack import ServiceDefinition

WEB = ServiceDefinition("web", "web:1", "hash", has_health_check=True)
ONCE = replace(WEB, name="once", one_shot=True, has_health_check=False)
RUNNING = ContainerSnapshot("c1", "web-1", "web", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "web:1", "hash")


def ended(code: int, **changes: object) -> ContainerSnapshot:
    return replace(RUNNING, state=ContainerState.EXITED, health=HealthStatus.NONE, exit_code=code, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("container", "verdict", "text"),
    [
        (RUNNING, Verdict.HEALTHY, "passes"),
        (replace(RUNNING, health=HealthStatus.NONE), Verdict.UNVERIFIED, "no health check"),
        (replace(RUNNING, health=HealthStatus.STARTING), Verdict.DEGRADED, "not passed its health check yet"),
        (replace(RUNNING, health=HealthStatus.UNHEALTHY), Verdict.UNHEALTHY, "fails its health check"),
        (replace(RUNNING, state=ContainerState.RESTARTING, exit_code=1), Verdict.UNHEALTHY, "restart loop"),
        (replace(RUNNING, state=ContainerState.CREATED), Verdict.UNHEALTHY, "never started"),
        (replace(RUNNING, state=ContainerState.PAUSED), Verdict.UNHEALTHY, "paused"),
        (replace(RUNNING, state=ContainerState.DEAD), Verdict.UNHEALTHY, "ended"),
        (ended(0), Verdict.UNHEALTHY, "code 0"),
        (ended(137, oom_killed=True), Verdict.UNHEALTHY, "out of memory"),
    ],
)
def test_single_container_decides_verdict(container: ContainerSnapshot, verdict: Verdict, text: str) -> None:
    health = judge_service(WEB, [container])
    assert health.verdict is verdict
    assert text in health.reason
    assert health.containers == (container,)


def test_one_shot_healthy_after_exit_0() -> None:
    assert judge_service(ONCE, [ended(0)]).verdict is Verdict.HEALTHY
    assert judge_service(ONCE, [ended(2)]).verdict is Verdict.UNHEALTHY
    assert judge_service(ONCE, []).verdict is Verdict.HEALTHY, (
        "it was pruned, or a release that came back did not run it"
    )
    assert judge_service(ONCE, [replace(RUNNING, health=HealthStatus.NONE)]).verdict is Verdict.DEGRADED


def test_job_that_swarm_runs_more_often_is_degraded() -> None:
    found = judge_service(ONCE, [replace(ended(0), surplus_runs=3)])
    assert (found.verdict, found.reason) == (Verdict.DEGRADED, "has ended with code 0, and Swarm ran it 3 more times")


def test_worst_replica_decides_and_is_counted() -> None:
    unhealthy = replace(RUNNING, id="c3", health=HealthStatus.UNHEALTHY)
    health = judge_service(replace(WEB, replicas=3), [RUNNING, replace(RUNNING, id="c2"), unhealthy])
    assert (health.verdict, health.reason) == (Verdict.UNHEALTHY, "fails its health check (1 of 3)")


def test_missing_replicas_unhealthy() -> None:
    assert judge_service(WEB, []).reason == "has no container"
    assert judge_service(replace(WEB, replicas=2), [RUNNING]).reason == "has 1 of 2 containers"
    assert judge_service(replace(WEB, replicas=2), [RUNNING]).verdict is Verdict.UNHEALTHY


def test_service_scaled_to_zero_healthy() -> None:
    assert judge_service(replace(WEB, replicas=0), []).verdict is Verdict.HEALTHY
    assert judge_service(replace(WEB, replicas=0), []).reason == "has no containers, as it should"


@pytest.mark.parametrize("second", [RUNNING, ended(137), replace(RUNNING, health=HealthStatus.UNHEALTHY)])
def test_extra_container_degrades(second: ContainerSnapshot) -> None:
    health = judge_service(WEB, [replace(second, id="c2"), RUNNING])
    assert (health.verdict, health.reason) == (Verdict.DEGRADED, "has 2 containers instead of 1")


def test_restart_growth_degrades_then_is_loop() -> None:
    restarted = replace(RUNNING, restart_count=5)
    assert judge_service(WEB, [restarted]).verdict is Verdict.HEALTHY
    assert judge_service(WEB, [restarted], restarts_before={"c1": 4}).verdict is Verdict.DEGRADED
    assert judge_service(WEB, [restarted], restarts_before={"c1": 2}).reason == "has restarted 3 times recently"
    assert judge_service(WEB, [restarted], restarts_before={"c1": 2}).verdict is Verdict.UNHEALTHY


def of(name: str, verdict: Verdict) -> ServiceHealth:
    return ServiceHealth(name, verdict, "says so")


def test_noncritical_service_degrades_stack_at_most() -> None:
    """A critical service counts in full for the verdict of the stack."""
    services = [of("db", Verdict.HEALTHY), of("web", Verdict.UNHEALTHY)]
    assert judge_stack(services, frozenset({"db"})) == (Verdict.DEGRADED, "web says so")
    assert judge_stack(services, frozenset({"web"})) == (Verdict.UNHEALTHY, "web says so")


def test_stack_of_which_nothing_works_unhealthy() -> None:
    """No service is critical, and somebody typed `docker compose down`."""
    down = [of("db", Verdict.UNHEALTHY), of("web", Verdict.UNHEALTHY)]
    assert judge_stack(down, frozenset()) == (Verdict.UNHEALTHY, "every service is unhealthy")
    assert judge_stack(down[:1], frozenset()) == (Verdict.UNHEALTHY, "db says so")


def test_stack_without_health_checks_unverified() -> None:
    """The reason names the services."""
    services = [of("a", Verdict.HEALTHY), of("b", Verdict.UNVERIFIED)]
    assert judge_stack(services, frozenset()) == (Verdict.UNVERIFIED, "without a health check: b")
    assert judge_stack(services[:1], frozenset())[0] is Verdict.HEALTHY


def test_empty_stack_unknown() -> None:
    assert judge_stack([], frozenset())[0] is Verdict.UNKNOWN


def test_definition_assumed_from_containers() -> None:
    assert assumed_definition("web", [RUNNING]).has_health_check
    assert assumed_definition("task", [ended(0)]).one_shot
    assert not assumed_definition("web", [ended(0, restart_policy="always")]).one_shot
    assert assumed_definition("web", [RUNNING, replace(RUNNING, id="c2", number=2)]).replicas == 2
