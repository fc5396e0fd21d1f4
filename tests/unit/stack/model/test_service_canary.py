"""What `x-deploy.canary` may say, and what it means."""

from typing import Any

import pytest

from roas.errors import ComposeFileError
from roas.models.canary import CanaryPolicy, ErrorRates
from roas.stack.model.definitions import read_definitions
from roas.stack.model.service_canary import refuse_impossible_canaries
from roas.stack.model.service_proxy import servers_needed

PROXY = {"service": "haproxy", "backends": ["web"]}


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
        ({"pause": "1m", "deadline": "10s"}, "`deadline` is shorter than `pause`"),
        ({"checks": []}, "`checks`: one of errors"),
        ({"checks": ["latency"]}, "`checks`: one of errors"),
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
        ({"proxy": None}, "it needs `x-deploy.proxy`"),
        ({"proxy": {"service": "haproxy", "kind": "dns"}}, "it needs `x-deploy.proxy`"),
        ({"container_name": "web"}, "replaced stop-first"),
        ({"deploy": {"replicas": 4, "update_config": {"order": "stop-first"}}}, "replaced stop-first"),
        ({"canary": {"replicas": 5}}, "it has 5 replicas, and the service has 4"),
    ],
)
def test_canary_that_cannot_be_is_refused(fields: dict[str, Any], why: str) -> None:
    definitions = stack(**({"canary": {}} | fields))
    with pytest.raises(ComposeFileError, match=why):
        refuse_impossible_canaries(definitions)


@pytest.mark.parametrize(
    ("policy", "replicas", "counts"),
    [
        (CanaryPolicy((10, 50)), 2, [1, 1]),
        (CanaryPolicy((10, 50)), 10, [1, 5]),
        (CanaryPolicy((10, 50), replicas=3), 10, [3, 5]),
        (CanaryPolicy(replicas=3), 2, [2]),
    ],
)
def test_step_has_as_many_containers_as_its_share(policy: CanaryPolicy, replicas: int, counts: list[int]) -> None:
    assert [policy.new_containers(step, replicas) for step in range(len(policy.shares))] == counts
