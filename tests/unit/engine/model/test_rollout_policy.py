"""`update_config` and `rollback_config` are read key by key; what is left out is as without the section."""

import pytest

from roas.engine.model.definitions import read_definitions
from roas.models.rollout import ALL_AT_ONCE, FailureAction, RolloutPolicy

WHOLE = {"parallelism": 2, "delay": "1m30s", "failure_action": "pause", "max_failure_ratio": 0.25, "monitor": "9s"}


def web(**deploy: object):
    return read_definitions({"services": {"web": {"image": "web:v1", "deploy": {"replicas": 4, **deploy}}}})["web"]


def test_every_key_counts() -> None:
    found = web(update_config=WHOLE, rollback_config={"parallelism": 1, "failure_action": "continue", "monitor": "3s"})
    assert found.update == RolloutPolicy(2, 90.0, FailureAction.PAUSE, 0.25)
    assert found.rollback == RolloutPolicy(1, failure_action=FailureAction.CONTINUE)
    assert (found.monitor_seconds, found.rollback_monitor_seconds) == (9.0, 3.0)


@pytest.mark.parametrize("section", [None, {}, {"order": "start-first"}, {"monitor": "5s"}, {"parallelism": 0}])
def test_what_is_left_out_is_as_it_was(section) -> None:
    assert web(update_config=section).update == ALL_AT_ONCE


def test_unknown_action_is_rolled_back() -> None:
    assert web(update_config={"failure_action": "explode"}).update.failure_action is FailureAction.ROLLBACK
