"""What inspecting a container returns is read as it is meant."""

from typing import Any

import pytest

from roas.models.health import HealthStatus
from roas.stack.containers.snapshots import snapshot

PASSED, FAILED = {"ExitCode": 0, "Output": ""}, {"ExitCode": 1, "Output": "no answer"}
NOT_RUN = {"ExitCode": -1, "Output": "dial unix /run/containerd/containerd.sock: connect: connection refused"}


@pytest.mark.parametrize(
    ("state", "retries", "streak", "last", "expected", "unchecked"),
    [
        pytest.param("running", 0, 3, FAILED, HealthStatus.UNHEALTHY, False, id="its checks failed"),
        pytest.param("running", 1, 1, FAILED, HealthStatus.UNHEALTHY, False, id="one is enough"),
        pytest.param("running", 0, 0, PASSED, HealthStatus.STARTING, False, id="it was paused"),
        pytest.param("running", 5, 4, FAILED, HealthStatus.STARTING, False, id="it was paused while some failed"),
        pytest.param("running", 0, 0, None, HealthStatus.STARTING, False, id="it was paused before the first"),
        pytest.param("exited", 0, 0, None, HealthStatus.UNHEALTHY, False, id="it ended at once"),
        pytest.param("restarting", 0, 0, PASSED, HealthStatus.UNHEALTHY, False, id="it ends again and again"),
        pytest.param("paused", 0, 0, PASSED, HealthStatus.UNHEALTHY, False, id="it is paused"),
        pytest.param("running", 0, 3, NOT_RUN, HealthStatus.STARTING, True, id="no check can be run"),
    ],
)
def test_unhealthy_is_what_failed_its_checks(
    state: str, retries: int, streak: int, last: dict[str, Any] | None, expected: HealthStatus, unchecked: bool
) -> None:
    health = {"Status": "unhealthy", "FailingStreak": streak, "Log": [last] if last else []}
    found = snapshot(
        {
            "Id": "c" * 64,
            "Name": "/shop-web-1",
            "Image": "sha256:1",
            "Config": {"Healthcheck": {"Test": ["CMD", "true"], "Retries": retries}},
            "HostConfig": {},
            "State": {"Status": state, "Health": health},
        }
    )
    assert (found.health, found.unchecked) == (expected, unchecked)
