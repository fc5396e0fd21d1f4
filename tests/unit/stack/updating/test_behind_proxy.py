"""What the proxy in front of a service is told, and who is at fault where it does not run."""

import asyncio
import time
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from roas.errors import ProxyError, ServiceFailedError
from roas.models.canary import CanaryPolicy, CanaryRecord
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.rollout import RolloutRecord
from roas.models.stack import ServiceDefinition, ServiceProxy
from roas.stack.proxy.proxied_service import ProxiedService, ProxyReport
from roas.stack.service_comparison import WantedService
from roas.stack.updating.behind_proxy import BehindProxy, Front
from roas.stack.updating.canary.service_canary import no_figure
from roas.stack.updating.service_rollout import ServiceRollout
from roas.stack.updating.service_update import ServiceUpdate, ServiceUpdater

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


async def test_proxy_that_was_just_replaced_and_loops_has_failed():
    """It may run for a moment just when it is looked at."""
    engine = Engine(ContainerState.RUNNING)
    engine.proxy = replace(engine.proxy, restart_count=3)
    front = Front(cast("Any", engine), WEB)
    well = ContainerSnapshot("w1", "web-1", "web", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "web", "h")
    with pytest.raises(ServiceFailedError, match="haproxy failed"):
        await front.require([well])
    engine.proxy = replace(engine.proxy, started_at=datetime.now(UTC) - timedelta(hours=1))
    with pytest.raises(ProxyError):  # it is an old one, which may have been started again at any time
        await front.admit([well])
    engine.proxy = replace(engine.proxy, started_at=datetime.now(UTC) + timedelta(seconds=1))
    with pytest.raises(ServiceFailedError, match="haproxy failed"):  # it was, while it was waited for
        await front.admit([well])


@pytest.mark.parametrize(
    ("state", "error", "service", "report"),
    [
        (ContainerState.RESTARTING, ServiceFailedError, "haproxy", "the last words of p1"),
        (ContainerState.RUNNING, ProxyError, "web", ""),
    ],
)
async def test_failure_is_told_of_who_failed(state, error, service, report):
    stack = cast("Any", Engine(state))
    front = Front(stack, WEB)
    well = ContainerSnapshot("w1", "web-1", "web", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "web", "h")
    with pytest.raises(error) as raised:
        await front.admit([well])
    assert (raised.value.service, raised.value.report) == (service, report)
    with pytest.raises(error) as raised:
        await front.require([well])
    assert (raised.value.service, raised.value.report) == (service, report)
    ill = replace(well, health=HealthStatus.UNHEALTHY)
    await front.require([ill])  # which gets no requests, whatever the proxy does
    dropped = replace(WEB, proxy=replace(WEB.proxy, is_dropped=True))
    await Front(stack, dropped).admit([well])
    await Front(stack, dropped).require([well])


