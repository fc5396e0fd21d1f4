"""The judge of a soak names each limit that is broken."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from campaigns.soak.figures import Footprint, Held, Metrics
from campaigns.soak.judge import Evidence, breaches
from campaigns.soak.load import Work
from campaigns.soak.report import write_report

GOOD = """
# HELP roas_event_handling_seconds Time
roas_event_handling_seconds_bucket{le="0.5"} 990.0
roas_event_handling_seconds_bucket{le="1.0"} 995.0
roas_event_handling_seconds_bucket{le="2.5"} 1000.0
roas_event_handling_seconds_bucket{le="+Inf"} 1000.0
roas_projection_delay_seconds_bucket{le="0.5"} 995.0
roas_projection_delay_seconds_bucket{le="1.0"} 1000.0
roas_projection_delay_seconds_bucket{le="+Inf"} 1000.0
roas_event_subscriber_handled_total{subscriber="a"} 950.0
roas_event_subscriber_failures_total{subscriber="a"} 50.0
roas_deployments_total{environment="dev",kind="DEPLOY",outcome="succeeded"} 19.0
roas_deployments_total{environment="dev",kind="DEPLOY",outcome="failed"} 1.0
roas_deployments_total{environment="dev",kind="DEPLOY",outcome="cancelled"} 7.0
roas_service_health{environment="dev",service="web",verdict="healthy"} 1.0
roas_recoveries_total{outcome="recovered"} 3.0
"""
SMALL = Footprint(0.0, 100.0, 50, 13, 1000.0, 10, {"changes": 5}, 4, 2)
# A deployment every ten seconds, and at each third look a picture that is being drawn.
FLAT = [Held(number / 6, 100.0 + (0, 1, 18)[number % 3], number) for number in range(180)]


def evidence(metrics: str = GOOD) -> Evidence:
    return Evidence(
        minutes=30.0,
        work=Work(
            deployments=[4.0] * 19, outcomes=["succeeded"] * 19 + ["failed: x"], alerts=9, kills=3, answers=[0.4]
        ),
        counted=Metrics.parse(metrics),
        memory=FLAT,
        footprints=[SMALL, replace(SMALL, minute=30.0, files=60)],
        most_series=500,
        services=frozenset({"web", "store"}),
        alerts_about_itself={},
        pending=0,
        missing_in_redis=0,
    )


def test_values_within_limits_pass() -> None:
    seen = evidence()
    assert breaches(seen) == []
    assert (seen.event_seconds, seen.lag_seconds) == (0.5, 0.5)
    assert seen.errors == pytest.approx(0.05)
    assert seen.success == pytest.approx(0.95)
    assert "| event latency, 99 of 100 within | 0.5 s | 1 s |" in write_report(seen)


def leaking(kibibytes: float) -> Iterator[Held]:
    """Yield the same, of a bot that keeps something of each deployment for good."""
    return (replace(one, memory=one.memory + one.deployments * kibibytes / 1024) for one in FLAT)


def changed(old: str, new: str) -> Evidence:
    assert old in GOOD
    return evidence(GOOD.replace(old, new))


BROKEN = {
    "event latency p99": lambda: changed(
        'bucket{le="0.5"} 990.0\nroas_event_handling_seconds_bucket{le="1.0"} 995',
        'bucket{le="0.5"} 980.0\nroas_event_handling_seconds_bucket{le="1.0"} 989',
    ),
    "sync lag p99": lambda: changed('delay_seconds_bucket{le="0.5"} 995', 'delay_seconds_bucket{le="0.5"} 989'),
    "errors": lambda: changed('failures_total{subscriber="a"} 50', 'failures_total{subscriber="a"} 60'),
    "success": lambda: changed('outcome="failed"} 1', 'outcome="failed"} 2'),
    "series:": lambda: replace(evidence(), most_series=501),
    "series for services": lambda: changed('service="web"', 'service="hostile-1"'),
    "events dropped": lambda: evidence(GOOD + 'roas_event_subscriber_dropped_total{subscriber="a"} 1.0\n'),
    "killed services": lambda: changed('outcome="recovered"} 3', 'outcome="recovered"} 2'),
    "alerts that were not posted": lambda: replace(evidence(), pending=1),
    "changes that Redis": lambda: replace(evidence(), missing_in_redis=1),
    "requests that Discord": lambda: replace(evidence(), violations=["x"]),
    "memory": lambda: replace(evidence(), memory=[*leaking(60)]),
    "open files": lambda: replace(evidence(), footprints=[SMALL, replace(SMALL, files=71)]),
    "threads": lambda: replace(evidence(), footprints=[SMALL, replace(SMALL, threads=34)]),
    "containers": lambda: replace(evidence(), footprints=[SMALL, replace(SMALL, containers=5)]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_exceeded_limit_named(name: str) -> None:
    (breach,) = breaches(BROKEN[name]())
    assert breach.startswith(name)


def test_little_work_skips_memory_limit() -> None:
    few = [one for one in leaking(1000) if one.deployments < 100]
    assert breaches(replace(evidence(), memory=few)) == []
    assert "too little work to tell" in write_report(replace(evidence(), memory=few))


def test_pictures_and_warm_up_are_no_growth() -> None:
    """What is kept of the latest is full before the second fifth of the work."""
    filling = [replace(one, memory=one.memory - max(0, 30 - one.deployments)) for one in FLAT]
    assert breaches(replace(evidence(), memory=filling)) == []


def test_missing_measurements_fail() -> None:
    found = breaches(evidence('roas_recoveries_total{outcome="recovered"} 3\n'))
    assert "event latency p99: nothing was measured" in found
