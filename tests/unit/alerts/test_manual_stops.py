"""What somebody stopped is told from what broke by itself."""

from dataclasses import replace

import pytest

from roas.alerts.manual_stops import ManualStops
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, Verdict
from roas.stack.interface import ContainerEvent


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def event(action: str, **attributes: str) -> ContainerEvent:
    return ContainerEvent(action, "c1", "web", "shop-dev", attributes)


def health(*containers: ContainerSnapshot) -> ServiceHealth:
    return ServiceHealth("web", Verdict.UNHEALTHY, "has ended", containers)


def ended(code: int, policy: str = "no", *, oom: bool = False) -> ContainerSnapshot:
    return ContainerSnapshot(
        "c1",
        "web",
        "web",
        ContainerState.EXITED,
        HealthStatus.NONE,
        "i",
        "i",
        "h",
        exit_code=code,
        oom_killed=oom,
        restart_policy=policy,
    )


def test_own_exit_is_failure() -> None:
    stops = ManualStops()
    assert stops.handle_event("dev", event("die", exitCode="137"), by_us=False)
    assert not stops.seems_manual("dev", health(ended(137)))


def test_docker_stop_kill_and_rm_are_manual_stops() -> None:
    for actions in (["kill", "die", "stop"], ["kill", "die"], ["kill", "die", "destroy"], ["pause"], ["destroy"]):
        stops = ManualStops()
        assert not any(stops.handle_event("dev", event(action), by_us=False) for action in actions)
        assert stops.is_known_stop("dev", "web"), actions


def test_own_stop_is_no_manual_stop() -> None:
    """What a deployment or a recovery stops is neither a manual stop nor a failure."""
    stops = ManualStops()
    assert not any(
        stops.handle_event("dev", event(action), by_us=True) for action in ("kill", "die", "stop", "destroy")
    )
    assert not stops.is_known_stop("dev", "web")


def test_start_ends_manual_stop() -> None:
    stops = ManualStops()
    for action in ("kill", "die", "stop", "start"):
        stops.handle_event("dev", event(action), by_us=False)
    assert not stops.is_known_stop("dev", "web")
    assert stops.handle_event("dev", event("die"), by_us=False)


def test_old_signal_explains_no_exit() -> None:
    clock = Clock()
    stops = ManualStops(clock)
    stops.handle_event("dev", event("kill", signal="15"), by_us=False)
    clock.now = 120.0
    assert stops.handle_event("dev", event("die"), by_us=False)


@pytest.mark.parametrize(("sent", "wanted"), [("15", True), ("9", True), ("2", True), ("1", False), ("10", False)])
def test_only_ending_signals_are_manual_stops(sent: str, wanted: bool) -> None:
    stops = ManualStops()
    stops.handle_event("dev", event("kill", signal=sent), by_us=False)
    assert stops.handle_event("dev", event("die"), by_us=False) is not wanted
    assert stops.is_known_stop("dev", "web") is wanted


def test_custom_stop_signal_is_manual_stop() -> None:
    stops = ManualStops()
    stops.learn_stop_signals([replace(ended(0), stop_signal=28)])
    stops.handle_event("dev", event("kill", signal="28"), by_us=False)
    assert not stops.handle_event("dev", event("die"), by_us=False)
    assert stops.is_known_stop("dev", "web")


def test_earlier_exit_counts_as_manual_if_possible() -> None:
    """What ended before the bot came is left alone where somebody may have wanted it."""
    stops = ManualStops()
    assert stops.seems_manual("dev", health())
    assert stops.seems_manual("dev", health(ended(143)))
    assert stops.seems_manual("dev", health(ended(1, "unless-stopped")))
    assert not stops.seems_manual("dev", health(ended(1)))
    assert not stops.seems_manual("dev", health(ended(137, oom=True)))


def test_journalled_failure_is_no_manual_stop() -> None:
    stops = ManualStops()
    stops.mark_failed("dev", "web")
    assert not stops.seems_manual("dev", health(ended(137)))


@pytest.mark.parametrize(("seconds", "by_hand"), [(59.0, True), (61.0, False)])
def test_slow_stop_is_a_stop_for_a_minute(seconds: float, by_hand: bool) -> None:
    """A container with a long `stop_grace_period` ends late; what ends later still ended by itself."""
    now = [0.0]
    stops = ManualStops(clock=lambda: now[0])
    stops.handle_event("dev", event("kill"), by_us=False)
    now[0] = seconds
    assert stops.handle_event("dev", event("die"), by_us=False) is not by_hand
    assert stops.is_known_stop("dev", "web") is by_hand