class Told(ProxiedService):
    """Note what is told, and let old and new serve for ever while they are watched."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.watches = asyncio.Event()

    async def admit(self, containers: Collection[str], report: ProxyReport) -> None:
        self.told.append(f"admit {containers}")

    async def watch(self, containers: Collection[str], seconds: float) -> None:
        self.told.append(f"watch {containers} {seconds}")
        self.watches.set()
        if seconds:
            await asyncio.Event().wait()

    async def drain(self, containers: Collection[str], report: ProxyReport, **_: object) -> int:
        self.told.append(f"drain {containers}")
        return 2

    async def give_back(self, containers: Collection[str], failed: Collection[str]) -> None:
        self.told.append(f"give back {containers}, not {sorted(failed)}")


OLD, NEW = (
    ContainerSnapshot(name, f"web-{name}", "web", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "web", "h")
    for name in ("old", "new")
)


async def test_old_ones_serve_until_new_ones_were_watched():
    """What is drained gets nothing: so nothing is, for as long as the new ones may still fail."""
    proxy = Told()
    front = Front(cast("Any", SimpleNamespace(proxies=SimpleNamespace(in_front_of=lambda *_: proxy))), WEB)

    async def failing() -> frozenset[str]:
        await proxy.watches.wait()
        return frozenset({"new"})

    assert not await front.take_out([OLD], [NEW], failing=failing(), seconds=10.0)
    assert proxy.told == ["admit ['new']", "watch ['new'] 10.0", "give back ['old'], not ['new']"]
    proxy.told.clear()
    assert await front.take_out([OLD], [NEW])
    assert proxy.told == ["admit ['new']", "watch ['new'] 0.0", "drain ['old']"]
    assert front.with_left_open("healthy").startswith("healthy; 2 connections")


class RolloutLog:
    """Watch new replicas for ten seconds, and note from when on the old ones have waited for that."""

    record, monitor_seconds, seconds_left, may_pause = None, 10.0, None, True
    read_figure = no_figure

    def __init__(self) -> None:
        self.watched: list[float] = []
        self.watched_from = self.watched.append


@pytest.mark.parametrize(
    ("changes", "restoring", "seconds", "counts"),
    [
        ({"start_first": True}, False, 10.0, True),
        ({}, False, 10.0, False),
        ({"start_first": True}, True, 0.0, False),
        ({"start_first": True, "proxy": None}, False, 0.0, False),
    ],
    ids=["start-first", "stop-first, one is still to come", "what is replaced has failed", "nobody can be told"],
)
def test_last_old_ones_wait_for_the_new(changes, restoring, seconds, counts):
    definition = replace(WEB, replicas=2, **changes)
    log, watch = RolloutLog(), SimpleNamespace(of_service=lambda _: ())
    given = [None, "", SimpleNamespace(definition=definition), watch, log, None, None]
    rollout = ServiceRollout(*cast("Any", given), restoring=restoring)
    rollout.rollout._ready_at["new"] = now = time.monotonic()
    assert rollout._seconds_to_watch() == pytest.approx(seconds, abs=1.0)
    assert log.watched == ([now] if counts else [])


@pytest.mark.parametrize(
    ("state", "record", "begins"),
    [
        (ContainerState.RUNNING, None, True),
        (ContainerState.EXITED, None, False),
        (ContainerState.RESTARTING, None, False),
        (ContainerState.RESTARTING, CanaryRecord(0, 2), True),  # it is asked about, rather than promoted
        (ContainerState.RUNNING, CanaryRecord(2, 2), True),
    ],
)
async def test_canary_begins_beside_what_serves_and_ends_with_equal_weights(state, record, begins):
    """Also where a person promoted it in its last step: the rest of the rollout may take long."""
    told: list[tuple[tuple[str, ...], int, int]] = []

    async def weigh(*shares: Any) -> None:
        told.append(shares)

    definition = replace(WEB, canary=CanaryPolicy((10, 50)), start_first=True)
    log, watch = RolloutLog(), SimpleNamespace(of_service=lambda _: (replace(OLD, state=state),))
    log.record, wanted = RolloutRecord(canary=record), WantedService(definition, "new")
    given = [None, "", wanted, watch, log, SimpleNamespace(weigh=weigh), None]
    rollout = ServiceRollout(*cast("Any", given))
    assert rollout._can_begin_canary is begins
    if record is not None and record.is_over:
        await rollout._run_canary(rollout.canary)
        assert told == [((), 0, 0)]


async def say_to_nobody(*_: object) -> None:
    """Tell nobody."""


class Held(Told):
    """Note what is held before containers are made, and make none."""

    environment = SimpleNamespace(name="dev")
    replaces_by_itself = False

    @property
    def proxies(self) -> "Held":
        return self

    def in_front_of(self, *_: object) -> "Held":
        return self

    async def hold(self, new: int) -> None:
        self.told.append(f"hold {new}")

    async def create_service(self, *_: object, **__: object) -> tuple[str, ...]:
        self.told.append("create")
        raise ServiceFailedError("no more of this test")


@pytest.mark.parametrize("start_first", [True, False])
@pytest.mark.parametrize("replicas", [2, 3])
async def test_what_starts_beside_what_serves_is_held(start_first: bool, replicas: int):
    """A service gets more replicas, or one that is missing: in whatever order it is replaced, these are not ready."""
    stack, definition = Held(), replace(WEB, replicas=replicas, start_first=start_first)
    watch = SimpleNamespace(of_service=lambda _: (NEW,), containers=(NEW,))

    wanted = WantedService(definition, NEW.config_hash)
    update = ServiceUpdate("model", definition, cast("Any", say_to_nobody), rollout=cast("Any", RolloutLog()))
    with pytest.raises(ServiceFailedError):
        await ServiceUpdater(cast("Any", stack), cast("Any", watch), BehindProxy(), update, wanted).run()
    assert stack.told == [f"hold {replicas - 1}", "create"]


async def test_recovery_fails_for_no_proxy():
    """What is down comes up again, whatever the proxy says."""

    class Away(Held):
        async def hold(self, new: int) -> None:
            raise ProxyError("The proxy does not answer.")

    stack, definition = Away(), replace(WEB, replicas=2)
    watch = SimpleNamespace(of_service=lambda _: (NEW,), containers=(NEW,))
    wanted = WantedService(definition, NEW.config_hash)
    for log, told in ((None, ["create"]), (RolloutLog(), [])):
        stack.told.clear()
        update = ServiceUpdate("model", definition, cast("Any", say_to_nobody), rollout=cast("Any", log))
        with pytest.raises(ProxyError if log else ServiceFailedError):
            await ServiceUpdater(cast("Any", stack), cast("Any", watch), BehindProxy(), update, wanted).run()
        assert stack.told == told


async def test_what_was_made_before_a_crash_is_held_before_it_starts():
    """A proxy that was killed with the bot may have forgotten what was held."""
    told: list[str] = []

    async def hold(new: int, **_: object) -> None:
        told.append(f"hold {new}")

    async def start(name: str) -> None:
        told.append(f"start {name}")

    async def inspect(_: object) -> None:
        """See nothing new."""

    made = replace(NEW, id="made", state=ContainerState.CREATED, health=HealthStatus.NONE)
    watch = SimpleNamespace(of_service=lambda _: (OLD, NEW, made), inspect=inspect)
    stack, front = SimpleNamespace(start=start), SimpleNamespace(hold=hold)
    given = [stack, "", WantedService(WEB, NEW.config_hash), watch, RolloutLog(), front, None]
    await ServiceRollout(*cast("Any", given))._start_idle()
    assert told == ["hold 1", "start made"]
