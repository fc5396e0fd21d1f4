"""A sample compares what the release wants with what the engine shows."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from roas.errors import EngineError, EngineUnavailableError, ReleaseNotRestorableError
from roas.health.sampler import MANY_CONTAINERS, StackSampler
from roas.health.usage import Usage
from roas.health.wanted_services import WantedServices
from roas.models.actor import Actor, ActorKind
from roas.models.environment import EngineKind, Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus, Verdict
from roas.models.release import Release, ReleaseState
from roas.models.stack import ServiceDefinition
from roas.stack.containers.statistics import ContainerReading
from tests.unit.one_stack import OneStack

SWARM = Environment("dev", "shop-dev", Path(), (), engine=EngineKind.SWARM)
DEV = Environment("dev", "shop-dev", Path(), (), critical_services=frozenset({"db"}))
WEB = ContainerSnapshot("c1", "web-1", "web", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "web:1", "h")


class World(OneStack):
    """Be the engine, the statistics and the releases of one test."""

    def __init__(self) -> None:
        self.snapshots: list[ContainerSnapshot] = [WEB]
        self.wanted: dict[str, ServiceDefinition] = {
            "web": ServiceDefinition("web", "web:1", "h", has_health_check=True)
        }
        self.model_hash: str | None = "m1"
        self.loaded: list[str] = []
        self.engine_fault: EngineError | None = None
        self.statistics_fault: EngineError | None = None
        self.model_fault: ReleaseNotRestorableError | None = None
        self.readings: dict[str, ContainerReading] = {}
        self.asked_of: list[str] = []

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        if self.engine_fault:
            raise self.engine_fault
        return tuple(self.snapshots)

    async def load_model(self, model_hash: str) -> Mapping[str, Any]:
        if self.model_fault:
            raise self.model_fault
        self.loaded.append(model_hash)
        return {}

    def definitions(self, model: Mapping[str, Any]) -> Mapping[str, ServiceDefinition]:
        return dict(self.wanted)

    async def read(self, environment: Environment, container_ids: Iterable[str]) -> Mapping[str, ContainerReading]:
        if self.statistics_fault:
            raise self.statistics_fault
        self.asked_of = list(container_ids)
        return {item: self.readings[item] for item in self.asked_of if item in self.readings}

    async def applied(self, environment: str) -> Release | None:
        if self.model_hash is None:
            return None
        actor = Actor(ActorKind.SYSTEM, "0", "test")
        return Release(environment, 1, "v1", ReleaseState.SUCCEEDED, (), self.model_hash, datetime.now(UTC), actor)

    async def holding(self, environment: str) -> None:
        return None


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def sampler(world: World) -> StackSampler:
    return StackSampler(world, world, WantedServices(world, world, world))  # type: ignore[arg-type]


async def test_wanted_service_without_container_unhealthy(world: World, sampler: StackSampler) -> None:
    world.wanted["db"] = ServiceDefinition("db", "db:1", "h")
    sample = await sampler.sample(DEV)
    assert {service.service: service.verdict for service in sample.stack.services} == {
        "db": Verdict.UNHEALTHY,
        "web": Verdict.HEALTHY,
    }
    assert (sample.stack.verdict, sample.reason) == (Verdict.UNHEALTHY, "db has no container")


async def test_service_on_each_node_has_as_many_replicas_as_nodes(world: World, sampler: StackSampler) -> None:
    """Of a Swarm's `mode: global`; the worst of them decides, and none at all is one too few."""
    world.wanted = {"web": replace(world.wanted["web"], on_each_node=True)}
    world.replaces_by_itself = True
    world.snapshots = [replace(WEB, id=f"t{number}") for number in range(3)]
    assert (await sampler.sample(DEV)).stack.verdict is Verdict.HEALTHY
    world.snapshots[1] = replace(WEB, id="t1", state=ContainerState.EXITED, exit_code=3)
    assert (await sampler.sample(DEV)).stack.services[0].verdict is Verdict.UNHEALTHY
    world.snapshots = []
    assert (await sampler.sample(DEV)).stack.services[0].verdict is Verdict.UNHEALTHY


async def test_stack_without_release_judged_by_containers(world: World, sampler: StackSampler) -> None:
    world.model_hash = None
    assert (await sampler.sample(DEV)).stack.verdict is Verdict.HEALTHY


async def test_unreachable_engine_makes_all_unknown(world: World, sampler: StackSampler) -> None:
    world.engine_fault = EngineUnavailableError("The engine does not answer.")
    sample = await sampler.sample(DEV)
    assert sample.stack.verdict is Verdict.UNKNOWN
    assert [(service.service, service.verdict) for service in sample.stack.services] == [("web", Verdict.UNKNOWN)]
    assert sample.reason == "The engine does not answer."


async def test_model_read_once_per_release(world: World, sampler: StackSampler) -> None:
    await sampler.sample(DEV)
    await sampler.sample(DEV)
    world.model_hash = "m2"
    await sampler.sample(DEV)
    assert world.loaded == ["m1", "m2"]


