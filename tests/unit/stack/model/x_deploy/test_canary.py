"""What `x-deploy.canary` may say, and what it means."""

from typing import Any

import pytest

from roas.errors import ComposeFileError
from roas.models.canary import CanaryPolicy, ErrorRates, QueryCheck, TimeCheck
from roas.stack.model.definitions import read_definitions
from roas.stack.model.x_deploy.canary import refuse_impossible_canaries
from roas.stack.model.x_deploy.proxy import servers_needed

PROXY = {"service": "haproxy", "backends": ["web"]}


SLOW = {"query": "latency", "below": 0.3}
START_FIRST = {"replicas": 4, "update_config": {"order": "start-first"}}


def stack(canary: Any, proxy: Any = PROXY, **fields: Any) -> dict[str, Any]:
    extension = {"canary": canary} | ({} if proxy is None else {"proxy": proxy})
    web = {"image": "web", "deploy": {"replicas": 4}, "x-deploy": extension} | fields
    return read_definitions({"services": {"web": web, "haproxy": {"image": "haproxy"}}})


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ({}, CanaryPolicy()),
        ({"replicas": 2}, CanaryPolicy(replicas=2)),
        ({"weight": 10}, CanaryPolicy(shares=(10,))),
        ({"weight": "10%", "steps": [25, 50]}, CanaryPolicy(shares=(10, 25, 50))),
        ({"steps": [10, 50], "pause": "30s"}, CanaryPolicy((10, 50), pause_seconds=30.0, deadline_seconds=150.0)),
        ({"pause": "30s", "deadline": "1m"}, CanaryPolicy(pause_seconds=30.0, deadline_seconds=60.0)),
        ({"least_requests": 200, "checks": "errors"}, CanaryPolicy(least_requests=200)),
        ({"bake": "15m"}, CanaryPolicy(bake_seconds=900.0)),
        ({"checks": ["errors", SLOW]}, CanaryPolicy(queries=(QueryCheck("latency", below=0.3),))),
        (
            {"checks": {"query": "up", "above": 0, "below": 9}},
            CanaryPolicy(errors=None, queries=(QueryCheck("up", 9.0, 0.0),)),
        ),
        ({"checks": ["errors", "response_time"]}, CanaryPolicy(times=TimeCheck())),
        ({"checks": ["errors", {"response_time": {"times": 1.5}}]}, CanaryPolicy(times=TimeCheck(1.5))),
        ({"checks": [{"errors": {"good": 0.1, "bad": "2%"}}]}, CanaryPolicy(errors=ErrorRates(0.001, 0.02))),
    ],
)
def test_canary_is_read(written: dict[str, Any], policy: CanaryPolicy) -> None:
    web = stack(written)["web"]
    assert web.canary == policy
    assert web.proxy.is_weighed
    assert web.for_rollback().canary is None
    assert servers_needed(web) == 8, "all of the old ones stay beside it"


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ([10], "canary: use {…}"),
        ({"percent": 10}, "unknown keys percent"),
        ({"steps": [50, 10]}, "canary.steps: use [5, 25, 50]"),
        ({"steps": [0]}, "`steps`: 0 is no share between 0 and 100 %"),
        ({"steps": [100]}, "`steps`: 100 is no share between 0 and 100 %"),
        ({"steps": [2.5]}, "canary.steps: use [5, 25, 50]"),
        ({"weight": "much"}, "`weight`: 'much' is no share between 0 and 100 %"),
        ({"replicas": 0}, "`replicas`: 0 is no whole number from 1 on"),
        ({"pause": "soon"}, "not a duration"),
        ({"pause": "0s"}, "canary.pause: use 10s"),
        ({"bake": "0s"}, "canary.bake: use 10s"),
        ({"pause": "1m", "deadline": "10s"}, "canary.deadline: use ≥ pause"),
        ({"checks": []}, "canary.checks: use [errors, response_time, {query: "),
        ({"checks": ["latency"]}, "canary.checks: use [errors, response_time, {query: "),
        ({"checks": ["errors", "errors"]}, "canary.checks: use [errors, response_time, {query: "),
        ({"checks": ["response_time", {"response_time": {}}]}, "canary.checks: use [errors, response_time, {query: "),
        ({"checks": [{"response_time": {"times": 1}}]}, "canary.checks.response_time.times: use ≥ 1.2"),
        ({"checks": [{"response_time": {"below": 1}}]}, "canary.checks.response_time: use {times: 1.5}"),
        ({"checks": [{"query": "up", "below": 1}] * 11}, "canary.checks: more than 10"),
        ({"checks": [{"query": "u" * 2001, "below": 1}]}, "canary.checks: use {query: QUERY, below: 0.3"),
        ({"checks": [{"query": "up"}]}, "canary.checks: use {query: QUERY, below: 0.3"),
        ({"checks": [{"query": "", "below": 1}]}, "canary.checks: use {query: QUERY, below: 0.3"),
        ({"checks": [{"query": "up", "below": "0.3"}]}, "canary.checks.below: use 0.3"),
        ({"checks": [{"errors": {"worst": 1}}]}, "canary.checks.errors: use {good: 1%, bad: 5%}"),
        ({"checks": [{"errors": {"good": 4}}]}, "canary.checks.errors.bad: use ≥ 2 × good"),
    ],
)
def test_canary_that_means_nothing_is_refused(written: Any, why: str) -> None:
    with pytest.raises(ComposeFileError, match="x-deploy of web is not valid: canary") as refused:
        stack(written)
    assert why in refused.value.message


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"proxy": None}, "without it, use a `query`"),
        ({"proxy": None, "canary": {"checks": "response_time"}}, "without it, use a `query`"),
        ({"proxy": {"service": "haproxy", "kind": "dns"}}, "without it, use a `query`"),
        ({"proxy": None, "canary": {"checks": SLOW}}, "it needs `order: start-first`"),
        ({"container_name": "web"}, "it needs `order: start-first`"),
        (
            {"proxy": None, "canary": {"steps": [20, 51], "checks": SLOW}, "deploy": START_FIRST},
            "a step has at most 50 %",
        ),
        ({"deploy": {"replicas": 4, "update_config": {"order": "stop-first"}}}, "it needs `order: start-first`"),
        ({"canary": {"replicas": 5}}, "canary.replicas: use ≤ 4"),
    ],
)
def test_canary_that_cannot_be_is_refused(fields: dict[str, Any], why: str) -> None:
    definitions = stack(**({"canary": {}} | fields))
    with pytest.raises(ComposeFileError, match=why):
        refuse_impossible_canaries(definitions)


def test_canary_by_queries_needs_no_proxy() -> None:
    """Each of its containers gets as many requests as any other: there are as many as have the share."""
    definitions = stack({"steps": [20, 50], "checks": SLOW}, proxy=None, deploy=START_FIRST)
    refuse_impossible_canaries(definitions)
    canary = definitions["web"].canary
    assert canary is not None
    assert [canary.new_containers(step, 4) for step in (0, 1)] == [1, 4]


@pytest.mark.parametrize(
    ("policy", "replicas", "counts"),
    [
        (CanaryPolicy((10, 50)), 2, [1, 1]),
        (CanaryPolicy((10, 50)), 10, [1, 5]),
        (CanaryPolicy((10, 50), replicas=3), 10, [3, 5]),
        (CanaryPolicy(replicas=3), 2, [2]),
        (CanaryPolicy((10, 50), is_weighed=False), 10, [2, 10]),
    ],
)
def test_step_has_as_many_containers_as_its_share(policy: CanaryPolicy, replicas: int, counts: list[int]) -> None:
    assert [policy.new_containers(step, replicas) for step in range(len(policy.shares))] == counts
