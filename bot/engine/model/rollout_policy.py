"""Read `update_config` and `rollback_config` of the Compose Specification: how replicas are replaced."""

from collections.abc import Mapping
from typing import Any

from roas.engine.model.durations import read_duration
from roas.models.rollout import ALL_AT_ONCE, FailureAction, RolloutPolicy


def rollout_policy(config: Mapping[str, Any]) -> RolloutPolicy:
    """Read a section; a key that it does not have is as without the section, not as Swarm's default of it."""
    return RolloutPolicy(
        parallelism=max(0, int(config.get("parallelism") or 0)),
        delay_seconds=read_duration(config.get("delay") or 0),
        failure_action=FailureAction(config.get("failure_action") or ALL_AT_ONCE.failure_action),
        max_failure_ratio=float(config.get("max_failure_ratio") or 0.0),
    )


def monitor_of(config: Mapping[str, Any]) -> float | None:
    """Return for how long a new replica is watched, where a section says so."""
    monitor = config.get("monitor")
    return None if monitor is None else read_duration(monitor)
