"""What probes say counts with what containers show: not at once, not within a grace, and without secrets in words."""

from dataclasses import replace
from datetime import UTC, datetime

from roas.health.probes import ProbeHistory
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, Verdict
from roas.models.stack import ServiceDefinition, ServiceProbe

URL = "redis://user:secret@127.0.0.1:6379/0"
STORE = ServiceDefinition("store", "store:v1", "d", probes=(ServiceProbe(URL, grace_seconds=5.0),))


class Scene:
    """Let a history hear what a test says."""

    def __init__(self) -> None:
        self.now = 0.0
        self.history = ProbeHistory(clock=lambda: self.now)
        self.container = ContainerSnapshot(
            "c1", "store", "store", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "i", "h"
        )
        self.judged()
        self.now = 10.0

    def fails(self, times: int = 1) -> bool:
        return [self.history.record("dev", "store", URL, answered=False) for _ in range(times)][-1]

    def judged(self, verdict: Verdict = Verdict.HEALTHY) -> ServiceHealth:
        health = ServiceHealth("store", verdict, "its health check passes", (self.container,))
        return self.history.judge("dev", health, STORE)


def test_one_failure_degrades_several_are_unhealthy() -> None:
    scene = Scene()
    assert scene.judged().verdict is Verdict.HEALTHY
    assert scene.fails()
    assert scene.judged().verdict is Verdict.DEGRADED
    scene.fails(2)
    assert scene.judged().verdict is Verdict.UNHEALTHY
    assert scene.history.record("dev", "store", URL, answered=True)
    assert scene.judged().verdict is Verdict.HEALTHY


def test_repeated_result_triggers_no_check() -> None:
    scene = Scene()
    scene.fails(3)
    assert not scene.fails()
    assert scene.history.record("dev", "store", URL, answered=True)
    assert not scene.history.record("dev", "store", URL, answered=True)


def test_failure_within_start_grace_ignored() -> None:
    scene = Scene()
    scene.fails(3)
    scene.container = replace(scene.container, started_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert scene.judged().verdict is Verdict.HEALTHY  # started anew: what was before is forgotten
    scene.fails(3)
    assert scene.judged().verdict is Verdict.HEALTHY
    scene.now += 5.0
    assert scene.judged().verdict is Verdict.UNHEALTHY


def test_reason_names_target_without_password() -> None:
    scene = Scene()
    scene.fails(3)
    assert scene.judged().reason == "does not answer redis://127.0.0.1:6379"


def test_unhealthy_container_keeps_own_reason() -> None:
    scene = Scene()
    scene.fails(3)
    assert scene.judged(Verdict.UNHEALTHY).reason == "its health check passes"
