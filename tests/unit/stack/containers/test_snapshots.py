"""What inspecting a container returns is read as it is meant."""

from typing import Any

import pytest

from roas.models.health import HealthStatus
from roas.stack.containers.snapshots import snapshot

PASSED, FAILED = {"ExitCode": 0, "Output": ""}, {"ExitCode": 1, "Output": "no answer"}


def inspected(**health: Any) -> dict[str, Any]:
    return {
        "Id": "c" * 64,
        "Name": "/shop-web-1",
        "Image": "sha256:1",
        "Config": {},
        "HostConfig": {},
        "State": {"Status": "running", "Health": {"Status": "unhealthy", **health}},
    }


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        pytest.param({"FailingStreak": 3, "Log": [FAILED]}, HealthStatus.UNHEALTHY, id="checks failed"),
        pytest.param({"FailingStreak": 0, "Log": [PASSED]}, HealthStatus.STARTING, id="it was paused"),
    ],
)
def test_unhealthy_is_what_failed_a_check(health: dict[str, Any], expected: HealthStatus) -> None:
    assert snapshot(inspected(**health)).health is expected
