"""A proxy that does not run is at fault itself, and not the service behind it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from roas.errors import ProxyError, ServiceFailedError
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.stack import ServiceDefinition, ServiceProxy
from roas.stack.behind_proxy import BehindProxy

WEB = ServiceDefinition("web", "web:v1", "", proxy=ServiceProxy("haproxy"))


class Engine:
    """Have a proxy that sends nothing to anybody."""

    def __init__(self, state: ContainerState) -> None:
        self.proxy = ContainerSnapshot("p1", "haproxy-1", "haproxy", state, HealthStatus.NONE, "i", "haproxy", "h")

    @property
    def proxies(self) -> "Engine":
        return self

    def in_front_of(self, *_: object) -> "Engine":
        return self

    async def admit(self, *_: object) -> None:
        raise ProxyError("haproxy sends web nothing", service="web")

    require = admit

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        return (self.proxy,)

    async def failure_output(self, container_id: str) -> str:
        return f"the last words of {container_id}"


async def say(_text: str) -> None:
    """Nobody listens."""


async def test_proxy_that_was_just_replaced_and_loops_has_failed():
    """It may run for a moment just when it is looked at."""
    engine = Engine(ContainerState.RUNNING)
    engine.proxy = replace(engine.proxy, restart_count=3)
    behind, stack = BehindProxy(), cast("Any", engine)
    well = ContainerSnapshot("w1", "web-1", "web", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "web", "h")
    with pytest.raises(ServiceFailedError, match="haproxy failed"):
        await behind.require(stack, WEB, [well], say)
    engine.proxy = replace(engine.proxy, started_at=datetime.now(UTC) - timedelta(hours=1))
    with pytest.raises(ProxyError):  # it is an old one, which may have been started again at any time
        await behind.admit(stack, WEB, [well], say, best_effort=False)
    engine.proxy = replace(engine.proxy, started_at=datetime.now(UTC) + timedelta(seconds=1))
    with pytest.raises(ServiceFailedError, match="haproxy failed"):  # it was, while it was waited for
        await behind.admit(stack, WEB, [well], say, best_effort=False)


@pytest.mark.parametrize(
    ("state", "error", "service", "report"),
    [
        (ContainerState.RESTARTING, ServiceFailedError, "haproxy", "the last words of p1"),
        (ContainerState.RUNNING, ProxyError, "web", ""),
    ],
)
async def test_failure_is_told_of_who_failed(state, error, service, report):
    behind, stack = BehindProxy(), cast("Any", Engine(state))
    well = ContainerSnapshot("w1", "web-1", "web", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "web", "h")
    with pytest.raises(error) as raised:
        await behind.admit(stack, WEB, [well], say, best_effort=False)
    assert (raised.value.service, raised.value.report) == (service, report)
    with pytest.raises(error) as raised:
        await behind.require(stack, WEB, [well], say)
    assert (raised.value.service, raised.value.report) == (service, report)
    ill = replace(well, health=HealthStatus.UNHEALTHY)
    await behind.require(stack, WEB, [ill], say)  # which gets no requests, whatever the proxy does
    dropped = replace(WEB, proxy=replace(WEB.proxy, is_dropped=True))
    await behind.admit(stack, dropped, [well], say, best_effort=False)
    await behind.require(stack, dropped, [well], say)
