"""Replicas that failed and were let pass are told of as what they are; one too many is found again after a crash."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from roas.deploy.applier import ServiceRolloutLog, no_news
from roas.deploy.phases.verification import summary_of
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.rollout import FailureAction, RolloutPolicy, RolloutRecord, RolloutState
from tests.unit.deploy.played_parts import service


def container(health: HealthStatus = HealthStatus.HEALTHY) -> ContainerSnapshot:
    return ContainerSnapshot("c", "c", "web", ContainerState.RUNNING, health, "", "", "")


def test_service_is_not_healthy_where_all_of_its_replicas_failed() -> None:
    definitions = {"web": service("web"), "api": service("api")}
    assert "1 of 2 changed" in summary_of(definitions, {"web": [], "api": [container()]})
    assert "2 of 2 changed" in summary_of(definitions, {"web": [container()], "api": [container()]})


def test_service_without_check_is_unverified() -> None:
    definitions = {"web": service("web", has_health_check=False)}
    for judged in ([], [container(HealthStatus.NONE)]):
        assert "0 of 1 changed service is healthy; unverified (no health check): web" in summary_of(
            definitions, {"web": judged}
        )


def test_service_without_replicas_has_nothing_that_fails() -> None:
    assert "1 of 1 changed" in summary_of({"web": service("web", replicas=0)}, {"web": []})


class Context:
    """Hold records as a deployment does."""

    failed = False

    def __init__(self, **records: RolloutRecord) -> None:
        self.records = records

    def rollout(self, name: str) -> RolloutRecord | None:
        return self.records.get(name)

    async def save_rollout(self, name: str, record: RolloutRecord) -> None:
        self.records[name] = record

    async def report(self, *said: object) -> None:
        pass


@pytest.mark.parametrize("action", [FailureAction.ROLLBACK, FailureAction.PAUSE])
async def test_one_too_many_is_found_again_after_a_crash(action: FailureAction) -> None:
    """It is written before it leads to anything: whoever resumes must not take it for let pass."""
    policy = RolloutPolicy(parallelism=1, failure_action=action)
    context = Context(web=RolloutRecord(RolloutState.DONE, slots=2, accepted=("a",)))
    log = ServiceRolloutLog(cast("Any", context), service("web", replicas=2, update=policy), no_news)
    error = cast("Any", SimpleNamespace(message="it fails", report=""))
    assert await log.late_failure("b", error) is not None
    assert log.tolerated == {"a"}
    assert await log.late_failure("b", error) is not None
    assert context.records["web"].failed == ("b",)


async def test_what_is_within_the_ratio_is_let_pass() -> None:
    policy = RolloutPolicy(parallelism=1, max_failure_ratio=0.5)
    context = Context(web=RolloutRecord(slots=2, failed=("b",)))
    log = ServiceRolloutLog(cast("Any", context), service("web", replicas=2, update=policy), no_news)
    assert log.tolerated == {"b"}
