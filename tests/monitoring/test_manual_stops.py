"""What somebody stopped is told from what broke by itself."""

from dataclasses import replace

import pytest

from bot.engine.interface import ContainerEvent
from bot.models.health import ContainerSnapshot, ContainerState, HealthStatus, ServiceHealth, Verdict
from bot.monitoring.manual_stops import ManualStops


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


def test_a_process_that_ends_by_itself_broke() -> None:
    stops = ManualStops()
    assert stops.handle_event("dev", event("die", exitCode="137"), by_us=False)
    assert not stops.looks_manual("dev", health(ended(137)))


def test_docker_stop_kill_and_rm_are_somebodys_wish() -> None:
    for actions in (["kill", "die", "stop"], ["kill", "die"], ["kill", "die", "destroy"], ["pause"], ["destroy"]):
        stops = ManualStops()
        assert not any(stops.handle_event("dev", event(action), by_us=False) for action in actions)
        assert stops.is_known_stop("dev", "web"), actions


def test_what_a_deployment_or_a_recovery_stops_is_neither() -> None:
    stops = ManualStops()
    assert not any(
        stops.handle_event("dev", event(action), by_us=True) for action in ("kill", "die", "stop", "destroy")
    )
    assert not stops.is_known_stop("dev", "web")


def test_a_service_that_is_started_again_is_wanted_again() -> None:
    stops = ManualStops()
    for action in ("kill", "die", "stop", "start"):
        stops.handle_event("dev", event(action), by_us=False)
    assert not stops.is_known_stop("dev", "web")
    assert stops.handle_event("dev", event("die"), by_us=False)


def test_a_signal_long_ago_has_nothing_to_do_with_an_end() -> None:
    clock = Clock()
    stops = ManualStops(clock)
    stops.handle_event("dev", event("kill", signal="15"), by_us=False)
    clock.now = 120.0
    assert stops.handle_event("dev", event("die"), by_us=False)


@pytest.mark.parametrize(("sent", "wanted"), [("15", True), ("9", True), ("2", True), ("1", False), ("10", False)])
def test_only_a_signal_that_ends_is_a_wish_to_end(sent: str, wanted: bool) -> None:
    stops = ManualStops()
    stops.handle_event("dev", event("kill", signal=sent), by_us=False)
    assert stops.handle_event("dev", event("die"), by_us=False) is not wanted
    assert stops.is_known_stop("dev", "web") is wanted


def test_a_container_may_have_a_stop_signal_of_its_own() -> None:
    stops = ManualStops()
    stops.learn_stop_signals([replace(ended(0), stop_signal=28)])
    stops.handle_event("dev", event("kill", signal="28"), by_us=False)
    assert not stops.handle_event("dev", event("die"), by_us=False)
    assert stops.is_known_stop("dev", "web")


def test_what_happened_before_the_bot_came_is_left_alone_where_it_may_have_been_wanted() -> None:
    stops = ManualStops()
    assert stops.looks_manual("dev", health())
    assert stops.looks_manual("dev", health(ended(143)))
    assert stops.looks_manual("dev", health(ended(1, "unless-stopped")))
    assert not stops.looks_manual("dev", health(ended(1)))
    assert not stops.looks_manual("dev", health(ended(137, oom=True)))


def test_what_the_journal_says_broke_is_not_guessed_about() -> None:
    stops = ManualStops()
    stops.mark_failed("dev", "web")
    assert not stops.looks_manual("dev", health(ended(137)))
