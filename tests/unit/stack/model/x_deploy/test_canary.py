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
        ([10], "it is no mapping"),
        ({"percent": 10}, "unknown keys percent"),
        ({"steps": [50, 10]}, "each greater than the one before"),
        ({"steps": [0]}, "0 is no share"),
        ({"steps": [100]}, "100 is no share"),
        ({"steps": [2.5]}, "whole percents"),
        ({"weight": "much"}, "'much' is no share"),
        ({"replicas": 0}, "no whole number"),
        ({"pause": "soon"}, "not a duration"),
        ({"pause": "0s"}, "not a duration"),
        ({"bake": "0s"}, "not a duration"),
        ({"pause": "1m", "deadline": "10s"}, "`deadline` is shorter than `pause`"),
        ({"checks": []}, "`checks` are `errors` and `response_time`, once each"),
        ({"checks": ["latency"]}, "`checks` are `errors` and `response_time`, once each"),
        ({"checks": ["errors", "errors"]}, "`checks` are `errors` and `response_time`, once each"),
        ({"checks": ["response_time", {"response_time": {}}]}, "`checks` are `errors` and `response_time`, once each"),
        ({"checks": [{"response_time": {"times": 1}}]}, "1 is no number from 1.2 on"),
        ({"checks": [{"response_time": {"below": 1}}]}, "`response_time` has times"),
        ({"checks": [{"query": "up", "below": 1}] * 11}, "it has more than 10"),
        ({"checks": [{"query": "u" * 2001, "below": 1}]}, "`below` or `above` a number"),
        ({"checks": [{"query": "up"}]}, "`below` or `above` a number"),
        ({"checks": [{"query": "", "below": 1}]}, "`below` or `above` a number"),
        ({"checks": [{"query": "up", "below": "0.3"}]}, "'0.3' is no number"),
        ({"checks": [{"errors": {"worst": 1}}]}, "`errors` has bad, good"),
        ({"checks": [{"errors": {"good": 4}}]}, "`bad` is less than twice `good`"),
    ],
)
def test_canary_that_means_nothing_is_refused(written: Any, why: str) -> None:
    with pytest.raises(ComposeFileError, match="x-deploy of web is not valid: canary: ") as refused:
        stack(written)
    assert why in refused.value.message


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"proxy": None}, "without, it needs a `query`"),
        ({"proxy": None, "canary": {"checks": "response_time"}}, "without, it needs a `query`"),
        ({"proxy": {"service": "haproxy", "kind": "dns"}}, "without, it needs a `query`"),
        ({"proxy": None, "canary": {"checks": SLOW}}, "replaced stop-first"),
        ({"container_name": "web"}, "replaced stop-first"),
        (
            {"proxy": None, "canary": {"steps": [20, 51], "checks": SLOW}, "deploy": START_FIRST},
            "a step has 50 % at most",
        ),
        ({"deploy": {"replicas": 4, "update_config": {"order": "stop-first"}}}, "replaced stop-first"),
        ({"canary": {"replicas": 5}}, "it has 5 replicas, and the service has 4"),
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