async def test_missing_model_keeps_known_definitions(world: World, sampler: StackSampler) -> None:
    world.wanted["db"] = ServiceDefinition("db", "db:1", "h")
    await sampler.sample(DEV)
    world.model_hash, world.model_fault = "m2", ReleaseNotRestorableError("gone")
    assert len((await sampler.sample(DEV)).stack.services) == 2


async def test_replica_cpu_and_memory_summed(world: World, sampler: StackSampler) -> None:
    world.snapshots = [WEB, replace(WEB, id="c2")]
    world.readings = {"c1": ContainerReading(1.0, 100, 10.0), "c2": ContainerReading(1.0, 50, 10.0)}
    first = (await sampler.sample(DEV)).stack.services[0]
    world.readings = {"c1": ContainerReading(3.0, 100, 12.0), "c2": ContainerReading(2.0, 50, 12.0)}
    second = (await sampler.sample(DEV)).stack.services[0]
    assert (first.cpu_percent, first.memory_bytes) == (None, 150)
    assert second.cpu_percent == pytest.approx(150.0)


class Elsewhere:
    """Know what containers on other nodes use."""

    def __init__(self) -> None:
        self.known: dict[str, Usage] = {}
        self.asked_of: list[str] = []

    async def read(self, container_ids: Iterable[str]) -> Mapping[str, Usage]:
        self.asked_of = list(container_ids)
        return {item: self.known[item] for item in self.asked_of if item in self.known}


async def test_usage_on_other_nodes_is_added_where_it_is_known(world: World) -> None:
    """What is on the node that is asked is asked of nobody else; what nobody knows makes the sum a part."""
    cluster = Elsewhere()
    sampler = StackSampler(world, world, WantedServices(world, world, world), cluster=cluster)  # type: ignore[arg-type]
    own, far = (replace(WEB, id=f"t{item}", container_id=f"c{item}", node=f"node{item}") for item in (1, 2))
    world.snapshots = [own, far, replace(far, id="t3", container_id="c3", state=ContainerState.EXITED)]
    world.readings = {"c1": ContainerReading(1.0, 100, 10.0)}
    part = (await sampler.sample(SWARM)).stack.services[0]
    assert (cluster.asked_of, part.memory_bytes, part.unmeasured, part.whole_usage) == (["c2"], 100, 1, (None, None))
    cluster.known = {"c2": Usage(50.0, 11)}
    first = (await sampler.sample(SWARM)).stack.services[0]
    assert first.whole_usage == (None, 111), "half of the processors that it uses are not known yet"
    world.readings = {"c1": ContainerReading(2.0, 100, 12.0)}
    assert (await sampler.sample(SWARM)).stack.services[0].whole_usage == (100.0, 111)
    world.snapshots = [WEB]
    await sampler.sample(DEV)
    assert cluster.asked_of == [], "on one machine"


async def test_unreadable_stats_keep_verdict(world: World, sampler: StackSampler) -> None:
    world.statistics_fault = EngineError("no statistics")
    health = (await sampler.sample(DEV)).stack.services[0]
    assert (health.verdict, health.memory_bytes) == (Verdict.HEALTHY, None)


async def test_restarts_between_samples_degrade(world: World, sampler: StackSampler) -> None:
    await sampler.sample(DEV)
    world.snapshots = [replace(WEB, restart_count=1)]
    assert (await sampler.sample(DEV)).stack.services[0].verdict is Verdict.DEGRADED


async def test_readings_of_a_large_stack_count_for_a_while(world: World) -> None:
    """To read what three hundred containers use takes an engine a second."""
    now = [1000.0]
    sampler = StackSampler(world, world, WantedServices(world, world, world), clock=lambda: now[0])  # type: ignore[arg-type]

    async def read(*, checks_again: bool = False, seconds: float = 0.0) -> list[str]:
        now[0] += seconds
        world.asked_of = []
        world.readings = {snapshot.id: ContainerReading(now[0], int(now[0]), now[0]) for snapshot in world.snapshots}
        sample = await sampler.sample(DEV, checks_again=checks_again)
        assert all(service.memory_bytes for service in sample.stack.services)
        return world.asked_of

    world.snapshots = [replace(WEB, id=f"c{number}", number=number) for number in range(MANY_CONTAINERS)]
    assert len(await read()) == len(await read()) == MANY_CONTAINERS, "not large yet: read each time"
    world.snapshots.append(replace(WEB, id="late", number=99))
    assert await read() == ["late"]
    assert await read(seconds=30, checks_again=True) == []
    assert await read(seconds=29) == []
    assert len(await read(seconds=1, checks_again=True)) == len(world.snapshots), "every other slow look reads all"
    assert await read(seconds=59) == []
    assert len(await read(seconds=1)) == len(world.snapshots)
    world.snapshots[0] = replace(world.snapshots[0], id="new")
    assert await read() == ["new"]
