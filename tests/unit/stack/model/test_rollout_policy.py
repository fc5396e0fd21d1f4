"""`update_config` and `rollback_config` are read key by key; what is left out is as without the section."""

import pytest

from roas.errors import ComposeFileError
from roas.models.rollout import ALL_AT_ONCE, FailureAction, RolloutPolicy
from roas.stack.model.definitions import read_definitions
from roas.stack.model.rollout_policy import refuse_wrong_rollouts

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


WRONG = {
    "failure_action": (["PAUSE", "explode", "Rollback"], "rollback | pause | continue"),
    "max_failure_ratio": ([2, -0.5], "0.0–1.0"),
    "parallelism": ([-1], "0, 1, 2"),
    "delay": (["-5s", -5], "10s"),
    "monitor": (["-1s", "1fortnight"], "10s"),
}


@pytest.mark.parametrize("section", ["update_config", "rollback_config"])
@pytest.mark.parametrize("key", WRONG)
def test_wrong_value_is_named_with_what_is_allowed(section, key) -> None:
    values, allowed = WRONG[key]
    for value in values:
        with pytest.raises(ComposeFileError) as refused:
            refuse_wrong_rollouts({"services": {"web": {"deploy": {section: {key: value}}}}})
        told = refused.value.message
        assert f"web: {key} of `{section}` is {value!r}; use {allowed}" in told, told


def test_every_wrong_value_is_named_at_once() -> None:
    deploy = {"update_config": {"failure_action": "PAUSE"}, "rollback_config": {"delay": "-1s"}}
    with pytest.raises(ComposeFileError) as refused:
        refuse_wrong_rollouts({"services": {"web": {"deploy": deploy}, "api": {"deploy": deploy}}})
    assert refused.value.message.count("; use ") == 4


def test_right_values_are_not_refused() -> None:
    for section in (WHOLE, {"failure_action": "rollback", "max_failure_ratio": 1, "parallelism": 0, "delay": "0s"}):
        refuse_wrong_rollouts({"services": {"web": {"deploy": {"update_config": section}}, "api": {}}})


def test_stored_model_with_a_wrong_value_is_still_read() -> None:
    """A release of before has to be brought back, whatever is refused today."""
    assert web(update_config={"delay": "-5s", "monitor": "-1s"}).update == ALL_AT_ONCE
